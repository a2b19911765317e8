"""report.json, the images it names, and one self-contained report.html."""

from __future__ import annotations

import json
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from tomobayes.formats.atomic import atomic_path
from tomobayes.report.chart import N_COLOURS, draw_chart
from tomobayes.report.content import Chart, Directions, Item, Report, Section, Slices, image_name, to_json
from tomobayes.report.pictures import draw_colour_bar, draw_panels, to_png
from tomobayes.report.sphere import draw_directions
from tomobayes.report.ticks import format_number

__all__ = ["render", "write_report"]

IMAGES = "report"


def write_report(report: Report, folder: Path) -> Path:
    """Write ``report.json``, the PNG images in ``report/`` and ``report.html`` into ``folder``; give the page's path.

    Each file is replaced in one step, so a browser may look at a running job.
    """
    for slices in _slices(report):
        for label, image in slices.images.items():
            with atomic_path(folder / IMAGES / image_name(slices, label)) as temporary:
                temporary.write_bytes(to_png(image))
    for name, text in (("report.json", json.dumps(to_json(report), ensure_ascii=False)), ("report.html", render(report))):
        with atomic_path(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return folder / "report.html"


def render(report: Report) -> str:
    """The page: needs no other file and no network."""
    environment = Environment(loader=PackageLoader("tomobayes.report", "templates"), autoescape=True, undefined=StrictUndefined)
    environment.filters["number"] = format_number
    environment.trim_blocks = environment.lstrip_blocks = True
    sections = [(section.title, [_drawn(item) for item in section.items]) for section in report.sections]
    return environment.get_template("report.html").render(report=report, sections=sections, n_colours=N_COLOURS)


def _drawn(item: Item) -> dict[str, object]:
    drawn: dict[str, object] = {"kind": type(item).__name__.lower(), "item": item}
    if isinstance(item, Chart):
        return drawn | {"svg": draw_chart(item)}
    if isinstance(item, Directions):
        return drawn | {"svg": draw_directions(item)}
    if isinstance(item, Slices):
        return drawn | {"panels": draw_panels(item), "colour_bar": item.colour_bar and draw_colour_bar(item.colour_bar)}
    return drawn


def _slices(report: Report) -> list[Slices]:
    sections: list[Section] = list(report.sections)
    return [item for section in sections for item in section.items if isinstance(item, Slices)]

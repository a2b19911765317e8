"""report.json, the images it names, and one self-contained report.html."""

from __future__ import annotations

import json
from pathlib import Path

from tomobayes.formats.atomic import atomic_path
from tomobayes.report.content import Report, Section, Slices, image_name, to_json
from tomobayes.report.draw import drawn_sections, templates
from tomobayes.report.pictures import to_png
from tomobayes.report.read import IMAGES, REPORT_NAME

__all__ = ["render", "write_report"]


def write_report(report: Report, folder: Path) -> Path:
    """Write ``report.json``, the PNG images in ``report/`` and ``report.html`` into ``folder``; give the page's path.

    Each file is replaced in one step, so a browser may look at a running job.
    """
    for slices in _slices(report):
        for label, image in slices.images.items():
            with atomic_path(folder / IMAGES / image_name(slices, label)) as temporary:
                temporary.write_bytes(to_png(image))
    for name, text in ((REPORT_NAME, json.dumps(to_json(report), ensure_ascii=False)), ("report.html", render(report))):
        with atomic_path(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return folder / "report.html"


def render(report: Report) -> str:
    """The page: needs no other file and no network."""
    return templates().get_template("report.html").render(report=report, sections=drawn_sections(report.sections))


def _slices(report: Report) -> list[Slices]:
    sections: list[Section] = list(report.sections)
    return [item for section in sections for item in section.items if isinstance(item, Slices)]

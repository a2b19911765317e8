"""A report's sections as markup: what the page of a job, the live view of a running one and the page of a project are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, StrictUndefined

from tomobayes.report.chart import N_COLOURS, draw_chart
from tomobayes.report.content import Chart, Directions, Item, Section, Slices
from tomobayes.report.pictures import draw_colour_bar, draw_panels
from tomobayes.report.sphere import draw_directions
from tomobayes.report.ticks import format_number

__all__ = ["Address", "Drawn", "DrawnSection", "drawn_sections", "templates", "theme_script"]

Address = Callable[[Slices, str], str]
"""Where a page finds the image of this label."""


@dataclass(frozen=True)
class Drawn:
    """One item with its drawings as SVG markup; ``kind`` chooses its form in ``components.html``."""

    kind: str
    item: Item
    svg: str = ""
    panels: tuple[tuple[str, str], ...] = ()
    colour_bar: str = ""


@dataclass(frozen=True)
class DrawnSection:
    """Drawn items under a heading."""

    title: str
    items: tuple[Drawn, ...]


def templates(*further: BaseLoader) -> Environment:
    """The environment in which pages are rendered; ``components.html`` is found there, and what ``further`` loaders know."""
    environment = Environment(
        loader=ChoiceLoader([*further, PackageLoader("tomobayes.report", "templates")]), autoescape=True, undefined=StrictUndefined
    )
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.filters["number"] = format_number
    environment.globals["n_colours"] = N_COLOURS
    return environment


def theme_script() -> str:
    """The one script that pages carry in themselves, exactly as it stands in them: a page's content policy may name it by its digest."""
    return templates().get_template("theme.js").render()


def drawn_sections(sections: Iterable[Section], address: Address | None = None) -> tuple[DrawnSection, ...]:
    """Every item of the sections drawn.

    Parameters
    ----------
    address : where the page finds images; None puts them into the page
    """
    return tuple(DrawnSection(section.title, tuple(_drawn(item, address) for item in section.items)) for section in sections)


def _drawn(item: Item, address: Address | None) -> Drawn:
    kind = type(item).__name__.lower()
    if isinstance(item, Chart):
        return Drawn(kind, item, draw_chart(item))
    if isinstance(item, Directions):
        return Drawn(kind, item, draw_directions(item))
    if isinstance(item, Slices):
        bar = draw_colour_bar(item.colour_bar) if item.colour_bar else ""
        return Drawn(kind, item, panels=tuple(draw_panels(item, address)), colour_bar=bar)
    return Drawn(kind, item)

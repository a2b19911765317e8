"""What a report says, as plain typed data: the same for the page, for report.json and for a program that reads it."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Axis",
    "Chart",
    "ColourBar",
    "Directions",
    "Fact",
    "Finding",
    "Item",
    "Level",
    "Report",
    "Section",
    "Series",
    "Slices",
    "Table",
    "Text",
    "image_name",
    "to_json",
]

Cell = str | int | float | None


@dataclass(frozen=True)
class Axis:
    """One axis of a chart; a ``resolution`` axis carries spatial frequencies in 1/Å and is labelled in Å, an ``integer`` one counts."""

    label: str
    unit: str = ""
    scale: Literal["linear", "resolution", "integer"] = "linear"
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Series:
    """One curve (or set of points or bars); NaN leaves a gap."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    style: Literal["line", "points", "bars"] = "line"


@dataclass(frozen=True)
class Level:
    """A horizontal line worth marking, such as an FSC threshold."""

    value: float
    label: str


@dataclass(frozen=True)
class Chart:
    """Curves over one pair of axes."""

    title: str
    x: Axis
    y: Axis
    series: Sequence[Series]
    levels: Sequence[Level] = ()
    caption: str = ""


@dataclass(frozen=True)
class Directions:
    """How often each direction of the reference was looked along: counts on a grid of equal areas.

    ``counts`` (rows, columns): rows run over cos(tilt) from 1 to -1, columns over rot from -180° to 180°.
    """

    title: str
    counts: NDArray[np.int64]
    caption: str = ""


@dataclass(frozen=True)
class ColourBar:
    """What colours mean: values from ``low`` to ``high``, evenly along ``colours`` (CSS notation)."""

    label: str
    unit: str
    low: float
    high: float
    colours: Sequence[str]


@dataclass(frozen=True)
class Slices:
    """Images side by side, each with its label; stored as PNG files named after ``name``.

    Parameters
    ----------
    images : label -> (height, width) grey or (height, width, 3) coloured
    colour_bar : what the colours of coloured images mean
    """

    title: str
    name: str
    images: Mapping[str, NDArray[np.uint8]]
    pixel_size_angstrom: float
    caption: str = ""
    colour_bar: ColourBar | None = None


@dataclass(frozen=True)
class Table:
    """Rows under named columns."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


Item = Chart | Directions | Slices | Table | Text


@dataclass(frozen=True)
class Fact:
    """One figure for the head of the page."""

    label: str
    value: str


@dataclass(frozen=True)
class Finding:
    """One sentence about the result: what went well, what to know, what to worry about."""

    kind: Literal["good", "note", "warning"]
    text: str


@dataclass(frozen=True)
class Section:
    """Items under a heading."""

    title: str
    items: Sequence[Item]


@dataclass(frozen=True)
class Report:
    """All that is shown of a job."""

    title: str
    subtitle: str = ""
    facts: Sequence[Fact] = ()
    findings: Sequence[Finding] = ()
    sections: Sequence[Section] = ()


def to_json(value: object) -> Any:
    """The content as JSON types: dataclasses become objects with a ``kind``, images the names of their files, NaN null."""
    if isinstance(value, Slices):
        files = {label: image_name(value, label) for label in value.images}
        return _object(value) | {"images": files}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _object(value)
    if isinstance(value, np.ndarray):
        return to_json(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, np.generic):
        return to_json(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def image_name(slices: Slices, label: str) -> str:
    """File name of one image of ``slices``."""
    return f"{slices.name}_{re.sub(r'[^A-Za-z0-9.+-]', '', label)}.png"


def _object(value: Any) -> dict[str, Any]:
    members = {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value) if field.name != "images"}
    named_by_its_own = isinstance(value, Finding)
    return members if named_by_its_own else {"kind": type(value).__name__.lower(), **members}

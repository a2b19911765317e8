"""report.json back as typed content, so that the page of a finished job, of a running one and of a whole project are drawn alike."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tomobayes.model import BadInput, Problem
from tomobayes.report.content import (
    Axis,
    Chart,
    ColourBar,
    Directions,
    Fact,
    Finding,
    Level,
    Report,
    Section,
    Series,
    Slices,
    Table,
    Text,
)

__all__ = ["IMAGES", "REPORT_NAME", "read_report"]

REPORT_NAME, IMAGES = "report.json", "report"

_CLASSES = {
    kind.__name__.lower(): kind for kind in (Axis, Chart, ColourBar, Directions, Fact, Level, Report, Section, Series, Slices, Table, Text)
}


def read_report(folder: Path) -> Report | None:
    """The report in a job's folder, or None where there is none yet; its images are opened when they are looked at.

    Raises
    ------
    BadInput
        if the file is there and holds no report.
    """
    path = folder / REPORT_NAME
    try:
        report = _decode(json.loads(path.read_text(encoding="utf-8")), folder / IMAGES)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise BadInput(
            Problem(path, "", f"this report cannot be read ({error})", remedy="run the job again to have it written anew")
        ) from None
    if not isinstance(report, Report):
        raise BadInput(Problem(path, "", "this is no report of a job", remedy="check the path"))
    return report


class _Pictures(Mapping[str, NDArray[np.uint8]]):
    """Label -> image, from files that are opened on demand."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files

    def __getitem__(self, label: str) -> NDArray[np.uint8]:
        with Image.open(self._files[label]) as image:
            return np.asarray(image)

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def _decode(value: Any, pictures: Path) -> Any:
    if isinstance(value, list):
        return [_decode(item, pictures) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"kind", "text"} and value["kind"] != "text":
        return Finding(value["kind"], value["text"])
    members = {key: _decode(item, pictures) for key, item in value.items() if key not in ("kind", "images")}
    kind = _CLASSES[value["kind"]]
    if kind is Slices:
        members["images"] = _Pictures({label: pictures / Path(file).name for label, file in value["images"].items()})
    elif kind is Directions:
        members["counts"] = np.array(members["counts"], dtype=np.int64)
    elif kind is Series:
        members |= {axis: [math.nan if number is None else number for number in members[axis]] for axis in ("x", "y")}
    return kind(**members)

"""SerialEM's and Tomo5's mdoc: stage angle, time, dose, frames and tilt axis of every view.

The dose before a view is PriorRecordDose where the file has it, else the sum of ExposureDose of the views before it. The order is that of
DateTime, else of PriorRecordDose. Neither is guessed: where a file does not tell them, the faults of `Acquired` say why.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PureWindowsPath

import numpy as np

from tomobayes.formats.text_lines import finite, read_lines
from tomobayes.formats.views import Acquired, AcquiredView, ViewKey
from tomobayes.model import BadInput, Problem

__all__ = ["read_mdoc", "with_order"]

SECTION = re.compile(r"\[ZValue\s*=\s*(-?\d{1,9})\s*\]")
TITLE_AXIS = re.compile(r"tilt\s*axis\s*(?:angle)?\s*=\s*([-+]?[\d.]+)", re.IGNORECASE)
MONTHS = dict(zip(("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), range(1, 13), strict=True))


@dataclass(frozen=True)
class _Section:
    """One [ZValue] section: its number, the line it begins on, its entries."""

    number: int
    line: int
    entries: Mapping[str, str]

    def number_of(self, key: str) -> float | None:
        return finite(self.entries[key]) if key in self.entries else None


def read_mdoc(path: Path) -> Acquired:
    """Read an mdoc file; views in the order of the file.

    Raises
    ------
    BadInput
        no sections, sections without a tilt angle, one file of frames for several views
    """
    head, titles, sections = _scan(read_lines(path))
    _check(path, sections)
    doses, dose_fault = _doses(sections)
    order, order_fault = _order(sections)
    if order is None and None not in doses:
        order, order_fault = np.argsort(np.argsort(np.array(doses))).tolist(), ""
    if order is not None and None not in doses and np.any(np.argsort(np.argsort(np.array(doses))) != order):
        doses, dose_fault = [None] * len(doses), "PriorRecordDose does not grow with DateTime"
    if not dose_fault and all(dose is None for dose in doses):
        doses = _summed(sections, order)
        dose_fault = order_fault and f"the dose is given view by view, but {order_fault}"
    views = tuple(
        AcquiredView(
            ViewKey(
                one.number_of("TiltAngle"), None if order is None else order[i], one.number, _stem(one.entries.get("SubFramePath", ""))
            ),
            doses[i],
            _file_name(one.entries.get("SubFramePath", "")),
        )
        for i, one in enumerate(sections)
    )
    size = [finite(word) for word in head.get("ImageSize", "").split()]
    return Acquired(
        file=path,
        views=views,
        pixel_size_angstrom=_positive(head.get("PixelSpacing")) or _positive(sections[0].entries.get("PixelSpacing")),
        voltage_kv=_positive(head.get("Voltage")) or _positive(sections[0].entries.get("Voltage")),
        axis_degrees=_axis(titles, sections),
        image_size=(int(size[0]), int(size[1])) if len(size) == 2 and size[0] and size[1] else None,
        dose_fault=dose_fault,
        order_fault=order_fault,
    )


def with_order(acquired: Acquired, order: Sequence[int]) -> Acquired:
    """The same views with the order in which they were taken."""
    views = tuple(replace(view, key=replace(view.key, order=place)) for view, place in zip(acquired.views, order, strict=True))
    return replace(acquired, views=views, order_fault="")


def _scan(lines: Sequence[str]) -> tuple[dict[str, str], list[str], list[_Section]]:
    """Entries before the first section, titles, and sections."""
    head: dict[str, str] = {}
    titles, sections, entries = [], [], head
    for number, line in enumerate(lines, start=1):
        bare = line.strip()
        begins = SECTION.fullmatch(bare)
        if begins:
            entries = {}
            sections.append(_Section(int(begins[1]), number, entries))
        elif bare.startswith("[T"):
            titles.append(bare.strip("[]"))
        elif bare.startswith("["):
            entries = {}
        elif "=" in bare:
            key, _, value = bare.partition("=")
            entries[key.strip()] = value.strip()
    return head, titles, sections


def _check(path: Path, sections: Sequence[_Section]) -> None:
    if not sections:
        raise BadInput(Problem(path, "", "has no sections [ZValue = ...]", remedy="give the .mdoc file of a tilt series"))
    problems = [
        Problem(path, f"line {one.line}, section {one.number}", "has no TiltAngle", remedy="remove the section or add its stage angle")
        for one in sections
        if one.number_of("TiltAngle") is None
    ]
    frames = [_file_name(one.entries["SubFramePath"]) for one in sections if one.entries.get("SubFramePath")]
    repeated = sorted({name for name in frames if frames.count(name) > 1})
    if repeated:
        what = f"several views have the same frames: {', '.join(repeated[:5])}"
        problems.append(
            Problem(path, "SubFramePath", what, "a view counted twice", "name the frames of each view, or remove repeated sections")
        )
    numbers = [one.number for one in sections]
    if len(set(numbers)) < len(numbers):
        problems.append(Problem(path, "ZValue", "sections have the same number", remedy="number the sections from 0 to the last"))
    if problems:
        raise BadInput(problems)


def _order(sections: Sequence[_Section]) -> tuple[list[int] | None, str]:
    """How many views were taken before each, by their time; or why that is not known."""
    times = [_time(one.entries.get("DateTime", "")) for one in sections]
    known = [time for time in times if time is not None]
    if len(known) < len(times):
        return None, f"{len(times) - len(known)} of {len(times)} views have no DateTime"
    if len(set(known)) < len(known):
        return None, "several views have the same DateTime"
    return np.argsort(np.argsort(np.array(known))).tolist(), ""


def _doses(sections: Sequence[_Section]) -> tuple[list[float | None], str]:
    """PriorRecordDose of all views; None for all where they have ExposureDose instead; or why neither is known."""
    prior = [one.number_of("PriorRecordDose") for one in sections]
    if all(dose is not None for dose in prior) and len(set(prior)) == len(prior):
        return prior, ""
    exposed = [one.number_of("ExposureDose") for one in sections]
    nothing: list[float | None] = [None] * len(sections)
    if all(dose is not None and dose > 0 for dose in exposed):
        return nothing, ""
    n_without = sum(not dose for dose in exposed)
    return nothing, f"{n_without} of {len(sections)} views have no ExposureDose, or one of 0"


def _summed(sections: Sequence[_Section], order: Sequence[int] | None) -> list[float | None]:
    """ExposureDose of all views taken before each."""
    if order is None:
        return [None] * len(sections)
    exposed = np.array([one.number_of("ExposureDose") for one in sections], dtype=np.float64)
    before = [exposed[np.array(order) < mine].sum() for mine in order]
    return [float(dose) for dose in before]


def _time(text: str) -> float | None:
    """Seconds since the year 1 of ``06-Jun-23  23:19:47``, with two or four digits of the year, or of an ISO date; else None."""
    words = text.replace("T", " ").split()
    if len(words) < 2:
        return None
    day, clock = words[0].split("-"), words[1].split(":")
    try:
        if day[1].lower() in MONTHS:
            year = int(day[2])
            date = datetime.date(year + 2000 if year < 100 else year, MONTHS[day[1].lower()], int(day[0]))
        else:
            date = datetime.date(int(day[0]), int(day[1]), int(day[2]))
        seconds = finite(clock[2])
        return None if seconds is None else date.toordinal() * 86400.0 + int(clock[0]) * 3600 + int(clock[1]) * 60 + seconds
    except (ValueError, IndexError, OverflowError):
        return None


def _axis(titles: Sequence[str], sections: Sequence[_Section]) -> float | None:
    """Tilt axis in degrees: named in a title, else RotationAngle less 90 (SerialEM's is the direction of the camera's x on the stage)."""
    named = [match[1] for title in titles if (match := TITLE_AXIS.search(title))]
    if named:
        return finite(named[0])
    rotation = sections[0].number_of("RotationAngle")
    return None if rotation is None else (rotation - 90 + 180) % 360 - 180


def _positive(text: str | None) -> float | None:
    value = finite(text) if text else None
    return value if value and value > 0 else None


def _file_name(path: str) -> str:
    """The last part of a path of Windows or Linux."""
    return PureWindowsPath(path).name


def _stem(path: str) -> str:
    return PureWindowsPath(path).stem

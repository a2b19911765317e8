"""Values in the XML files of Warp's tilt series, with every fault of every element collected on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.xml_document import Element
from tomobayes.model import Problem

__all__ = ["SeriesReader", "parse_number", "parse_numbers"]

Float = NDArray[np.float64]
Read = TypeVar("Read")
MAX_NODES = 10**6


class SeriesReader:
    """Reads parts of a tilt series, notes what is wrong and goes on with a default."""

    def __init__(self, root: Element, path: Path) -> None:
        self.root, self.path = root, path
        self.problems: list[Problem] = []
        self.elements: dict[str, Element] = {}
        for element in root.walk():
            self.elements.setdefault(element.tag, element)
        angles = self._lines("Angles")
        self.n_tilts = len(angles)
        if not angles:
            self.report("element Angles", "has no tilt angles", "let Warp write the file again; without tilts there is nothing to read")

    def report(self, where: str, what: str, remedy: str = "correct it, or let Warp write the file again") -> None:
        self.problems.append(Problem(self.path, where, what, remedy=remedy))

    def text(self, tag: str) -> NDArray[np.str_] | None:
        """(F,) lines of an element; None where it is not there or (reported) has another number of lines."""
        lines = self._lines(tag)
        if tag not in self.elements:
            return None
        if len(lines) != self.n_tilts:
            self.report(f"element {tag}", f"has {len(lines)} values for {self.n_tilts} tilts")
            return None
        return np.array(lines, dtype=np.str_)

    def numbers(self, tag: str, default: float) -> Float:
        """(F,) numbers of an element."""
        lines = self.text(tag)
        if lines is None:
            return np.full(self.n_tilts, default)
        values = np.array([parse_number(line) for line in lines.tolist()])
        for tilt in np.flatnonzero(~np.isfinite(values))[:1].tolist():
            self.report(f"element {tag}, tilt {tilt + 1}", f"{str(lines[tilt])!r} is not a number")
        return np.where(np.isfinite(values), values, default)

    def attribute(self, name: str, parse: Callable[[list[str]], Read | None], default: Read, what: str) -> Read:
        """An attribute of the root, in the parts between its commas."""
        cell = self.root.attributes.get(name, "")
        if not cell.strip():
            return default
        parsed = parse([part.strip() for part in cell.split(",")])
        if parsed is None:
            self.report(f"attribute {name}", f"{cell!r} is not {what}")
        return default if parsed is None else parsed

    def parameters(self, tag: str) -> dict[str, str]:
        """Name -> value of the <Param> elements in an element."""
        section = self.elements.get(tag)
        params = section.children if section else []
        return {one.attributes["Name"]: one.attributes.get("Value", "") for one in params if "Name" in one.attributes}

    def check_parameters(self, tag: str) -> None:
        """Whether the numbers of a section that will be asked for are numbers in their range."""
        found = self.parameters(tag)
        for name, low, high in (("Voltage", 1.0, 1e4), ("Cs", -1e3, 1e3), ("Amplitude", 0.0, 0.999), ("PixelSize", 0.0, 1e4)):
            if found.get(name) and not low <= parse_number(found[name]) <= high:
                self.report(f"element {tag}, Param {name}", f"{found[name]!r} is not a number from {low:g} to {high:g}")
        for name in ("ZernikeCoeffsEven", "ZernikeCoeffsOdd"):
            if any(cell.strip() and np.isnan(parse_number(cell)) for cell in found.get(name, "").split(";")):
                self.report(f"element {tag}, Param {name}", "is not a list of numbers between semicolons")

    def grid(self, tag: str, axes: Mapping[str, str]) -> Float | None:
        """Nodes of a grid, axes -> their sizes' attributes, the fastest axis first; values with the fastest axis last."""
        element = self.elements[tag]
        shape = tuple(int(one) if (one := element.attributes.get(size, "")).isascii() and one.isdigit() else 0 for size in axes.values())
        if min(shape) < 1 or np.prod([float(one) for one in shape]) > MAX_NODES:
            self.report(f"element {tag}", f"is a grid of {' x '.join(str(one) for one in shape)} nodes")
            return None
        nodes = element.children
        index = _all_numbers([node.attributes.get(axis, "") for node in nodes for axis in axes]).reshape(len(nodes), len(axes))
        values = _all_numbers([node.attributes.get("Value", "") for node in nodes])
        inside = len(nodes) > 0 and bool(((index >= 0) & (index < np.array(shape)) & (index == np.round(index))).all())
        if not inside or len(np.unique(index, axis=0)) != np.prod(shape) or len(nodes) != np.prod(shape) or not np.isfinite(values).all():
            self.report(f"element {tag}", f"does not have one number for each of its {' x '.join(str(one) for one in shape)} nodes")
            return None
        grid = np.zeros(shape[::-1])
        grid[tuple(index.astype(np.int64).T[::-1])] = values
        return grid

    def margins(self, tag: str) -> tuple[float, float, float]:
        x, y, z = (parse_number(self.elements[tag].attributes.get(f"Margin{axis}", "0")) for axis in "XYZ")
        if not all(0 <= one < 0.5 for one in (x, y, z)):
            self.report(f"element {tag}", "has margins outside 0 to 0.5")
            return (0.0, 0.0, 0.0)
        return x, y, z

    def _lines(self, tag: str) -> list[str]:
        element = self.elements.get(tag)
        text = element.text.strip("\n") if element else ""
        return [line.strip() for line in text.split("\n")] if text.strip() else []


def parse_number(cell: str) -> float:
    """A finite number, with a decimal point or (as Warp writes under some locales) a comma; else NaN."""
    try:
        value = float(cell.replace(",", ".") if cell.count(",") == 1 and "." not in cell else cell)
    except ValueError:
        return float("nan")
    return value if np.isfinite(value) else float("nan")


def _all_numbers(cells: list[str]) -> Float:
    """(n,) numbers, all at once where they are written plainly."""
    try:
        values = np.array(cells, dtype=np.float64) if cells else np.zeros(0)
    except ValueError:
        values = np.array([parse_number(cell) for cell in cells])
    return np.where(np.isfinite(values), values, np.nan)


def parse_numbers(parts: list[str], count: int) -> tuple[float, ...] | None:
    values = tuple(parse_number(part) for part in parts)
    return values if len(values) == count and not np.isnan(values).any() else None

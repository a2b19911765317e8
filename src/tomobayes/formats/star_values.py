"""Typed columns of a STAR table, with every fault of every cell collected on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.decimals import as_floats
from tomobayes.formats.star import Table
from tomobayes.model import Problem

__all__ = ["TableReader", "format_float", "format_vector", "parse_vector"]

Float = NDArray[np.float64]
MAX_LISTED = 5
LARGEST_INTEGER = 2**53
"""Beyond it, floating-point numbers have gaps."""


@dataclass(frozen=True)
class TableReader:
    """Reads typed columns of one table and appends what is wrong with them to ``problems``.

    A faulty or missing column is read as its default (or zeros), so that reading goes on and finds the other faults too.
    """

    file: Path
    table: Table
    problems: list[Problem] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.table)

    def __contains__(self, label: str) -> bool:
        return label in self.table.columns

    def require(self, labels: Mapping[str, str]) -> bool:
        """Whether all of label -> who writes it are there; if not, one problem that lists all the missing ones."""
        missing = [label for label in labels if label not in self]
        if missing:
            what = f"misses the column{'s' * (len(missing) > 1)} {', '.join(missing)}"
            writers = dict.fromkeys(f"{labels[label]}" for label in missing)
            self.report("", what, "add them: " + "; ".join(writers))
        return not missing

    def text(self, label: str, default: str = "") -> NDArray[np.str_]:
        """(n,) the cells as they stand."""
        return self.table.columns.get(label, np.full(len(self), default))

    def floats(self, label: str, default: float = 0.0) -> Float:
        """(n,) finite numbers with a decimal point."""
        cells = self.table.columns.get(label)
        if cells is None:
            return np.full(len(self), default)
        try:
            values = as_floats(cells)
        except ValueError:
            values = np.array([_as_float(cell) for cell in cells.tolist()])
        bad = np.flatnonzero(~np.isfinite(values))
        self._report_cells(label, bad, "number", "write numbers with a decimal point, without NaN or infinity")
        return np.where(np.isfinite(values), values, default)

    def integers(self, label: str, default: int = 0) -> NDArray[np.int64]:
        """(n,) whole numbers (``1.000000`` counts as whole)."""
        values = self.floats(label, default)
        whole = (values == np.round(values)) & (np.abs(values) < LARGEST_INTEGER)
        self._report_cells(label, np.flatnonzero(~whole), "whole number", "write whole numbers")
        return np.where(whole, values, default).astype(np.int64)

    def vectors(self, label: str) -> list[Float]:
        """One vector per row, from ``[a,b,c]``; empty where the column is not there."""
        vectors = [parse_vector(cell) for cell in self.text(label, "[]").tolist()]
        bad = np.flatnonzero([vector is None for vector in vectors])
        self._report_cells(label, bad, "vector", "write vectors as [a,b,c] without spaces")
        return [np.zeros(0) if vector is None else vector for vector in vectors]

    def triple(self, labels: Sequence[str], defaults: Sequence[float] = (0.0, 0.0, 0.0)) -> Float:
        """(n, k) several columns of numbers side by side."""
        return np.stack([self.floats(label, default) for label, default in zip(labels, defaults, strict=True)], axis=-1)

    def report(self, where: str, what: str, remedy: str, why: str = "") -> None:
        """Note a problem of this table."""
        place = f"table data_{self.table.name}" + (f", {where}" if where else "")
        self.problems.append(Problem(self.file, place, what, why, remedy))

    def _report_cells(self, label: str, rows: NDArray[np.intp], kind: str, remedy: str) -> None:
        for row in rows[:MAX_LISTED].tolist():
            self.report(f"row {row + 1}, column {label}", f"{str(self.table.columns[label][row])!r} is not a {kind}", remedy)
        if len(rows) > MAX_LISTED:
            self.report(f"column {label}", f"{len(rows) - MAX_LISTED} more cells are not a {kind}", remedy)


def parse_vector(cell: str) -> Float | None:
    """``[a,b,c]`` -> numbers; None where the text is no such vector."""
    if not (cell.startswith("[") and cell.endswith("]")):
        return None
    parts = [part for part in cell[1:-1].split(",")] if cell != "[]" else []
    values = np.array([_as_float(part) for part in parts])
    return values if np.isfinite(values).all() else None


def format_float(value: float) -> str:
    """Six decimals as RELION writes them, or an exponent where six decimals would lose digits."""
    return f"{value:.6f}" if value == 0 or 1e-3 <= abs(value) < 1e7 else f"{value:.6e}"


def format_vector(values: Sequence[float] | NDArray[np.generic]) -> str:
    """Numbers -> ``[a,b,c]``; whole numbers without decimals."""
    return "[" + ",".join(f"{float(value):.9g}" for value in values) + "]"


def _as_float(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")

"""Polygons over two columns of a particle table, as a lasso draws them: ``rlnCoordinateX,rlnCoordinateY: 10,20 30,20 30,45``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tomobayes.model import Columns

__all__ = ["Polygon", "parse_polygon", "winding_number"]

_PATTERN = re.compile(r"^\s*_?(\w+)\s*,\s*_?(\w+)\s*:\s*(.*?)\s*$")
_EXAMPLE = "'rlnCoordinateX,rlnCoordinateY: 10,20 30,20 30,45'"


@dataclass(frozen=True)
class Polygon:
    """A closed line in the plane of two columns.

    Parameters
    ----------
    across, up : labels of the columns
    vertices : (x, y) of three or more corners; the last is tied to the first
    """

    across: str
    up: str
    vertices: tuple[tuple[float, float], ...]

    def __str__(self) -> str:
        return f"{self.across} and {self.up} in a polygon of {len(self.vertices)} corners"

    def holds(self, columns: Columns) -> NDArray[np.bool_]:
        """(P,) where the line goes around the point of a row; cells that are not finite lie nowhere.

        Raises
        ------
        ValueError
            in words: there is no such column, or its cells are not numbers
        """
        x, y = (_numbers(columns, label) for label in (self.across, self.up))
        return np.asarray(winding_number(x, y, np.array(self.vertices)) != 0)


def parse_polygon(text: str) -> Polygon:
    """A polygon from ``LABEL,LABEL: x,y x,y x,y ...``; ValueError says in words what is wrong with it."""
    match = _PATTERN.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not a polygon such as {_EXAMPLE}")
    corners = [corner.split(",") for corner in match[3].split()]
    try:
        vertices = tuple((float(x), float(y)) for x, y in corners)
    except ValueError:
        raise ValueError(f"the corners of a polygon are pairs of numbers as in {_EXAMPLE}, not {match[3]!r}") from None
    if len(vertices) < 3:
        raise ValueError(f"a polygon has three or more corners, not {len(vertices)}: {text!r}")
    if not np.isfinite(vertices).all():
        raise ValueError(f"the corners of a polygon are finite numbers, not {match[3]!r}")
    return Polygon(match[1], match[2], vertices)


def winding_number(x: NDArray[np.float64], y: NDArray[np.float64], vertices: NDArray[np.float64]) -> NDArray[np.int64]:
    """(P,) how often a closed line goes around each point, counter-clockwise counted positive.

    An edge counts where it crosses the height of a point to its right: +1 upwards, -1 downwards (Sunday 2001). It has its lower end
    but not its upper one, so that no crossing is counted twice.

    Parameters
    ----------
    x, y : (P,)
    vertices : (V, 2) corners of the line
    """
    turns = np.zeros(len(x), dtype=np.int64)
    for (x0, y0), (x1, y1) in pairwise([*vertices.tolist(), vertices[0].tolist()]):
        left = (x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)
        turns += (y0 <= y) & (y < y1) & (left > 0)
        turns -= (y1 <= y) & (y < y0) & (left < 0)
    return turns


def _numbers(columns: Columns, label: str) -> NDArray[np.float64]:
    if label not in columns:
        raise ValueError(f"there is no column {label}; there are {', '.join(columns)}")
    try:
        return columns[label].astype(np.float64)
    except ValueError:
        raise ValueError(f"the cells of {label} are not numbers, so that no polygon can be drawn over them") from None

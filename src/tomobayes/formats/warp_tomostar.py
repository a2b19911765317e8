"""WarpTools' tomostar files: the tilts of a series as they were taken, one row each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.cells import number, numbers, update
from tomobayes.formats.star import Table, read_star, write_star
from tomobayes.formats.star_values import TableReader
from tomobayes.model import BadInput, Columns, Problem

__all__ = ["Tomostar", "read_tomostar", "write_tomostar"]

Float = NDArray[np.float64]
REQUIRED = dict.fromkeys(("wrpMovieName", "wrpAngleTilt", "wrpDose"), "ts_import of WarpTools writes them")
OFFSETS = ("wrpAxisOffsetX", "wrpAxisOffsetY")


@dataclass(frozen=True)
class Tomostar:
    """F tilts in the order of the file, which is that of the tilt series' XML file.

    Parameters
    ----------
    movie_paths : (F,) relative to the file's folder
    angle_degrees : (F,) tilt angle, turned round against the microscope's where WarpTools inverted it on import (as it does by default)
    axis_angle_degrees : (F,) of the tilt axis from the image's y, counter-clockwise
    axis_offset_angstrom : (F, 2)
    dose : (F,) e/Å²
    columns : the table as read
    """

    movie_paths: NDArray[np.str_]
    angle_degrees: Float
    axis_angle_degrees: Float
    axis_offset_angstrom: Float
    dose: Float
    columns: Columns

    @property
    def acquisition(self) -> NDArray[np.int64]:
        """(F,) when each tilt was taken, counted from 0, by its dose."""
        return np.argsort(np.argsort(self.dose, kind="stable"), kind="stable")


def read_tomostar(path: Path | str) -> Tomostar:
    """Read a ``.tomostar`` file.

    Raises
    ------
    BadInput
        no such file, no table, columns missing, or no numbers
    """
    path = Path(path)
    table = next(iter(read_star(path).values()), None)
    if table is None or len(table) == 0:
        raise BadInput(Problem(path, "", "has no tilts", remedy="import the tilt series anew"))
    reader = TableReader(path, table)
    reader.require(REQUIRED)
    typed = Tomostar(
        movie_paths=reader.text("wrpMovieName"),
        angle_degrees=reader.floats("wrpAngleTilt"),
        axis_angle_degrees=reader.floats("wrpAxisAngle"),
        axis_offset_angstrom=reader.triple(OFFSETS, (0.0, 0.0)),
        dose=reader.floats("wrpDose"),
        columns=table.columns,
    )
    if reader.problems:
        raise BadInput(reader.problems)
    return typed


def write_tomostar(path: Path | str, tomostar: Tomostar) -> None:
    """Write a ``.tomostar`` file: cells that mean what they meant keep their text, unknown columns stay."""
    columns: Columns = {"wrpMovieName": tomostar.movie_paths} | {k: v for k, v in tomostar.columns.items() if k != "wrpMovieName"}
    for quantity, values in (
        (number("wrpAngleTilt", always=True), tomostar.angle_degrees),
        (number("wrpAxisAngle", always=True), tomostar.axis_angle_degrees),
        (number("wrpDose", always=True), tomostar.dose),
        (numbers(OFFSETS), tomostar.axis_offset_angstrom),
    ):
        columns = update(columns, quantity, values)
    write_star(path, [Table("", columns)])

"""2D deformations of tilt images: their kind and grid in data_global, their coefficients in a column of every tilt series.

RELION takes all tomograms of a file to be deformed if one is, so that those which are not are written with coefficients of zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.cells import number, update, update_vectors
from tomobayes.formats.star_values import TableReader
from tomobayes.model import Deformation, DeformationKind, Problem, TiltSeries
from tomobayes.model.deformation import coefficient_count

__all__ = ["coefficient_columns", "deformation_columns", "deformation_of", "same_kind"]

Text = NDArray[np.str_]
GRID_LABELS = ("rlnTomoDeformationGridSizeX", "rlnTomoDeformationGridSizeY")
TYPE_LABEL = "rlnTomoDeformationType"
COEFFICIENTS_LABEL = "rlnTomoDeformationCoefficients"
TYPES: dict[DeformationKind, str] = {"affine": "linear", "spline": "spline", "fourier": "Fourier"}


def deformation_of(cells: Mapping[str, str], tilts: TableReader) -> Deformation | None:
    """The deformation of a tilt series; None where there is none, or where what is there is at fault.

    Parameters
    ----------
    cells : the tilt series' row of data_global
    tilts : its own table
    """
    if COEFFICIENTS_LABEL not in tilts or any(label not in cells for label in GRID_LABELS):
        return None
    kind = next((kind for kind, text in TYPES.items() if text == cells.get(TYPE_LABEL)), None)
    if kind is None:
        what = f"{TYPE_LABEL} of tilt series {tilts.table.name} is {cells.get(TYPE_LABEL, 'not there')!r}"
        tilts.problems.append(Problem(tilts.file, "", what, remedy=f"make it one of {', '.join(TYPES.values())}"))
        return None
    grid = (int(float(cells[GRID_LABELS[0]])), int(float(cells[GRID_LABELS[1]])))
    vectors, expected = tilts.vectors(COEFFICIENTS_LABEL), coefficient_count(kind, grid)
    wrong = [row for row, vector in enumerate(vectors) if len(vector) != expected]
    for row in wrong[:1]:
        what = f"has {len(vectors[row])} coefficients, but a {TYPES[kind]} deformation on a grid of {grid[0]} x {grid[1]} has {expected}"
        tilts.report(f"row {row + 1}, column {COEFFICIENTS_LABEL}", what, "correct the grid or the coefficients")
    if wrong:
        return None
    rows = np.stack(vectors)
    return Deformation(kind, rows[0] if (rows == rows[0]).all() else rows, grid)


def same_kind(tilt_series: Sequence[TiltSeries]) -> list[TiltSeries]:
    """The tilt series as one file can hold them: all deformed or none; those that are not get coefficients of zero."""
    some = next((one.deformation for one in tilt_series if one.deformation is not None), None)
    if some is None:
        return list(tilt_series)
    nothing = replace(some, coefficients=np.zeros(some.coefficients.shape[-1]))
    return [one if one.deformation is not None else replace(one, deformation=nothing) for one in tilt_series]


def deformation_columns(columns: dict[str, Text], tilt_series: Sequence[TiltSeries]) -> dict[str, Text]:
    """Columns of data_global with kind and grid of the deformations; without them where nothing is deformed."""
    deformations = [one.deformation for one in tilt_series if one.deformation is not None]
    if not deformations:
        return {label: cells for label, cells in columns.items() if label not in (*GRID_LABELS, TYPE_LABEL)}
    for axis, label in enumerate(GRID_LABELS):
        grid = replace(number(label, always=True), text=lambda value: str(round(value)))
        columns = update(columns, grid, np.array([one.grid[axis] for one in deformations]))
    return {**columns, TYPE_LABEL: np.array([TYPES[one.kind] for one in deformations], dtype=np.str_)}


def coefficient_columns(columns: dict[str, Text], series: TiltSeries) -> dict[str, Text]:
    """Columns of a tilt series with its coefficients, those of all tilts alike where it has one set."""
    if series.deformation is None:
        return {label: cells for label, cells in columns.items() if label != COEFFICIENTS_LABEL}
    return update_vectors(columns, COEFFICIENTS_LABEL, series.deformation.per_tilt(series.n_tilts))

"""Particles into a Dynamo table (.tbl), with the tomograms its numbers stand for (.doc, .vll).

Columns and angles as `formats.dynamo` reads them. Positions are whole voxels, the first of which is 1, and the rest is the shift, since
Dynamo cuts its boxes at whole voxels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.euler import zxz_from_matrix
from tomobayes.formats.text_writer import write_lines
from tomobayes.formats.voxels import TomogramGrid, numbered_names, tomogram_file, whole_and_rest
from tomobayes.model import Dataset, TiltSeries

__all__ = ["dynamo_angles", "write_dynamo"]

Float = NDArray[np.float64]
N_COLUMNS = 40
TAG, ALIGNED, AVERAGED, WEDGE, TILT_RANGE, TOMOGRAM, CLASS, VOXEL, DEFOCUS = 0, 1, 2, 12, slice(13, 15), 19, 21, 35, 36
SHIFT, ANGLES, POSITION = slice(3, 6), slice(6, 9), slice(23, 26)
TILTED_ABOUT_Y = 1


def write_dynamo(path: Path, dataset: Dataset, grid: TomogramGrid) -> list[Path]:
    """Write a table, and beside it the tomograms by number (.doc) and as a list of volumes (.vll); give the files."""
    table = _table(dataset, grid)
    write_lines(path, (" ".join(_cell(value) for value in row) for row in table.tolist()))
    numbers, volumes = path.with_suffix(".doc"), path.with_suffix(".vll")
    write_lines(numbers, numbered_names(dataset.tilt_series))
    write_lines(volumes, map(tomogram_file, dataset.tilt_series))
    return [path, numbers, volumes]


def dynamo_angles(rotation: Float) -> Float:
    """tdrot, tilt, narot (P, 3) of rotations reference -> tomogram (P, 3, 3) = (Rz(narot)·Rx(tilt)·Rz(tdrot))ᵀ."""
    return zxz_from_matrix(np.swapaxes(rotation, -1, -2))[..., ::-1]


def _table(dataset: Dataset, grid: TomogramGrid) -> Float:
    particles, series = dataset.particles, dataset.tilt_series
    rows = particles.tilt_series
    table = np.zeros((len(particles), N_COLUMNS))
    table[:, TAG] = np.arange(1, len(particles) + 1)
    table[:, (ALIGNED, AVERAGED, WEDGE)] = 1, 1, TILTED_ABOUT_Y
    table[:, POSITION], table[:, SHIFT] = whole_and_rest(grid.voxels(dataset, first=1))
    table[:, ANGLES] = dynamo_angles(particles.rotation)
    table[:, TILT_RANGE] = np.array([_tilt_range(one) for one in series])[rows]
    table[:, TOMOGRAM] = rows + 1
    table[:, CLASS] = particles.class_number
    table[:, VOXEL] = grid.voxel_angstrom(series)[rows]
    table[:, DEFOCUS] = np.array([(one.defocus_u_angstrom + one.defocus_v_angstrom).mean() / 2e4 for one in series])[rows]
    return table


def _tilt_range(series: TiltSeries) -> tuple[float, float]:
    """Lowest and highest angle between the beam and the tomogram's z axis, with the sign of the turn about y."""
    angles = np.degrees(np.arctan2(-series.rotation[:, 2, 0], series.rotation[:, 2, 2]))
    return float(angles.min()), float(angles.max())


def _cell(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")

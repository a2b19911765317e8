"""Positions and orientations as a plain table (CSV or tabs), twice: as other programs take them, and as RELION keeps them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.atomic import atomic_path
from tomobayes.formats.euler import euler_from_matrix
from tomobayes.formats.voxels import TomogramGrid
from tomobayes.model import Dataset

__all__ = ["write_pose_table"]

Float = NDArray[np.float64]
DECIMALS = 6


def write_pose_table(path: Path, dataset: Dataset, grid: TomogramGrid, separator: str = ",") -> None:
    """Write one row per particle, below a row of column names.

    ``flat_`` columns are complete in themselves: position with the origin applied (Å from the tomogram's centre, and voxels of the
    tomogram, the first of which is 0), orientation with the subtomogram's applied, as RELION's angles (degrees) and as the matrix that
    turns the reference into the particle. ``raw_`` columns are what these were made of.
    """
    columns = _columns(dataset, grid)
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter=separator, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def _columns(dataset: Dataset, grid: TomogramGrid) -> dict[str, list[str]]:
    particles = dataset.particles
    series = np.array([one.name for one in dataset.tilt_series])
    cells: dict[str, list[str]] = {
        "tilt_series": series[particles.tilt_series].tolist(),
        "particle": particles.name.tolist(),
        "half_set": particles.half.astype(str).tolist(),
        "class": particles.class_number.astype(str).tolist(),
    }
    angles = ("rot_degrees", "tilt_degrees", "psi_degrees")
    for names, values in (
        (_xyz("flat_", "_angstrom"), particles.centre_angstrom),
        (_xyz("flat_", "_voxel"), grid.voxels(dataset, first=0)),
        (["flat_" + name for name in angles], euler_from_matrix(particles.rotation)),
        ([f"flat_r{row}{column}" for row in "123" for column in "123"], particles.rotation.reshape(-1, 9)),
        (_xyz("raw_extraction_", "_angstrom"), particles.position_angstrom),
        (_xyz("raw_origin_", "_angstrom"), particles.origin_angstrom),
        (["raw_subtomogram_" + name for name in angles], euler_from_matrix(particles.rotation_subtomogram)),
        (["raw_particle_" + name for name in angles], euler_from_matrix(particles.rotation_particle)),
    ):
        cells |= {name: [f"{value:.{DECIMALS}f}" for value in values[:, i].tolist()] for i, name in enumerate(names)}
    return cells


def _xyz(before: str, after: str) -> list[str]:
    return [f"{before}{axis}{after}" for axis in "xyz"]

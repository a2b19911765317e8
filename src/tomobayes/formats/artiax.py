"""Particle lists that ArtiaX opens: one STAR file per tomogram, of the RELION kind whose coordinates are voxels.

ArtiaX leaves out subtomograms' orientations and takes origins for what they are not, so neither is in these files. Its voxels count from 0.
It drops columns of text when it saves a list: rlnTomoParticleId, the row of the particle in the list that was exported, stays.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tomobayes.formats.euler import euler_from_matrix
from tomobayes.formats.relion_particles import PARTICLE_ANGLES, PIXEL_LABELS
from tomobayes.formats.star import Table, write_star
from tomobayes.formats.star_values import format_float
from tomobayes.formats.voxels import TomogramGrid
from tomobayes.model import Dataset

__all__ = ["write_artiax"]

ORIGIN_LABELS = ("rlnOriginX", "rlnOriginY", "rlnOriginZ")


def write_artiax(folder: Path, dataset: Dataset, grid: TomogramGrid) -> list[Path]:
    """Write ``<tilt series>.star`` for each that has particles; give the files."""
    particles = dataset.particles
    voxels, angles = grid.voxels(dataset, first=0), euler_from_matrix(particles.rotation)
    written = []
    for index in np.unique(particles.tilt_series).tolist():
        rows = np.flatnonzero(particles.tilt_series == index)
        numbers = dict(zip((*PIXEL_LABELS, *PARTICLE_ANGLES), np.hstack([voxels[rows], angles[rows]]).T, strict=True))
        cells = {label: np.array([format_float(value) for value in values.tolist()]) for label, values in numbers.items()}
        cells |= {label: np.full(len(rows), "0.000000") for label in ORIGIN_LABELS}
        whole = {"rlnClassNumber": particles.class_number, "rlnRandomSubset": particles.half}
        cells |= {label: values[rows].astype(np.str_) for label, values in whole.items()}
        cells |= {"rlnTomoParticleId": (rows + 1).astype(np.str_), "rlnTomoParticleName": particles.name[rows]}
        path = folder / f"{dataset.tilt_series[index].name}.star"
        write_star(path, [Table("particles", cells)])
        written.append(path)
    return written

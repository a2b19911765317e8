"""Particles and optimisation sets that a job hands on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tomobayes.formats.relion import OptimisationSet, write_optimisation_set, write_particles, write_tomograms
from tomobayes.model import Dataset, Particles, Reference

__all__ = ["hand_on", "with_poses"]

_RELION4 = "rlnTomoProjX"


def with_poses(particles: Particles, rotation: NDArray[np.float64], centre_angstrom: NDArray[np.float64]) -> Particles:
    """Particles with other poses in the tomogram, told in their own frames: A_part = A_subᵀ·A, origin = A_subᵀ(position - centre)."""
    to_frame = np.swapaxes(particles.rotation_subtomogram, 1, 2)
    origin = np.einsum("pij,pj->pi", to_frame, particles.position_angstrom - centre_angstrom)
    return replace(particles, rotation_particle=to_frame @ rotation, origin_angstrom=origin)


def hand_on(
    folder: Path, name: str, dataset: Dataset, members: OptimisationSet, reference: Reference, extra: Mapping[str, ArrayLike] | None = None
) -> Path:
    """Write particles as ``name`` and the optimisation set that names them; give the set's path.

    Tomograms stay where they are, unless they are of RELION 4: then they are written anew, as the particles are.
    """
    write_particles(folder / name, dataset, extra=extra)
    members = replace(members, particles=folder / name, reference=reference)
    if any(_RELION4 in series.columns for series in dataset.tilt_series):
        members = replace(members, tomograms=write_tomograms(folder, dataset.tilt_series, dataset.optics))
    path = folder / "optimisation_set.star"
    write_optimisation_set(path, members)
    return path

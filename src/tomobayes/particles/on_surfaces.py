"""Particles that stand on a surface, oriented so that priors about its normal can be used."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tomobayes.model import Particles

__all__ = ["PICKED_AS", "facing", "standing_particles"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

PICKED_AS = np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
"""A_part of a fresh pick, Ry(-90°): the subtomogram is turned so that the particle's z axis is at tilt 90° in it, psi 0, as RELION's
pickers do. There, far from the pole, a prior on tilt and psi leaves the turn about the normal free."""

TILT_PRIOR_DEGREES, PSI_PRIOR_DEGREES = 90.0, 0.0


def facing(normals: Float, turn_degrees: Float) -> Float:
    """Rotations that take z to the normals, turned about z first, (N, 3) and (N,) -> (N, 3, 3)."""
    across = np.cross(normals, np.eye(3)[np.abs(normals).argmin(1)])
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    beside = np.cross(normals, across)
    cosine, sine = np.cos(np.radians(turn_degrees))[:, None], np.sin(np.radians(turn_degrees))[:, None]
    return np.stack([cosine * across + sine * beside, cosine * beside - sine * across, normals], -1)


def standing_particles(
    position_angstrom: Float, normals: Float, tilt_series: Int, optics: Int, names: NDArray[np.str_], seed: int
) -> Particles:
    """Particles whose z axis points along a normal, at a random angle about it: A_sub = A·PICKED_ASᵀ, A_part = PICKED_AS.

    Parameters
    ----------
    position_angstrom, normals : (P, 3) tomogram frame
    tilt_series, optics, names : (P,) as of `Particles`
    """
    count = len(position_angstrom)
    rotation = facing(normals, np.random.default_rng(seed).uniform(0, 360, count))
    return Particles(
        name=names,
        tilt_series=tilt_series,
        optics=optics,
        position_angstrom=position_angstrom,
        rotation_subtomogram=rotation @ PICKED_AS.T,
        rotation_particle=np.tile(PICKED_AS, (count, 1, 1)),
        origin_angstrom=np.zeros((count, 3)),
        half=np.zeros(count, dtype=np.int64),
        class_number=np.zeros(count, dtype=np.int64),
        tilt_prior_degrees=np.full(count, TILT_PRIOR_DEGREES),
        psi_prior_degrees=np.full(count, PSI_PRIOR_DEGREES),
        rot_prior_degrees=np.full(count, np.nan),
    )

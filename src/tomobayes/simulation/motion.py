"""Beam-induced motion: smooth in space, a random walk in dose."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["beam_induced_motion"]

Float = NDArray[np.float64]


def beam_induced_motion(
    position_angstrom: Float, dose: Float, step_angstrom: float, random: np.random.Generator, correlation_angstrom: float = 500.0
) -> Float:
    """Displacements (P, F, 3) in the tomogram frame, Å; zero in the first exposure.

    Between consecutive exposures (in order of dose) every particle moves by a normal step of standard deviation
    ``step_angstrom`` per axis; the steps of two particles at distance r correlate by exp(-r²/(2·correlation²)).

    Parameters
    ----------
    position_angstrom : (P, 3)
    dose : (F,) e/Å² before each tilt
    """
    squared = np.square(position_angstrom[:, None] - position_angstrom[None]).sum(-1)
    covariance = np.exp(-squared / (2 * correlation_angstrom**2)) + 1e-6 * np.eye(len(position_angstrom))
    root = np.linalg.cholesky(covariance)
    steps = step_angstrom * np.einsum("pq,fqd->fpd", root, random.standard_normal((len(dose), len(position_angstrom), 3)))
    steps[0] = 0
    motion = np.empty((len(position_angstrom), len(dose), 3))
    motion[:, np.argsort(dose, kind="stable")] = np.cumsum(steps, axis=0).transpose(1, 0, 2)
    return motion

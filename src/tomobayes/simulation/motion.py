"""Beam-induced motion: smooth in space, a random walk in dose."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Kernel", "beam_induced_motion"]

Float = NDArray[np.float64]
Kernel = Literal["square-exponential", "exponential"]
"""How the motion of two particles at distance r correlates: exp(-r²/(2·correlation²)) (eq 38), or exp(-r/correlation) (eq 39)."""


def beam_induced_motion(
    position_angstrom: Float,
    dose: Float,
    step_angstrom: float,
    random: np.random.Generator,
    correlation_angstrom: float = 500.0,
    kernel: Kernel = "square-exponential",
) -> Float:
    """Displacements (P, F, 3) in the tomogram frame, Å; zero in the first exposure.

    Between consecutive exposures (in order of dose) every particle moves by a normal step of standard deviation
    ``step_angstrom`` per axis; the steps of two particles correlate by the kernel of their distance.

    Parameters
    ----------
    position_angstrom : (P, 3)
    dose : (F,) e/Å² before each tilt
    """
    squared = np.square(position_angstrom[:, None] - position_angstrom[None]).sum(-1)
    exponent = squared / (2 * correlation_angstrom**2) if kernel == "square-exponential" else np.sqrt(squared) / correlation_angstrom
    covariance = np.exp(-exponent) + 1e-6 * np.eye(len(position_angstrom))
    root = np.linalg.cholesky(covariance)
    steps = step_angstrom * np.einsum("pq,fqd->fpd", root, random.standard_normal((len(dose), len(position_angstrom), 3)))
    steps[0] = 0
    motion = np.empty((len(position_angstrom), len(dose), 3))
    motion[:, np.argsort(dose, kind="stable")] = np.cumsum(steps, axis=0).transpose(1, 0, 2)
    return motion

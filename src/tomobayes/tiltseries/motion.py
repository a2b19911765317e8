"""Beam-induced motion of particles as a Gaussian process in space, and a random walk in dose (eqs 37-42).

The displacement of a particle is the sum of its velocities over the tilts before, in the order of dose. The velocities of all particles
in one tilt are smooth in space; from one tilt to the next they are independent, since images are exposed one by one.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["Kernel", "chronological_rank", "motion_basis"]

Kernel = Literal["square-exponential", "exponential"]
LEFT_OUT = 1e-3
"""Share of the velocities' variance that the modes left out may have."""


def chronological_rank(dose: NDArray[np.float64]) -> NDArray[np.int64]:
    """(F,) how many tilts were taken before each, by dose; equal doses in the order of their rows."""
    rank = np.empty(len(dose), dtype=np.int64)
    rank[np.argsort(dose, kind="stable")] = np.arange(len(dose))
    return rank


def motion_basis(
    position_angstrom: NDArray[np.float64], sigma_velocity: float, sigma_divergence: float, kernel: Kernel, left_out: float = LEFT_OUT
) -> NDArray[np.float64]:
    """Modes of collective motion, the strongest first (eqs 38-41): velocities of a tilt are basis @ q with q standard normal.

    Parameters
    ----------
    position_angstrom : (P, 3)
    sigma_velocity : standard deviation, along each axis, of a particle's displacement from one tilt to the next, Å
    sigma_divergence : Å over which velocities stay alike: covariance σ_V²·exp(-d²/σ_D²), or σ_V²·exp(-d/σ_D)
    left_out : share of the variance that may be dropped

    Returns
    -------
    (P, M)
    """
    distance = np.linalg.norm(position_angstrom[:, None] - position_angstrom, axis=-1) / sigma_divergence
    covariance = sigma_velocity**2 * np.exp(-(distance**2) if kernel == "square-exponential" else -distance)
    variance, modes = (one.numpy() for one in torch.linalg.eigh(torch.from_numpy(covariance)))
    kept = np.cumsum(variance.clip(min=0)) > left_out * variance.sum()
    kept[-1] = True
    basis: NDArray[np.float64] = (modes[:, kept] * np.sqrt(variance[kept].clip(min=0)))[:, ::-1].copy()
    return basis

"""Beam-induced motion of particles as a Gaussian process in space, and a random walk in dose (eqs 37-42).

The displacement of a particle is the sum of its velocities over the tilts before, in the order of dose. The velocities of all particles
in one tilt are smooth in space; from one tilt to the next they are independent, since images are exposed one by one.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["MOST_MODES", "Kernel", "chronological_rank", "left_out_share", "most_modes", "motion_basis"]

Kernel = Literal["square-exponential", "exponential"]
LEFT_OUT = 1e-3
"""Share of the velocities' variance that the modes left out may have, if there are not too many others."""
MOST_MODES, MOST_PLACES = 128, 2.5e5
"""So many modes at most, and fewer the more particles walk in them: the fit's cost grows with the square of their number, its memory
with theirs times that of particles. What the others would do is left out, and told."""
EXACT = 512
"""Particles of a tilt series up to which all modes are computed before the strongest are taken."""


def most_modes(particles: int) -> int:
    """In how many modes particles of one tilt series may move at most."""
    return min(MOST_MODES, max(1, int(MOST_PLACES / particles)))


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
    (P, M), M at most `most_modes`
    """
    most = most_modes(len(position_angstrom))
    if len(position_angstrom) > EXACT:
        factor = _pivoted_cholesky(position_angstrom / sigma_divergence, kernel, 2 * most)
        modes, strength, _ = np.linalg.svd(factor, full_matrices=False)
        kept = np.cumsum(strength[::-1] ** 2)[::-1] > left_out * len(factor) - (len(factor) - (strength**2).sum())
        kept[0] = True
        return np.asarray(sigma_velocity * (modes * strength)[:, kept][:, :most])
    distance = np.linalg.norm(position_angstrom[:, None] - position_angstrom, axis=-1) / sigma_divergence
    covariance = sigma_velocity**2 * np.exp(-(distance**2) if kernel == "square-exponential" else -distance)
    variance, modes = (one.numpy() for one in torch.linalg.eigh(torch.from_numpy(covariance)))
    kept = np.cumsum(variance.clip(min=0)) > left_out * variance.sum()
    kept[-1] = True
    basis: NDArray[np.float64] = (modes[:, kept] * np.sqrt(variance[kept].clip(min=0)))[:, ::-1][:, :most].copy()
    return basis


def _pivoted_cholesky(points: NDArray[np.float64], kernel: Kernel, rank: int) -> NDArray[np.float64]:
    """(P, rank) L with L·Lᵀ ≈ exp(-d²) or exp(-d): each column takes all of what is left of the particle that is told least of so far."""
    factor = np.zeros((len(points), rank))
    left = np.ones(len(points))
    for column in range(rank):
        pivot = int(left.argmax())
        distance = np.linalg.norm(points - points[pivot], axis=1)
        row = np.exp(-(distance**2) if kernel == "square-exponential" else -distance) - factor[:, :column] @ factor[pivot, :column]
        if left[pivot] < 1e-9:
            break
        factor[:, column] = row / np.sqrt(left[pivot])
        left = (left - factor[:, column] ** 2).clip(min=0)
    return factor


def left_out_share(basis: NDArray[np.float64], sigma_velocity: float) -> float:
    """The share of the velocities' variance that modes (P, M) leave out."""
    return max(0.0, 1 - float((basis**2).sum()) / (len(basis) * sigma_velocity**2))

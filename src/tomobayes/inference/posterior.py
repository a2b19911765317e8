"""The posterior of one particle's pose, as weighted orientations and shifts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

__all__ = ["MASS", "Posterior", "significant", "trimmed"]

MASS = 0.999
"""Share of the posterior that is kept between levels (RELION's --adaptive_fraction)."""


@dataclass(frozen=True)
class Posterior:
    """p(A, T | X) of one particle on the finest grid, in the statistics' shared frame.

    Parameters
    ----------
    row : index into the statistics' particles
    rotations : (K, 3, 3) reference -> frame; shifts_px : (M, 3) box pixels
    probability : (M, K), sums to 1
    log_density : (M, K) nats, log likelihood + log prior, unnormalised
    slices : (K, Q) V(Aᵀq) at the finest level's samples
    log_evidence : nats, log ∫ exp(log_density) over radians and box pixels
    covariance : (6, 6) of turns (radians, in the reference's frame) and shifts (box pixels) around the peak (Laplace); None: on a grid
    discarded : share of the posterior that coarser levels dropped, as they saw it
    """

    row: int
    rotations: Tensor
    shifts_px: Tensor
    probability: Tensor
    log_density: Tensor
    slices: Tensor
    log_evidence: float
    covariance: Tensor | None = None
    discarded: float = 0.0


def significant(log_weight: Tensor, fewest: int, most: int) -> Tensor:
    """Indices of the entries that hold MASS of the total, best first."""
    order = log_weight.argsort(descending=True)
    share = torch.softmax(log_weight[order].double(), 0).cumsum(0)
    needed = int((share < MASS).sum()) + 1
    return order[: min(max(needed, fewest), most, len(order))]


def trimmed(posterior: Posterior) -> Posterior:
    """Without the orientations and shifts that hold less than 1 - MASS of the posterior, renormalised."""
    kept = significant(posterior.probability.sum(0).clamp_min(1e-30).log(), 1, 512)
    moved = significant(posterior.probability.sum(1).clamp_min(1e-30).log(), 1, 512)
    probability = posterior.probability[moved][:, kept]
    return replace(
        posterior,
        rotations=posterior.rotations[kept],
        shifts_px=posterior.shifts_px[moved],
        probability=probability / probability.sum(),
        log_density=posterior.log_density[moved][:, kept],
        slices=posterior.slices[kept],
    )

"""A mixture of K points in a subspace: which of K maps within it each particle shows.

The likelihood is that of K maps, restricted to those that the subspace holds, and costs so little there that it is maximised from many
starts: the best of them is found whatever the first labels were.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Mixture", "fit_mixture"]

STARTS, ITERATIONS = 100, 200
ENOUGH = 1e-4
"""Nats: climbing ends where an iteration gains less."""


@dataclass(frozen=True)
class Mixture:
    """K points.

    Parameters
    ----------
    points : (K, r); occupancy : (K,); posterior : (P, K); log_likelihood : nats
    """

    points: Tensor
    occupancy: Tensor
    posterior: Tensor
    log_likelihood: float


def fit_mixture(linear: Tensor, quadratic: Tensor, n_points: int, seed: int) -> Mixture:
    """The likeliest of mixtures from many starts, each at particles far from each other (k-means++).

    Parameters
    ----------
    linear, quadratic : (P, r) and (P, r, r), what each particle says about its z: h'z - ½·z'Λz nats
    """
    random = torch.Generator().manual_seed(seed)
    estimates = torch.linalg.solve(quadratic + torch.eye(linear.shape[1], dtype=linear.dtype), linear)
    best: Mixture | None = None
    for _ in range(STARTS):
        found = _climbed(linear, quadratic, _far_apart(estimates, n_points, random))
        if best is None or found.log_likelihood > best.log_likelihood:
            best = found
    assert best is not None
    return best


def _far_apart(estimates: Tensor, n_points: int, random: torch.Generator) -> Tensor:
    """(K, r) of the estimates (P, r), each drawn with a probability that grows with its squared distance from those before."""
    chosen = estimates[torch.randint(len(estimates), (1,), generator=random)]
    for _ in range(n_points - 1):
        distance = torch.cdist(estimates, chosen).amin(1).square()
        chosen = torch.cat([chosen, estimates[torch.multinomial(distance + 1e-12, 1, generator=random)]])
    return chosen


def _climbed(linear: Tensor, quadratic: Tensor, points: Tensor) -> Mixture:
    """Expectation and maximisation from some points on."""
    occupancy = torch.full((len(points),), 1 / len(points), dtype=linear.dtype)
    before = -float("inf")
    ridge = 1e-6 * torch.eye(linear.shape[1], dtype=linear.dtype)
    for _ in range(ITERATIONS):
        joint = linear @ points.T - 0.5 * torch.einsum("ka,pab,kb->pk", points, quadratic, points) + occupancy.clamp_min(1e-30).log()
        total = torch.logsumexp(joint, 1)
        posterior, now = torch.exp(joint - total[:, None]), float(total.sum())
        if now - before < ENOUGH:
            break
        before, occupancy = now, posterior.mean(0)
        points = torch.linalg.solve(torch.einsum("pk,pab->kab", posterior, quadratic) + ridge, posterior.T @ linear)
    return Mixture(points, occupancy, posterior, now)

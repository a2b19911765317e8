"""Where a classification starts: from the subspace in which particles differ most, and K points in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tomobayes.compute.executors import Executor, InProcess
from tomobayes.heterogeneity.gridding import Gridded, grid_particles
from tomobayes.heterogeneity.mixture import fit_mixture
from tomobayes.heterogeneity.subspace import expected_coefficients, fit_subspace, log_evidence
from tomobayes.imaging.gathering import Portion
from tomobayes.inference.classification.iteration import with_classes
from tomobayes.inference.classification.state import ClassSettings, ClassStart, ClassState
from tomobayes.inference.reconstruction import Gather
from tomobayes.maps.fsc import FscCurves, last_shell_above
from tomobayes.maps.resampling import fourier_resample

__all__ = ["LinearStart", "linear_start", "subspace_start"]

IN_PROCESS = InProcess()

LARGEST_RANK, FOLDS = 8, 4
MOST_BYTES = 2e9
"""Of the gridded particles."""
CERTAIN = 3.0
"""Standard errors by which a component's gain must exceed zero, and nats per hundred particles that it must bring."""


@dataclass(frozen=True)
class LinearStart:
    """How a classification starts.

    Parameters
    ----------
    posterior : (P, K) float64, of the gridded particles; the same for all where they do not differ as far as can be told
    gain_nats : (r+1,) by how much the first 0, 1 … r components explain images that they were not made of better than the mean alone does;
        standard_error : of each
    rank : number of components that are worth having; 0: particles do not differ as far as can be told
    latent : (P, r) posterior means of z
    """

    posterior: Tensor
    gain_nats: Tensor
    standard_error: Tensor
    rank: int
    latent: Tensor


def subspace_start(
    parts: list[Portion], gather: Gather, state: ClassState, settings: ClassSettings, seed: int, executor: Executor = IN_PROCESS
) -> ClassState:
    """Where several classes start: from a consensus, and the directions in which particles differ from it."""
    assert state.maps is not None
    finest = settings.finest_radius or settings.images.largest_radius
    radius = _radius(state.maps.consensus_fsc, len(state.rows), finest)
    gridded = grid_particles(parts, gather, state, radius, executor)
    mask = torch.from_numpy(fourier_resample(settings.focus, gridded.box)).clamp(0, 1)
    found = linear_start(gridded, mask, settings.n_classes, seed)
    posterior = torch.zeros(len(state.posterior), settings.n_classes, dtype=torch.float64)
    posterior[torch.from_numpy(gridded.particles)] = found.posterior
    start = ClassStart("subspace", tuple(found.gain_nats.tolist()), tuple(found.standard_error.tolist()), found.rank)
    return with_classes(state, posterior, start)


def linear_start(gridded: Gridded, mask: Tensor, n_classes: int, seed: int) -> LinearStart:
    """Memberships of K classes, from a subspace of at most K-1 dimensions (that is all that K maps span).

    Parameters
    ----------
    mask : (n, n, n) in [0, 1] on the coarse grid, where classes may differ
    """
    largest = max(1, min(n_classes - 1, LARGEST_RANK))
    gain, error, rank = _worth(_held_out(gridded, mask, largest, seed))
    told = expected_coefficients(gridded, fit_subspace(gridded, mask, largest, seed))
    latent = told.posterior()[0][:, 1:]
    if rank == 0:
        alike = torch.full((len(latent), n_classes), 1 / n_classes, dtype=torch.float64)
        return LinearStart(alike, gain, error, rank, latent)
    # Components that only fit noise have faded; a weak one that tells a small class apart may predict too little to count.
    mixture = fit_mixture(*told.without_contrast(), n_classes, seed)
    return LinearStart(mixture.posterior, gain, error, rank, latent)


def _held_out(gridded: Gridded, mask: Tensor, largest: int, seed: int) -> Tensor:
    """(r+1, P) log evidence of every particle under subspaces that were fitted without its fold."""
    count = len(gridded.particles)
    fold = np.random.default_rng(seed).permutation(count) % FOLDS
    evidence = torch.empty(largest + 1, count, dtype=torch.float64)
    for one in range(FOLDS):
        left_out = np.flatnonzero(fold == one)
        subspace = fit_subspace(gridded.chosen(np.flatnonzero(fold != one)), mask, largest, seed)
        told = expected_coefficients(gridded.chosen(left_out), subspace)
        evidence[:, left_out] = torch.stack([log_evidence(told.of_rank(rank)) for rank in range(largest + 1)])
    return evidence


def _worth(evidence: Tensor) -> tuple[Tensor, Tensor, int]:
    """Gain of the first components, its standard error, and how many of them are worth having."""
    gain = evidence - evidence[0]
    total, error = gain.sum(1), gain.std(1) * gain.shape[1] ** 0.5
    rank = int(total.argmax())
    sure = bool(total[rank] > CERTAIN * error[rank]) and float(total[rank]) > gain.shape[1] / 100
    return total, error, rank if sure else 0


def _radius(curves: FscCurves, particles: int, finest: int) -> int:
    """Fourier radius at which particles are gridded: as far as the map of all is well known, and as fits into memory."""
    radius = min(finest, max(last_shell_above(curves.corrected, 0.5), 6))
    while radius > 4 and particles * 20 * 2.1 * radius**3 > MOST_BYTES:
        radius -= 1
    return radius

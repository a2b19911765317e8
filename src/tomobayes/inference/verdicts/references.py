"""Whether particles show a reference or its mirror image, when each may choose its poses."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.fourier.volume import FourierVolume, from_map
from tomobayes.geometry.healpix import angular_step_degrees
from tomobayes.imaging.gathering import Gatherer, Source, coarsest_pixel, portions, rows_of
from tomobayes.imaging.noise import precision, signal_free_sums, spectrum
from tomobayes.imaging.observation import Statistics
from tomobayes.inference.priors import PosePrior
from tomobayes.inference.sampling import Level, Plan, orientations, radius_for_step
from tomobayes.inference.scale import fit_scale
from tomobayes.inference.search import posteriors
from tomobayes.inference.verdicts.verdict import Verdict, verdict
from tomobayes.model import Dataset

__all__ = ["mirrored", "position_prior", "reference_hand"]

HEALPIX_ORDER = 2
"""15° between the orientations from which all are searched."""
SPARSE = 400
"""Orientations that are enough to see a reference's grey scale."""


def mirrored(density: Tensor) -> Tensor:
    """The mirror image of a map (n, n, n), about the plane through its centre n//2 normal to z."""
    n = density.shape[0]
    return density.flip(0) if n % 2 else density.flip(0).roll(1, 0)


def reference_hand(
    dataset: Dataset,
    source: Source,
    usable: NDArray[np.bool_],
    reference: Tensor,
    diameter_angstrom: float,
    group: NDArray[np.float64],
    sigma_shift_angstrom: float,
) -> Verdict:
    """Search every particle with the reference, its mirror image and the negatives of both, and compare evidences.

    Poses that the particles have are not used but their positions: a mirrored reference was given the poses it likes best, and so is
    its mirror image here. Without dense sampling neither is found at its very best, both equally.

    Parameters
    ----------
    reference : (n, n, n) of the source's box and pixel size, masked, on any grey scale
    group : (G, 3, 3) its point group
    sigma_shift_angstrom : how far positions may be off, one standard deviation per axis
    """
    pixel = coarsest_pixel(dataset) * source.binning
    plan, grid = _search_plan(source.box, diameter_angstrom / pixel, sigma_shift_angstrom / pixel, group)
    gather = Gatherer(dataset, source, plan.levels[-1].radius)
    parts = portions(dataset, usable)

    def evidence(one: Tensor) -> NDArray[np.float64]:
        volume = from_map(one, plan.levels[-1].radius)
        return np.concatenate([_of_portion(dataset, gather(part), volume, plan, grid, sigma_shift_angstrom) for part in parts])

    return verdict(evidence(reference) - evidence(mirrored(reference)))


def _search_plan(box: int, diameter_px: float, sigma_shift_px: float, group: NDArray[np.float64]) -> tuple[Plan, Tensor]:
    """From all orientations, with the coarse half of the detail, to half their spacing with as much detail as that can follow."""
    step = angular_step_degrees(HEALPIX_ORDER)
    radius = min(box // 2 - 1, radius_for_step(step / 2, diameter_px, box))
    levels = tuple(
        Level(spacing, max(1.0, box / (4 * within)), within) for spacing, within in ((step, (radius + 1) // 2), (step / 2, radius))
    )
    return Plan(levels, 180.0, max(2 * sigma_shift_px, 1.0)), orientations(HEALPIX_ORDER, group)


def _of_portion(
    dataset: Dataset, statistics: Statistics, volume: FourierVolume, plan: Plan, grid: Tensor, sigma_shift_angstrom: float
) -> NDArray[np.float64]:
    """(P,) log evidence of some particles."""
    prior = position_prior(torch.from_numpy(dataset.particles.centre_angstrom[statistics.particles]), sigma_shift_angstrom)
    weight = precision(statistics, spectrum(signal_free_sums(statistics)))
    return _log_evidence(statistics, weight, volume, prior, plan, grid).numpy()


def position_prior(centre_angstrom: Tensor, sigma_shift_angstrom: float) -> PosePrior:
    """Nothing is known but the position."""
    n = len(centre_angstrom)
    still, none = torch.eye(3, dtype=torch.float64).expand(n, 3, 3), torch.full((n,), math.nan, dtype=torch.float64)
    return PosePrior(still, math.inf, still, none, math.inf, centre_angstrom, sigma_shift_angstrom)


def _log_evidence(statistics: Statistics, weight: Tensor, volume: FourierVolume, prior: PosePrior, plan: Plan, grid: Tensor) -> Tensor:
    """(P,) log ∫ P(images | reference, pose) over all poses, nats, with the grey scale that suits a few of the particles best.

    Parameters
    ----------
    weight : (Q,) 1/σ²
    grid : (O, 3, 3) orientations of the first level
    """
    still = torch.eye(3, dtype=torch.float64).expand(len(statistics.particles), 3, 3)
    few = slice(0, 8)
    sparse = grid[:: max(1, len(grid) // SPARSE)]
    some = replace(prior, rotation=prior.rotation[few], centre_angstrom=prior.centre_angstrom[few])
    scale = fit_scale(rows_of(statistics, few), weight, volume, some, plan, still[few], prior.centre_angstrom[few], sparse)
    scaled = replace(volume, data=volume.data * scale)
    found = posteriors(statistics, weight, scaled, prior, plan, still, prior.centre_angstrom, grid)
    return torch.tensor([one.log_evidence for one in found], dtype=torch.float64)

"""Which orientations, places and classes the images of some particles show, and what that adds to the map of every class."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.compute.device import CPU, best_device, moved
from tomobayes.fourier.slices import Accumulator
from tomobayes.fourier.volume import FourierVolume, Sums, from_map
from tomobayes.geometry.healpix import angular_step_degrees
from tomobayes.imaging.gathering import Portion
from tomobayes.imaging.noise import precision
from tomobayes.imaging.observation import Statistics
from tomobayes.inference.abinitio.schedule import HEALPIX_ORDER, plan_of, step_of
from tomobayes.inference.abinitio.state import AbInitioSettings, AbInitioState
from tomobayes.inference.expectation import PoseEstimates, accumulate, summary
from tomobayes.inference.maximisation import backproject
from tomobayes.inference.posterior import trimmed
from tomobayes.inference.priors import PosePrior
from tomobayes.inference.reconstruction import Gather, sums_together
from tomobayes.inference.sampling import orientations, perturbed
from tomobayes.inference.schedule import pose_prior
from tomobayes.inference.search import posteriors
from tomobayes.model import Particles

__all__ = ["AbInitioExpectation", "AbInitioFound", "RandomStart", "ab_initio_found_together"]

LEAST = 1e-3
"""Particles that show a class with a smaller probability add nothing to it."""


@dataclass(frozen=True)
class AbInitioFound:
    """What expectations of some portions find.

    Parameters
    ----------
    sums : (half, class) -> Σb and Σw
    particles : (p,) rows of the data set; posterior : (p, K); estimates : of the likeliest class, its log evidence that of all classes
    """

    sums: dict[tuple[int, int], Sums]
    particles: NDArray[np.int64]
    posterior: Tensor
    estimates: PoseEstimates


def ab_initio_found_together(one: AbInitioFound, two: AbInitioFound) -> AbInitioFound:
    """What two expectations find; the sums of the first become those of both."""
    return AbInitioFound(
        sums_together(one.sums, two.sums),
        np.concatenate([one.particles, two.particles]),
        torch.cat([one.posterior, two.posterior]),
        one.estimates.together(two.estimates),
    )


@dataclass(frozen=True)
class RandomStart:
    """Σb and Σw of a portion's particles in random orientations at the given places; each particle goes to one class.

    Where priors tell of an orientation, what they leave open is random: the likeliest of many orientations that chance offers.
    """

    particles: Particles
    gather: Gather
    settings: AbInitioSettings
    state: AbInitioState

    def __call__(self, part: Portion) -> dict[tuple[int, int], Sums]:
        settings, rows = self.settings, torch.from_numpy(part.particles)
        random = np.random.default_rng((settings.seed, self.state.iteration, *part.particles[:1].tolist()))
        prior = pose_prior(self.particles, part, self.state.images(settings), self.state)
        rotation = torch.stack([_drawn(prior, row, random) for row in range(len(rows))])
        label = random.integers(settings.n_classes, size=len(rows))
        statistics = self.gather(part)
        weight = precision(statistics, self.state.sigma2[part.tilt_series, part.half])
        found = {}
        for k in np.unique(label).tolist():
            some = np.flatnonzero(label == k)
            accumulator = Accumulator(settings.images.box, settings.finest_radius)
            backproject(accumulator, _some_of(statistics, some), weight, rotation[some], self.state.centre_angstrom[rows[some]])
            found[part.half, k] = accumulator.sums()
        return found


def _drawn(prior: PosePrior, row: int, random: np.random.Generator) -> Tensor:
    """(3, 3) an orientation from the prior of one particle, reference -> tomogram."""
    from scipy.spatial.transform import Rotation

    from tomobayes.inference.priors import log_prior_rotation

    tried = torch.from_numpy(Rotation.random(2000, random_state=random).as_matrix())
    chance = log_prior_rotation(prior, row, tried)
    return tried[int((chance + torch.from_numpy(random.gumbel(size=len(tried)))).argmax())]


def _some_of(statistics: Statistics, rows: NDArray[np.int64]) -> Statistics:
    names = ("particles", "data", "weight", "frame", "anchor_angstrom")
    return replace(statistics, **{name: getattr(statistics, name)[rows] for name in names})


@dataclass(frozen=True)
class AbInitioExpectation:
    """The expectation of a portion's particles under a state: a sum over orientations, places and classes."""

    particles: Particles
    gather: Gather
    settings: AbInitioSettings
    state: AbInitioState

    def __call__(self, part: Portion) -> AbInitioFound:
        state, settings, place = self.state, self.settings, best_device()
        step, key, rows = step_of(state.iteration, settings), (part.tilt_series, part.half), torch.from_numpy(part.particles)
        prior = pose_prior(self.particles, part, state.images(settings), state)
        statistics, sigma2, prior, rotation, centre, grid = moved(
            (self.gather(part), state.sigma2[key], prior, state.rotation[rows], state.centre_angstrom[rows], self._grid), place
        )
        weight, plan = precision(statistics, sigma2), plan_of(step.radius, settings, state.offset_sigma)
        searches = [posteriors(statistics, weight, one, prior, plan, rotation, centre, grid) for one in self._volumes]
        accumulators = [Accumulator(settings.images.box, settings.finest_radius, place) for _ in searches]
        chosen, shares = [], []
        for of_classes in zip(*searches, strict=True):
            evidence = torch.tensor([one.log_evidence for one in of_classes], dtype=torch.float64) + state.occupancy.log()
            share = torch.softmax(evidence, 0)
            for own, posterior, accumulator in zip(share.tolist(), of_classes, accumulators, strict=True):
                if own > LEAST:
                    narrow = trimmed(posterior)
                    accumulate(statistics, weight, replace(narrow, probability=own * narrow.probability), accumulator)
            best = trimmed(of_classes[int(share.argmax())])
            chosen.append(summary(statistics, prior, replace(best, log_evidence=float(torch.logsumexp(evidence, 0)))))
            shares.append(share)
        sums = {(part.half, k): accumulator.sums() for k, accumulator in enumerate(accumulators)}
        estimates = PoseEstimates(*(torch.stack(column) for column in zip(*chosen, strict=True)))
        return moved(AbInitioFound(sums, part.particles, torch.stack(shares), estimates), CPU)

    @cached_property
    def _grid(self) -> Tensor:
        group, seed = self.state.images(self.settings).group, self.settings.seed * 10_007 + self.state.iteration
        return perturbed(orientations(HEALPIX_ORDER, group), angular_step_degrees(HEALPIX_ORDER), seed)

    @cached_property
    def _volumes(self) -> list[FourierVolume]:
        mask, radius = torch.from_numpy(self.settings.images.mask), step_of(self.state.iteration, self.settings).radius
        return [from_map(moved(one * mask, best_device()), radius) for one in self.state.references]

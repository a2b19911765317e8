"""The expectation of a classification: which class (and which pose) the particles of a portion show, and what that adds to every class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.compute.device import CPU, best_device, moved
from tomobayes.fourier.slices import Accumulator
from tomobayes.fourier.volume import Sums, from_map
from tomobayes.imaging.gathering import Portion, rows_of
from tomobayes.imaging.noise import NoiseSums, precision
from tomobayes.imaging.observation import Statistics
from tomobayes.inference.classification.climb import climbed
from tomobayes.inference.classification.given_poses import aligned, compared, insert_classes
from tomobayes.inference.classification.poses import apart, expect_classes, jointly
from tomobayes.inference.classification.seen import References, Seen
from tomobayes.inference.classification.state import ClassSettings, ClassState
from tomobayes.inference.expectation import PoseEstimates
from tomobayes.inference.falloff import FalloffSums, envelope
from tomobayes.inference.gain import GainSums
from tomobayes.inference.reconstruction import Gather, added, sums_together
from tomobayes.inference.sampling import Plan
from tomobayes.inference.schedule import next_plan, pose_prior
from tomobayes.inference.task import task_of
from tomobayes.model import Particles

__all__ = ["ClassExpectation", "ClassFound", "ClassSums", "class_found_together"]

ClassSums = Mapping[tuple[int, int, int], Sums]
"""(half, fold, class) -> Σb and Σw."""


@dataclass(frozen=True)
class ClassFound:
    """What expectations of some portions find.

    Parameters
    ----------
    sums : (half, fold, class) -> Σb and Σw
    noise, particles, gains, falloffs : as of a refinement's ``Found``; no noise and no gains where there was nothing to compare with
    posterior : (p, K); log_evidence, gain_nats : (p,), of the same particles; estimates : likewise, None where poses were given
    """

    sums: dict[tuple[int, int, int], Sums]
    noise: Mapping[tuple[int, int], NoiseSums]
    particles: NDArray[np.int64]
    posterior: Tensor
    log_evidence: Tensor
    gain_nats: Tensor
    gains: tuple[GainSums, ...]
    falloffs: Mapping[tuple[int, int], FalloffSums]
    estimates: PoseEstimates | None = None


def class_found_together(one: ClassFound, two: ClassFound) -> ClassFound:
    """What two expectations find; the sums of the first become those of both."""
    estimates = None if one.estimates is None or two.estimates is None else one.estimates.together(two.estimates)
    return ClassFound(
        sums_together(one.sums, two.sums),
        added(one.noise, two.noise),
        np.concatenate([one.particles, two.particles]),
        torch.cat([one.posterior, two.posterior]),
        torch.cat([one.log_evidence, two.log_evidence]),
        torch.cat([one.gain_nats, two.gain_nats]),
        one.gains + two.gains,
        added(one.falloffs, two.falloffs),
        estimates,
    )


@dataclass(frozen=True)
class ClassExpectation:
    """The expectation of a portion's particles under a state."""

    particles: Particles
    gather: Gather
    settings: ClassSettings
    state: ClassState
    _references: dict[tuple[int, int], References] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __call__(self, part: Portion) -> ClassFound:
        statistics = self.gather(part)
        found: ClassFound | None = None
        for fold in dict.fromkeys(part.folds.tolist()):
            rows = part.rows_of(fold)
            one = self._of_fold(replace(part, particles=part.particles[rows], folds=part.folds[rows]), rows_of(statistics, rows), fold)
            found = one if found is None else class_found_together(found, one)
        assert found is not None
        return found

    def _of_fold(self, part: Portion, plain: Statistics, fold: int) -> ClassFound:
        state, key, rows, place = self.state, (part.tilt_series, part.half), torch.from_numpy(part.particles), best_device()
        gain, falloff = state.gain[key][state.slots(part)], state.falloff[key]
        plain, gain, sigma2 = moved((plain, gain, state.sigma2[key]), place)
        statistics = plain.with_gain(gain, envelope(plain.shell, falloff.to(place)))
        weight = precision(statistics, sigma2)
        accumulators = [Accumulator(self.settings.images.box, state.radius, place) for _ in range(state.n_classes)]
        seen = self._seen(part, statistics, weight, fold, accumulators)
        sums = {(part.half, fold, k): moved(one.sums(), CPU) for k, one in enumerate(accumulators)}
        if seen is None:
            blank = torch.zeros(len(rows), dtype=torch.float64)
            return ClassFound(sums, {}, part.particles, state.posterior[rows], blank, blank, (), {})
        gains = moved(seen.gains, CPU).without(gain.to(CPU))
        noise, fall = {key: moved(seen.noise, CPU)}, {key: moved(seen.falloffs, CPU).without(falloff)}
        posterior, evidence, gained, estimates = moved((seen.posterior, seen.log_evidence, seen.gain_nats, seen.estimates), CPU)
        return ClassFound(sums, noise, part.particles, posterior, evidence, gained, gains.each(), fall, estimates)

    def _seen(self, part: Portion, statistics: Statistics, weight: Tensor, fold: int, accumulators: list[Accumulator]) -> Seen | None:
        """What particles show; None where there is no map yet, and they are inserted as their classes and poses are given."""
        state, rows = self.state, torch.from_numpy(part.particles)
        rotation, centre, before = moved((state.rotation[rows], state.centre_angstrom[rows], state.posterior[rows]), best_device())
        if state.maps is not None and state.search is not None:
            return self._searched(part, statistics, weight, fold, accumulators)
        images = aligned(statistics, weight, rotation, centre, state.radius)
        if state.maps is None:
            insert_classes(images, before, accumulators)
            return None
        seen = compared(statistics, images, self._compared_with(part.half, fold), state.occupancy, state.climb, before)
        insert_classes(images, seen.posterior, accumulators)
        return seen

    def _searched(self, part: Portion, statistics: Statistics, weight: Tensor, fold: int, accumulators: list[Accumulator]) -> Seen:
        state, images, rows = self.state, self.settings.images, torch.from_numpy(part.particles)
        assert state.search is not None
        plan, grid = self._plan
        prior, rotation, centre, before, grid = moved(
            (
                pose_prior(self.particles, part, images, state.search),
                state.rotation[rows],
                state.centre_angstrom[rows],
                state.posterior[rows],
                grid,
            ),
            best_device(),
        )
        references = self._compared_with(part.half, fold)
        task = task_of(statistics, weight, references.common, prior, rotation, centre, state.radius)
        if state.climb is not None:
            believed = climbed(task, references, plan, grid, before, state.climb)
        else:
            weigh = jointly if references.alignment is None else apart
            believed = weigh(task, references, plan, grid, state.occupancy)
        return expect_classes(task, weight, believed, accumulators)

    @cached_property
    def _plan(self) -> tuple[Plan, Tensor | None]:
        assert self.state.search is not None
        return next_plan(self.state.search, self.settings.images)

    def _compared_with(self, half: int, fold: int) -> References:
        """Transforms of what the particles of a fold are compared with; those of the other half are forgotten."""
        assert self.state.maps is not None
        if (half, fold) not in self._references:
            for other in [key for key in self._references if key[0] != half]:
                del self._references[other]
            *classes, common = (one.to(best_device()) for one in self.state.maps.references[half - 1][fold])
            mask, radius = self.settings.alignment, self.state.radius
            part = None if mask is None else from_map(common * torch.from_numpy(mask).to(common), radius)
            self._references[half, fold] = References([from_map(one, radius) for one in classes], from_map(common, radius), part)
        return self._references[half, fold]

"""What one iteration does to one portion of the particles, wherever that happens, and how the findings of portions add up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.compute.device import CPU, best_device, moved
from tomobayes.fourier.slices import Accumulator
from tomobayes.fourier.volume import FourierVolume, Sums, from_map
from tomobayes.imaging.gathering import Portion, rows_of
from tomobayes.imaging.noise import NoiseSums, precision
from tomobayes.imaging.observation import Statistics
from tomobayes.inference.expectation import PoseEstimates, expect
from tomobayes.inference.falloff import FalloffSums, envelope
from tomobayes.inference.gain import GainSums
from tomobayes.inference.reconstruction import Gather, added, sums_together
from tomobayes.inference.sampling import Plan
from tomobayes.inference.schedule import next_plan, pose_prior
from tomobayes.inference.state import Settings, State
from tomobayes.model import Particles

__all__ = ["Expectation", "Found", "found_together"]


@dataclass(frozen=True)
class Found:
    """What expectations of some portions find.

    Parameters
    ----------
    sums : (half, fold) -> Σb and Σw; noise : (tilt series, half) -> squared residuals
    particles : (P,) rows of the data set; estimates : of these, in the same order
    gains : per particle what its images say about the strength of the signal, without the gain that was applied, (F,) each
    falloffs : (tilt series, half) -> what they say about its fall with frequency, without the one that was applied
    """

    sums: dict[tuple[int, int], Sums]
    noise: Mapping[tuple[int, int], NoiseSums]
    particles: NDArray[np.int64]
    estimates: PoseEstimates
    gains: tuple[GainSums, ...]
    falloffs: Mapping[tuple[int, int], FalloffSums]


def found_together(one: Found, two: Found) -> Found:
    """What two expectations find; the sums of the first become those of both."""
    return Found(
        sums_together(one.sums, two.sums),
        added(one.noise, two.noise),
        np.concatenate([one.particles, two.particles]),
        one.estimates.together(two.estimates),
        one.gains + two.gains,
        added(one.falloffs, two.falloffs),
    )


@dataclass(frozen=True)
class Expectation:
    """The expectation of a portion's particles under a state.

    Folds whose references are the same, as all are at first where a reference is given, are compared with it together.
    """

    particles: Particles
    gather: Gather
    settings: Settings
    state: State
    _volumes: dict[tuple[int, int], FourierVolume] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __call__(self, part: Portion) -> Found:
        statistics = self.gather(part)
        found = [self._expected(one, rows_of(statistics, rows)) for one, rows in self._groups(part)]
        whole = found[0]
        for other in found[1:]:
            whole = found_together(whole, other)
        return whole

    @cached_property
    def _search(self) -> tuple[Plan, Tensor | None]:
        return next_plan(self.state, self.settings)

    @cached_property
    def _share_references(self) -> bool:
        return all(torch.equal(folds[0], other) for folds in self.state.fold_references for other in folds[1:])

    def _groups(self, part: Portion) -> Iterator[tuple[Portion, slice]]:
        """The particles that are compared with one reference, and where they are in the portion."""
        if self._share_references:
            yield part, slice(None)
            return
        for fold in dict.fromkeys(part.folds.tolist()):
            rows = part.rows_of(fold)
            yield replace(part, particles=part.particles[rows], folds=part.folds[rows]), rows

    def _expected(self, part: Portion, plain: Statistics) -> Found:
        state, key, rows = self.state, (part.tilt_series, part.half), torch.from_numpy(part.particles)
        place = best_device()
        prior = pose_prior(self.particles, part, self.settings, state)
        plan, grid = self._search
        gain, falloff = state.gain[key][state.slots(part)], state.falloff[key]
        plain, gain, sigma2, prior, rotation, centre, grid = moved(
            (plain, gain, state.sigma2[key], prior, state.rotation[rows], state.centre_angstrom[rows], grid), place
        )
        statistics = plain.with_gain(gain, envelope(plain.shell, falloff.to(place)))
        reach = self.settings.largest_radius if state.phase == "final" else state.radius
        accumulators = {fold: Accumulator(self.settings.box, reach, place) for fold in dict.fromkeys(part.folds.tolist())}
        estimates, noise, strength, fall = expect(
            statistics,
            precision(statistics, sigma2),
            self._volume(part),
            prior,
            plan,
            rotation,
            centre,
            [accumulators[fold] for fold in part.folds.tolist()],
            grid,
            self.settings.relion4_likelihood,
        )
        sums = {(part.half, fold): accumulator.sums() for fold, accumulator in accumulators.items()}
        strength, fall = strength.without(gain), moved(fall, CPU).without(falloff)
        return moved(Found(sums, {key: noise}, part.particles, estimates, strength.each(), {key: fall}), CPU)

    def _volume(self, part: Portion) -> FourierVolume:
        """Transform of the reference of a portion of one fold, or of all; those of the other half are forgotten."""
        key = (part.half, 0 if self._share_references else int(part.folds[0]))
        if key not in self._volumes:
            for other in [old for old in self._volumes if old[0] != part.half]:
                del self._volumes[other]
            reference = self.state.fold_references[key[0] - 1][key[1]]
            self._volumes[key] = from_map(moved(reference * torch.from_numpy(self.settings.mask), best_device()), self.state.radius)
        return self._volumes[key]

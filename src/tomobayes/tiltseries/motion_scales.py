"""How fast particles move and how alike neighbours do, how far angles and positions are off: learned from the images of a tilt series.

These are the widths of the priors. The evidence for them, the likelihood of the images whatever the alignment, is Gaussian once the
tables are replaced by parabolas at a fit, and then costs no more than one factorisation of the chain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.tiltseries.alignment import Choice, Fit, free_parameters
from tomobayes.tiltseries.chain import factorised
from tomobayes.tiltseries.information import Prior, information_chain
from tomobayes.tiltseries.motion import Kernel, motion_basis
from tomobayes.tiltseries.placement import Placement, pulled_back
from tomobayes.tiltseries.tables import Tables, look_up

__all__ = ["MotionPlan", "Scales", "basis_of", "learned_scales"]

USUAL_VELOCITY, USUAL_DIVERGENCE = 0.2, 5000.0
"""Å per e/Å² and Å: where the search begins, RELION's defaults."""
BELIEF = 3.0
"""Standard deviation of the scales around where the search begins, in factors of 2."""
NARROWEST = 500.0
"""Å, the shortest distance over which motion is looked for to be alike."""


@dataclass(frozen=True)
class MotionPlan:
    """A Gaussian process of motion; a scale that is None is learned from the images.

    Parameters
    ----------
    velocity : standard deviation of the velocity along each axis, Å per e/Å²; divergence : Å over which velocities are alike
    """

    velocity: float | None = None
    divergence: float | None = None
    kernel: Kernel = "square-exponential"

    @property
    def usual(self) -> MotionPlan:
        """With the usual scales in place of those that are not given."""
        return replace(self, velocity=self.velocity or USUAL_VELOCITY, divergence=self.divergence or USUAL_DIVERGENCE)


def basis_of(plan: MotionPlan, position_angstrom: NDArray[np.float64], dose: NDArray[np.float64]) -> NDArray[np.float64]:
    """(P, M) modes of motion between tilts with the scales of a plan, which must have both."""
    assert plan.velocity is not None and plan.divergence is not None
    steps = np.diff(np.sort(dose))
    per_tilt = float(np.median(steps)) if len(steps) and np.median(steps) > 0 else 1.0
    return motion_basis(position_angstrom, plan.velocity * per_tilt, plan.divergence, plan.kernel)


@dataclass(frozen=True)
class Scales:
    """Widths of the priors of an alignment.

    Parameters
    ----------
    motion : with both its scales, None where there is none
    angles, positions : factors of the weak priors' standard deviations
    """

    motion: MotionPlan | None
    angles: float = 1.0
    positions: float = 1.0

    def stretched(self, steps: tuple[int, ...]) -> Scales:
        """Velocity, divergence, angles and positions wider by so many factors of 2."""
        velocity, divergence, angles, positions = (2.0**step for step in steps)
        motion = self.motion
        if motion is not None and motion.velocity is not None and motion.divergence is not None:
            motion = replace(motion, velocity=motion.velocity * velocity, divergence=motion.divergence * divergence)
        return Scales(motion, self.angles * angles, self.positions * positions)


def learned_scales(
    start: Scales,
    free: tuple[bool, ...],
    prior: Callable[[Scales], tuple[Placement, Prior]],
    tables: Tables,
    choice: Choice,
    fit: Fit,
) -> Scales:
    """The scales with the highest evidence, by steps of a factor of 2.

    Parameters
    ----------
    free : which of velocity, divergence, angles and positions are learned
    prior : placement, with its modes of motion, and prior of some scales
    fit : around which the tables are taken for parabolas
    """
    slope = look_up(tables, fit.displacement)[1]
    pull = slope + (tables.information @ fit.displacement[..., None])[..., 0]
    known: dict[tuple[int, ...], float] = {}

    def score(steps: tuple[int, ...]) -> float:
        if steps not in known:
            belief = -0.5 * sum(step**2 for step in steps) / BELIEF**2
            known[steps] = _log_evidence(*prior(start.stretched(steps)), tables, choice, pull) + belief
        return known[steps]

    best: tuple[int, ...] = (0, 0, 0, 0)
    while True:
        near = [_stepped(best, axis, sign) for axis in range(4) if free[axis] for sign in (-1, 1)]
        found = max([best, *(steps for steps in near if not _too_narrow(start.stretched(steps)))], key=score)
        if found == best:
            return start.stretched(best)
        # On in the same direction for as long as it pays: one look instead of one along every axis.
        step = tuple(b - a for a, b in zip(best, found, strict=True))
        while not _too_narrow(start.stretched(_sum(found, step))) and score(_sum(found, step)) > score(found):
            found = _sum(found, step)
        best = found


def _stepped(steps: tuple[int, ...], axis: int, sign: int) -> tuple[int, ...]:
    return tuple(step + sign * (place == axis) for place, step in enumerate(steps))


def _sum(one: tuple[int, ...], two: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(one, two, strict=True))


def _too_narrow(scales: Scales) -> bool:
    return scales.motion is not None and scales.motion.divergence is not None and scales.motion.divergence < NARROWEST


def _log_evidence(placement: Placement, prior: Prior, tables: Tables, choice: Choice, pull: Tensor) -> float:
    """Evidence of the parabolas but for a constant, ½·bᵀH⁻¹b - ½·log det H + ½·log det of the prior, which is 1 for motion."""
    free = free_parameters(placement, choice)
    factor = factorised(information_chain(placement, tables.information, prior, free))
    zero = torch.zeros(placement.size, dtype=torch.float64)
    uphill = pulled_back(placement, zero, pull) - prior.penalty(placement, zero)[1]
    whitened = factor.forward(placement.by_dose(uphill * free))
    tilts, _, positions, shared = placement.split(free)
    own = (prior.tilt_precision.log() * tilts).sum() + (prior.border_precision.log() * torch.cat([positions.flatten(), shared])).sum()
    return 0.5 * float(whitened @ whitened) - factor.half_log_determinant + 0.5 * float(own)

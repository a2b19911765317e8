"""How fast particles move and how alike neighbours do, how far angles and positions are off: learned from the images of a tilt series.

These are the widths of the priors. The evidence for them, the likelihood of the images whatever the alignment, is Gaussian once the
tables are replaced by parabolas at a fit, and then costs no more than one factorisation of the chain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.compute.threads import one_thread
from tomobayes.tiltseries.alignment import Choice, free_parameters
from tomobayes.tiltseries.chain import log_marginal
from tomobayes.tiltseries.information import Prior, information_chain
from tomobayes.tiltseries.motion import Kernel, motion_basis
from tomobayes.tiltseries.placement import Placement, pulled_back
from tomobayes.tiltseries.tables import Tables, look_up, silenced

__all__ = ["USUAL_ANGLE", "USUAL_POSITION", "MotionPlan", "Scales", "dose_per_tilt", "learned_scales", "modes_of"]

USUAL_VELOCITY, USUAL_DIVERGENCE = 0.2, 5000.0
"""Å per e/Å² and Å: where the search begins, RELION's defaults."""
BELIEF = 3.0
"""Standard deviation of the scales around where the search begins, in factors of 2."""
USUAL_ANGLE, USUAL_POSITION = 0.25, 0.1
"""How far angles and positions usually are off, as shares of the widths of their weak priors: 0.25° and 2 Å."""
WAYS = ((0, 0, 0, 1), (0, 0, 1, 0), (1, 1, 0, 0), (0, 1, 0, 0), (1, 0, 0, 0))
"""Directions of the search among positions, angles, and divergence and velocity: those two make up for each other."""
SWEEPS = 4
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


def modes_of(
    position_angstrom: NDArray[np.float64], dose: NDArray[np.float64], kernel: Kernel
) -> Callable[[MotionPlan], NDArray[np.float64]]:
    """A function that gives the modes (P, M) of motion between tilts with the scales of a plan, which must have both.

    Parameters
    ----------
    position_angstrom : (P, 3); dose : (F,) e/Å² before each tilt
    """
    per_tilt = dose_per_tilt(dose)

    @cache
    def shapes(divergence: float) -> NDArray[np.float64]:
        return motion_basis(position_angstrom, 1.0, divergence, kernel)

    def of(plan: MotionPlan) -> NDArray[np.float64]:
        assert plan.velocity is not None and plan.divergence is not None
        return plan.velocity * per_tilt * shapes(plan.divergence)

    return of


def dose_per_tilt(dose: NDArray[np.float64]) -> float:
    """e/Å² between one tilt and the next, mostly."""
    steps = np.diff(np.sort(dose))
    return float(np.median(steps)) if len(steps) and np.median(steps) > 0 else 1.0


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


@one_thread()
def learned_scales(
    start: Scales,
    free: tuple[bool, ...],
    prior: Callable[[Scales], tuple[Placement, Prior]],
    tables: Tables,
    choice: Choice,
    around_angstrom: Tensor,
) -> Scales:
    """The scales with the highest evidence, by steps of a factor of 2.

    Parameters
    ----------
    free : which of velocity, divergence, angles and positions are learned
    prior : placement and prior of some scales
    around_angstrom : (P, F, 2) displacements found so far, around which the tables are taken for parabolas
    """
    tables = silenced(tables, choice.tilts)
    slope = look_up(tables, around_angstrom)[1]
    pull = slope + (tables.information @ around_angstrom[..., None])[..., 0]
    known: dict[tuple[int, ...], float] = {}

    def score(steps: tuple[int, ...]) -> float:
        if steps not in known:
            belief = -0.5 * sum(step**2 for step in steps) / BELIEF**2
            known[steps] = _log_evidence(*prior(start.stretched(steps)), tables, choice, pull) + belief
        return known[steps]

    best: tuple[int, ...] = (0, 0, 0, 0)
    ways = [way for way in WAYS if all(learned for learned, step in zip(free, way, strict=True) if step)]
    for _ in range(SWEEPS):
        before = best
        for way in ways:
            for sign in (-1, 1):
                here = best
                while True:
                    tried = tuple(place + sign * step for place, step in zip(best, way, strict=True))
                    if _too_narrow(start.stretched(tried)) or score(tried) <= score(best):
                        break
                    best = tried
                if best != here:
                    break
        if best == before:
            break
    return start.stretched(best)


def _too_narrow(scales: Scales) -> bool:
    return scales.motion is not None and scales.motion.divergence is not None and scales.motion.divergence < NARROWEST


def _log_evidence(placement: Placement, prior: Prior, tables: Tables, choice: Choice, pull: Tensor) -> float:
    """Evidence of the parabolas but for a constant, ½·bᵀH⁻¹b - ½·log det H + ½·log det of the prior, which is 1 for motion."""
    free = free_parameters(placement, choice)
    zero = torch.zeros(placement.size, dtype=torch.float64)
    uphill = pulled_back(placement, zero, pull) - prior.penalty(placement, zero)[1]
    chain = information_chain(placement, tables.information, prior, free)
    found = log_marginal(chain, placement.by_dose(uphill * free))
    tilts, _, positions, shared = placement.split(free)
    own = (prior.tilt_precision.log() * tilts).sum() + (prior.border_precision.log() * torch.cat([positions.flatten(), shared])).sum()
    return found + 0.5 * float(own)

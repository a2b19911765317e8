"""How fast particles move and how alike neighbours do, learned from the images of a tilt series.

Both are the scales of the Gaussian process of motion. The evidence for them, the likelihood of the images whatever the alignment, is
Gaussian once the tables are replaced by parabolas at a fit, and then costs no more than one factorisation of the chain.
"""

from __future__ import annotations

import math
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

__all__ = ["MotionPlan", "basis_of", "learned_scales"]

USUAL_VELOCITY, USUAL_DIVERGENCE = 0.2, 5000.0
"""Å per e/Å² and Å: where the search begins, RELION's defaults."""
BELIEF = 2.0
"""Standard deviation of the scales around the usual ones, in factors of 2."""
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


def learned_scales(
    plan: MotionPlan,
    basis: Callable[[MotionPlan], NDArray[np.float64]],
    placement: Placement,
    tables: Tables,
    prior: Prior,
    choice: Choice,
    fit: Fit,
) -> MotionPlan:
    """The scales with the highest evidence, by steps of a factor of 2.

    Parameters
    ----------
    basis : modes of a plan
    fit : of this placement, around which the tables are taken for parabolas
    """
    slope = look_up(tables, fit.displacement)[1]
    pull = slope + (tables.information @ fit.displacement[..., None])[..., 0]
    known: dict[tuple[float, float], float] = {}

    def score(at: tuple[float, float]) -> float:
        if at not in known:
            tried = replace(plan, velocity=start[0] * 2 ** at[0], divergence=start[1] * 2 ** at[1])
            moved = replace(placement, basis=torch.from_numpy(basis(tried)))
            known[at] = _log_evidence(moved, tables, prior, choice, pull) - 0.5 * (at[0] ** 2 + at[1] ** 2) / BELIEF**2
        return known[at]

    usual = plan.usual
    assert usual.velocity is not None and usual.divergence is not None
    start, best = (usual.velocity, usual.divergence), (0.0, 0.0)
    axes = [axis for axis, given in enumerate((plan.velocity, plan.divergence)) if given is None]
    lowest = math.log2(NARROWEST / start[1])
    while True:
        near = [(best[0] + sign * (axis == 0), best[1] + sign * (axis == 1)) for axis in axes for sign in (-1, 1)]
        found = max([best, *(place for place in near if place[1] >= min(lowest, 0.0))], key=score)
        if found == best:
            break
        best = found
    return replace(plan, velocity=start[0] * 2 ** best[0], divergence=start[1] * 2 ** best[1])


def _log_evidence(placement: Placement, tables: Tables, prior: Prior, choice: Choice, pull: Tensor) -> float:
    """Evidence of the parabolas but for a constant, ½·bᵀH⁻¹b - ½·log det H: the prior of motion has determinant 1 whatever its scales."""
    free = free_parameters(placement, choice)
    factor = factorised(information_chain(placement, tables.information, prior, free))
    zero = torch.zeros(placement.size, dtype=torch.float64)
    uphill = pulled_back(placement, zero, pull) - prior.penalty(placement, zero)[1]
    whitened = factor.forward(placement.by_dose(uphill * free))
    return 0.5 * float(whitened @ whitened) - factor.half_log_determinant

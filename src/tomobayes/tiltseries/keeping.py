"""What of an alignment is kept: what raises the likelihood of images that had no part in finding it.

Pairs of particle and tilt are dealt to folds in a pattern that leaves every particle most of its tilts and every tilt most of its
particles. Each fold is compared with a fit to the others. Angles, positions, motion and deformation stay only if the alignment does
better with them than without; a tilt stays as it was where the alignment gains no more on it than noise would. (The gain of a tilt that
holds no signal is as often positive as negative.) How wide priors are is learned from some particles, and whether what has such priors
is fitted at all is told by the others; how strong the signal is, is learned from all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tomobayes.compute.threads import one_thread
from tomobayes.tiltseries.alignment import Choice, Fitter, Group
from tomobayes.tiltseries.information import Prior
from tomobayes.tiltseries.placement import Placement
from tomobayes.tiltseries.tables import Tables, look_up

__all__ = ["FOLDS", "Kept", "chosen_by_held_out"]

FOLDS = 3
AGAIN = 3
"""How often tilts are looked through anew after some of them were left as they are."""

DEVIATIONS = 2.0
"""The whole alignment stays out unless it gains more than so many standard deviations of what noise makes of its gain; a part: than one."""


NEAR_NATS = 0.3
"""Fits that are only compared end where a step gains less than this: what is kept or not differs by more."""


@dataclass(frozen=True)
class Kept:
    """The outcome, in nats of log likelihood of images held out.

    Parameters
    ----------
    choice : what is fitted in the end
    gain : (F,) of each tilt over the state before the fit
    by_unknown : of each group of unknowns, over the same alignment without it
    """

    choice: Choice
    gain: Tensor
    by_unknown: Mapping[Group, float]


@dataclass(frozen=True)
class _HeldOut:
    """Gain of log likelihood over no change, each pair by a fit that did not see its fold, and the variance that noise gives it, (P, F).

    ``displacement`` (P, F, 2) is what these fits mean, ``parameters`` (N,) are those of each.
    """

    gain: Tensor
    variance: Tensor
    displacement: Tensor
    parameters: Sequence[Tensor]


def _held_out(placement: Placement, tables: Tables, prior: Prior, choice: Choice, like: _HeldOut | None = None) -> _HeldOut:
    """Fit without each fold in turn, starting from no change, or from fits with more freedom that have not seen the fold either.

    A start that has seen the images held out might lead to the peak that is theirs by chance.
    """
    fitter = Fitter(placement, tables, prior, choice)
    particle, tilt = torch.arange(placement.particles)[:, None], torch.arange(placement.tilts)
    fold = (particle + tilt) % FOLDS
    moved = torch.zeros(placement.particles, placement.tilts, 2, dtype=torch.float64)
    before = look_up(tables, moved)[0]
    starts = [None] * FOLDS if like is None else like.parameters
    fits = [fitter.fit(fold != number, start, NEAR_NATS, elsewhere=like is None) for number, start in enumerate(starts)]
    for number, fit in enumerate(fits):
        moved = torch.where((fold == number)[..., None], fit.displacement, moved)
    gain = look_up(tables, moved)[0] - before
    return _HeldOut(gain, _noise_variance(tables, moved), moved, [fit.parameters for fit in fits])


def _noise_variance(tables: Tables, moved: Tensor) -> Tensor:
    """(P, F) variance that noise alone gives to the change of CC over displacements (P, F, 2)."""
    return torch.einsum("pfi,pfij,pfj->pf", moved, tables.information, moved)


@one_thread()
def chosen_by_held_out(placement: Placement, tables: Tables, prior: Prior, wanted: Choice, judges: Tensor) -> Kept:
    """Leave out of what is wanted whatever does not prove itself.

    Parameters
    ----------
    judges : (P,) bool, particles of which no image had a part in the widths of the priors: by theirs is told whether unknowns with
        such priors are fitted, and whether anything is
    """
    choice, by_unknown = wanted, dict[Group, float]()
    found = _held_out(placement, tables, prior, choice)
    for name in _groups(placement, wanted):
        less = choice.without(name)
        without = _held_out(placement, tables, prior, less, found)
        by_unknown[name] = float((found.gain - without.gain)[judges].sum())
        by_chance = _noise_variance(tables, found.displacement - without.displacement)[judges].sum().sqrt()
        if not by_unknown[name] > by_chance:
            choice, found = less, without
    for _ in range(AGAIN):
        lost = choice.tilts & ~(found.gain.sum(0) > found.variance.sum(0).sqrt())
        if not lost.any():
            break
        choice = replace(choice, tilts=choice.tilts & ~lost)
        found = _held_out(placement, tables, prior, choice, found)
    if not found.gain[judges].sum() > DEVIATIONS * found.variance[judges].sum().sqrt():
        return Kept(wanted.nothing, torch.zeros(placement.tilts, dtype=torch.float64), by_unknown)
    return Kept(choice, found.gain.sum(0), by_unknown)


def _groups(placement: Placement, wanted: Choice) -> list[Group]:
    """Groups of unknowns that could be done without, the most doubtful first."""
    there: dict[Group, bool] = {
        "deformation": wanted.deformation and bool(placement.shape.shape[-1]),
        "motion": wanted.motion and bool(placement.basis.shape[1]),
        "angles": wanted.angles,
        "positions": wanted.positions,
    }
    return [name for name, fitted in there.items() if fitted]

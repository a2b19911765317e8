"""The alignment that is most likely given the tables of all particles in all tilts: L-BFGS with exact gradients (eq 36).

The fit runs in coordinates in which prior and expected information together are the identity, so that ten or twenty steps suffice
whatever the parameters. Weak priors decide what the images cannot: turning the specimen as a whole against all tilts, and shifting it
against them, changes nothing that is seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from tomobayes.compute.threads import one_thread
from tomobayes.tiltseries.chain import factorised
from tomobayes.tiltseries.descent import Descent, minimised
from tomobayes.tiltseries.information import Prior, Uncertainty, information_chain, uncertainty
from tomobayes.tiltseries.placement import RIGID, Placement, displacement, pulled_back
from tomobayes.tiltseries.tables import Tables, common_peak, look_up, silenced

__all__ = ["Choice", "Fit", "Fitter", "Group", "free_parameters", "weak_prior"]

ANGLE_DEGREES, SHIFT_ANGSTROM, POSITION_ANGSTROM, DEFORMATION_ANGSTROM = 1.0, 50.0, 20.0, 20.0
"""Standard deviations of the weak priors on angles, shifts, positions, and what one coefficient of deformation does on average."""
STEPS = 200
ENOUGH_NATS = 1e-2
"""The fit ends where a step gains less than this."""
ESCAPE_NATS = 3.0
"""A tilt is tried at the common peak of its particles where that is higher by this than where a fit has put them."""


Group = Literal["angles", "positions", "motion", "deformation"]
"""Unknowns that an alignment can do without."""


@dataclass(frozen=True)
class Choice:
    """Which unknowns a fit may change; ``tilts`` (F,) bool says whose angles, shifts and own deformation. The images of other tilts,
    which may be anywhere, say nothing of positions and motion either."""

    tilts: Tensor
    angles: bool = True
    shifts: bool = True
    positions: bool = True
    motion: bool = True
    deformation: bool = True

    @property
    def nothing(self) -> Choice:
        """Nothing at all."""
        return Choice(torch.zeros_like(self.tilts), False, False, False, False, False)

    def without(self, group: Group) -> Choice:
        """All but one group of unknowns."""
        kept = {name: getattr(self, name) and name != group for name in ("angles", "shifts", "positions", "motion", "deformation")}
        return Choice(self.tilts, **kept)


@dataclass(frozen=True)
class Fit:
    """The most probable parameters.

    Parameters
    ----------
    parameters : (N,); displacement : (P, F, 2) Å that they mean
    log_likelihood : (P, F) CC there, nats
    steps : of the search
    """

    parameters: Tensor
    displacement: Tensor
    log_likelihood: Tensor
    steps: int


def weak_prior(placement: Placement, deformation: Tensor | None = None, regularisation: float = 0.0) -> Prior:
    """Weak priors on angles, shifts, positions and deformation.

    Parameters
    ----------
    deformation : coefficients in force before the fit, (D,) or (F, D): the prior is about their sum with the fitted ones
    regularisation : λ of a penalty of λ·c² on coefficients of the deformation, besides the weak prior
    """
    angle, shift = 1 / math.radians(ANGLE_DEGREES) ** 2, 1 / SHIFT_ANGSTROM**2
    bent = placement.shape.square().sum(2).mean((0, 1)) / DEFORMATION_ANGSTROM**2 + 2 * regularisation
    present = torch.zeros_like(bent) if deformation is None else deformation.double()
    tilt = torch.tensor([angle, angle, angle, shift, shift], dtype=torch.float64).expand(placement.tilts, -1)
    border = torch.full((3 * placement.particles,), 1 / POSITION_ANGSTROM**2, dtype=torch.float64)
    nothing = torch.zeros_like(border)
    if placement.per_tilt:
        bent, present = bent.expand(placement.tilts, -1), present.expand(placement.tilts, -1)
        return Prior(torch.cat([tilt, bent], 1), torch.cat([torch.zeros_like(tilt), -present], 1), border, nothing)
    return Prior(tilt, torch.zeros_like(tilt), torch.cat([border, bent]), torch.cat([nothing, -present]))


def free_parameters(placement: Placement, choice: Choice) -> Tensor:
    """(N,) bool, which parameters are fitted. Where particles are in the first tilt is their position, not their motion."""
    free = torch.ones(placement.size, dtype=torch.bool)
    tilts, walked, place, shared = placement.split(free)
    tilts[:, :3] = (choice.tilts & choice.angles)[:, None]
    tilts[:, 3:RIGID] = (choice.tilts & choice.shifts)[:, None]
    tilts[:, RIGID:] = (choice.tilts & choice.deformation)[:, None]
    walked[:] = choice.motion
    walked[placement.rank == 0] = False
    place[:], shared[:] = choice.positions, choice.deformation
    return free


class Fitter:
    """Fits the free parameters of a tilt series, from any start and to any choice of images.

    Parameters
    ----------
    choice : which parameters may change; the others stay zero, that is, as the data set has them
    """

    def __init__(self, placement: Placement, tables: Tables, prior: Prior, choice: Choice) -> None:
        self._placement, self._tables, self._prior = placement, silenced(tables, choice.tilts), prior
        self._free = free = free_parameters(placement, choice)
        self._factor = factorised(information_chain(placement, self._tables.information, prior, free))

    @one_thread()
    def fit(self, chosen: Tensor | None = None, start: Tensor | None = None, enough: float = ENOUGH_NATS, elsewhere: bool = True) -> Fit:
        """The most probable parameters.

        Parameters
        ----------
        chosen : (P, F) bool, the images to fit to; all without it
        start : (N,) parameters to start from; zero without it
        enough : nats; the fit ends where a step gains less
        elsewhere : whether to look for tilts on the wrong side of a wave, too; a start from another fit is on the right one
        """
        shape = (self._placement.particles, self._placement.tilts)
        weight = torch.ones(shape, dtype=torch.float64) if chosen is None else chosen.double()
        begin = torch.zeros(self._placement.size, dtype=torch.float64) if start is None else start * self._free
        found = self._descended(begin, weight, enough)
        away = self._with_peaks(found, weight) if elsewhere else None
        if away is not None:
            found = min(found, self._descended(away, weight, enough), key=lambda one: one.cost)
        parameters = self._parameters(found.place)
        moved = displacement(self._placement, parameters)
        return Fit(parameters, moved, look_up(self._tables, moved)[0], found.steps)

    def _descended(self, begin: Tensor, weight: Tensor, enough: float) -> Descent:
        whitened = self._factor.multiply(self._placement.by_dose(begin))
        return minimised(lambda at: self._cost(at, weight), whitened, enough, STEPS)

    def _with_peaks(self, found: Descent, weight: Tensor) -> Tensor | None:
        """The parameters found (N,), but with tilts shifted to where their particles' tables have their common peak, where that is
        decidedly better: a descent may have ended on the wrong side of a wave. None where it has not."""
        parameters = self._parameters(found.place)
        moved = displacement(self._placement, parameters)
        peak, height = common_peak(self._tables, weight)
        better = height > (look_up(self._tables, moved)[0] * weight).sum(0) + ESCAPE_NATS
        better &= self._placement.split(self._free)[0][:, 3]
        if not better.any():
            return None
        beyond = self._tables.origin_angstrom + peak - moved
        mean = (beyond * weight[..., None]).sum(0) / weight.sum(0).clamp_min(1)[:, None]
        self._placement.split(parameters)[0][:, 3:RIGID] += torch.where(better[:, None], mean, 0)
        return parameters

    @one_thread()
    def uncertainty(self) -> Uncertainty:
        """Standard errors of the fit to all images."""
        return uncertainty(self._placement, self._factor.inverse(), self._free)

    def _cost(self, whitened: Tensor, weight: Tensor) -> tuple[float, Tensor]:
        """Negative log posterior and its gradient in whitened coordinates."""
        parameters = self._parameters(whitened)
        likelihood, slope = look_up(self._tables, displacement(self._placement, parameters))
        penalty, downhill = self._prior.penalty(self._placement, parameters)
        downhill = (downhill - pulled_back(self._placement, parameters, slope * weight[..., None])) * self._free
        return penalty - float((likelihood * weight).sum()), self._factor.forward(self._placement.by_dose(downhill))

    def _parameters(self, whitened: Tensor) -> Tensor:
        """(N,) in the order of rows; what is not free stays exactly zero."""
        return self._placement.by_row(self._factor.backward(whitened)) * self._free

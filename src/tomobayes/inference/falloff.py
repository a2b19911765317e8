"""How much faster the signal of each tilt falls off with frequency than that of the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["FalloffSums", "envelope", "fit_falloffs"]

SPREAD = 1.0
"""Prior standard deviation of log e at the last shell compared, about the mean of all tilts."""
LEAST, MOST = 0.02, 2.0
"""Bounds of the envelope, for the shells beyond those that it was fitted to."""
TRIED = torch.linspace(-3.0, 6.0, 181, dtype=torch.float64)
"""Values of -log e at the last shell compared."""


@dataclass(frozen=True)
class FalloffSums:
    """Likelihood of the envelope e of each shell and tilt, Σ e·agreement - ½·e²·power nats, both (R+1, F).

    Parameters
    ----------
    agreement : Re Σ conj(b)·V; power : Σ w·|V|², over samples and particles
    """

    agreement: Tensor
    power: Tensor

    def __add__(self, other: FalloffSums) -> FalloffSums:
        return FalloffSums(self.agreement + other.agreement, self.power + other.power)

    def without(self, falloff: Tensor) -> FalloffSums:
        """The same sums for statistics that had no ``falloff`` (F,) applied."""
        e = envelope(torch.arange(len(self.power)), falloff)
        return FalloffSums(self.agreement / e, self.power / e.square())


def envelope(shell: Tensor, falloff: Tensor) -> Tensor:
    """e = exp(-β·s²), (J,) shells and (F,) falloffs -> (J, F); β = B/4 over the squared edge of the box in Å."""
    return torch.exp(-shell.to(falloff).square()[:, None] * falloff).clamp(LEAST, MOST)


def fit_falloffs(groups: Sequence[FalloffSums]) -> list[Tensor]:
    """β of every tilt of several tilt series, (F,) each; their mean, weighted by what the images say, is zero.

    A B factor common to all tilts is one of the map, which has its own spectrum. Beam damage beyond the dose curve, motion and poor
    alignment make the signal of some tilts fall off faster; believed to be there, it narrows posteriors that should be wide.
    Gaussian likelihood; a Gaussian prior, about the common B factor, of ``SPREAD`` at the last shell that was compared.
    """
    reach = max((int(sums.power[1:].sum(1).nonzero().max()) + 1 for sums in groups if bool((sums.power[1:] > 0).any())), default=1)
    tried = TRIED / reach**2
    scores = [_scores(sums, tried) for sums in groups]
    weight = [sums.power.sum(0) for sums in groups]
    common = sum((score.sum(1) for score in scores), torch.zeros_like(tried))
    centre = tried[common.argmax()]
    prior = -0.5 * ((tried - centre) * reach**2 / SPREAD).square()
    found = [tried[(score + prior[:, None]).argmax(0)] for score in scores]
    total = sum(float(w.sum()) for w in weight)
    mean = sum(float((w * beta).sum()) for w, beta in zip(weight, found, strict=True)) / max(total, 1e-30)
    return [beta - mean for beta in found]


def _scores(sums: FalloffSums, tried: Tensor) -> Tensor:
    """(T, F) log likelihood of every falloff tried."""
    e = envelope(torch.arange(len(sums.power)), tried)
    return e.T @ sums.agreement - 0.5 * e.square().T @ sums.power

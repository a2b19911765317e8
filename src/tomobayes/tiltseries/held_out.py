"""Which changes to keep: those that raise the likelihood of particles that had no part in finding them.

The gain of a single tilt is noisy where tilts say little, and taking those that happen to be positive would take the luckiest errors.
Gains of parameters that are fitted together are therefore taken for draws from one distribution, and each is judged by what it most
probably is, given its own measurement and all others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomobayes.tiltseries.condensed import Condensed, likelihood, turned

__all__ = ["Change", "HeldOut", "held_out", "pooled"]

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Change:
    """What a fit makes of the prediction: additions to the phases and factors of the amplitude, (F, J) or (J,); None for none."""

    even: Float | None = None
    odd: Float | None = None
    gain: Float | None = None


@dataclass(frozen=True)
class HeldOut:
    """Gain of log likelihood of each tilt on particles held out from the fit, nats.

    Parameters
    ----------
    gain, error : (F,); error is the standard deviation that noise alone gives it
    """

    gain: Float
    error: Float


def held_out(sums: Condensed, fit: Callable[[Condensed], Change]) -> HeldOut:
    """Fit without each fold in turn, and measure on it.

    Parameters
    ----------
    sums : where the change starts from
    fit : of sums to a change
    """
    number = np.arange(sums.n_folds)
    gain, variance = np.zeros(sums.agreement.shape[1]), np.zeros(sums.agreement.shape[1])
    for fold in number:
        change, test = fit(sums.folds(number != fold)), sums.folds(number == fold)
        gain += (likelihood(turned(test, change.even, change.odd, change.gain)) - likelihood(test))[0]
        variance += _variance(test, change)
    return HeldOut(gain, np.sqrt(variance))


def _variance(sums: Condensed, change: Change) -> Float:
    """(F,) Σ|Δ prediction|²/σ²: the variance of the gain under noise."""
    ss, sc, cc = np.moveaxis(sums.power[0], 1, 0)
    even = np.zeros(1) if change.even is None else change.even
    factor = np.ones(1) if change.gain is None else change.gain
    if change.odd is not None:
        factor = factor * np.exp(1j * change.odd)
    s, c = factor * np.cos(even) - 1, factor * np.sin(even)
    square = ss * np.abs(s) ** 2 + 2 * sc * (s * np.conj(c)).real + cc * np.abs(c) ** 2
    return np.asarray(square.sum(-1, dtype=np.float64))


def pooled(found: HeldOut) -> Float:
    """(F,) most probable true gains of parameters that belong together, each drawn towards the others as far as noise explains it.

    A change of the prediction with Σ|Δ|²/σ² = v gains v/2 where it is true and -v/2 where it is false, with a variance of v: what is
    pooled is the gain per v.
    """
    strength = found.error**2
    if not strength.any():
        return np.zeros_like(found.gain)
    known = strength > 1e-9 * strength.max()
    ratio, variance = found.gain[known] / strength[known], 1 / strength[known]
    mean, spread = _common(ratio, variance)
    gain = np.zeros_like(found.gain)
    gain[known] = (mean * variance + ratio * spread) / (variance + spread) * strength[known]
    return gain


def _common(values: Float, variance: Float) -> tuple[float, float]:
    """Mean and variance of what values with errors scatter about: as much of it as their errors leave unexplained (Paule and Mandel)."""

    def at(spread: float) -> tuple[float, float]:
        weight = 1 / (variance + spread)
        mean = float(np.average(values, weights=weight))
        return mean, float((weight * (values - mean) ** 2).sum())

    low, high = 0.0, float(values.var() * len(values) + 1e-12)
    if at(low)[1] <= len(values) - 1:
        return at(low)[0], 0.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if at(middle)[1] > len(values) - 1 else (low, middle)
    return at(high)[0], high

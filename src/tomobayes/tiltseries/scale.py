"""How strong the signal of each tilt is (eqs 17-22), kept where particles that had no part in it agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tomobayes.model import TiltSeries
from tomobayes.tiltseries.condensed import Condensed
from tomobayes.tiltseries.held_out import HeldOut, pooled
from tomobayes.tiltseries.lambert import Lambert, about_axis, fit_lambert, lambert_scale

__all__ = ["Amplitudes", "ScaleModel", "ScaleResult", "amplitudes", "own_scale", "refined_scales"]

Float = NDArray[np.float64]
ScaleModel = Literal["tilt", "series", "all"]
"""Each tilt by itself, or Lambert's law with a luminance of each series or of all of them."""


@dataclass(frozen=True)
class Amplitudes:
    """G and H of each tilt (eqs 18-19), (F,) or (K, F) by fold of the particles, for the scale the tilts have so far: the log
    likelihood with s times as much is s·G - ½s²·H."""

    found: Float
    expected: Float

    def folds(self, chosen: NDArray[np.bool_]) -> Amplitudes:
        """(F,) of some folds together."""
        return Amplitudes(self.found[chosen].sum(0), self.expected[chosen].sum(0))

    def times(self, factor: float) -> Amplitudes:
        """For a prediction that is stronger by a factor."""
        return Amplitudes(factor * self.found, factor**2 * self.expected)

    def likelihood(self, scale: Float) -> Float:
        """Log likelihood with so much more signal."""
        return np.asarray(scale * self.found - 0.5 * scale**2 * self.expected)


@dataclass(frozen=True)
class ScaleResult:
    """Scales of one tilt series, all (F,).

    Parameters
    ----------
    before, after : what was written, and what is kept; fit : what was found, with its standard error
    law : of the ice, where it was asked for
    """

    before: Float
    after: Float
    fit: Float
    error: Float
    held_out: HeldOut
    kept: NDArray[np.bool_]
    law: Lambert | None = None


def amplitudes(sums: Condensed) -> Amplitudes:
    """G and H of each fold of the particles and each tilt."""
    return Amplitudes(sums.agreement[:, :, 0].real.sum(-1, dtype=np.float64), sums.power[:, :, 0].sum(-1, dtype=np.float64))


def own_scale(measured: Amplitudes) -> tuple[Float, Float]:
    """(F,) scale and its standard error; a tilt without signal keeps 1, with an infinite error."""
    known = (measured.expected > 0) & (measured.found > 0)
    expected = np.where(known, measured.expected, 1.0)
    return np.where(known, measured.found / expected, 1.0), np.where(known, 1 / np.sqrt(expected), np.inf)


def refined_scales(
    measured: Sequence[Amplitudes], level: Sequence[float], series: Sequence[TiltSeries], model: ScaleModel
) -> tuple[ScaleResult, ...]:
    """Scales of all tilt series, on the common level that they have now.

    Parameters
    ----------
    measured : G and H by fold, of each series
    level : mean amplitude of the reference in each series; differences between them are differences of scale
    """
    common = float(np.average(level, weights=[one.expected.sum() + 1e-30 for one in measured]))
    measured = [one.times(common / max(own, 1e-30)) for one, own in zip(measured, level, strict=True)]
    before = [one.scale for one in series]
    everything = np.ones(len(measured[0].found), dtype=bool)
    factors, errors, laws = _fitted([one.folds(everything) for one in measured], series, model)
    gain = [np.zeros_like(one) for one in before]
    variance = [np.zeros_like(one) for one in before]
    for fold in range(len(everything)):
        others, test = np.arange(len(everything)) != fold, np.arange(len(everything)) == fold
        trained = _fitted([one.folds(others) for one in measured], series, model)[0]
        for i, (one, factor) in enumerate(zip(measured, trained, strict=True)):
            held = one.folds(test)
            gain[i] += held.likelihood(factor) - held.likelihood(np.ones_like(factor))
            variance[i] += (factor - 1) ** 2 * held.expected
    results = []
    for i, old in enumerate(before):
        found = HeldOut(gain[i], np.sqrt(variance[i]))
        seen = measured[i].expected.sum(0) > 0
        kept = seen & (pooled(found) > 0 if model == "tilt" else gain[i].sum() > 0)
        fit = old * factors[i]
        results.append(ScaleResult(old, np.where(kept, fit, old), fit, old * errors[i], found, kept, laws[i]))
    return tuple(results)


def _fitted(
    measured: Sequence[Amplitudes], series: Sequence[TiltSeries], model: ScaleModel
) -> tuple[list[Float], list[Float], Sequence[Lambert | None]]:
    """By what to multiply the scales of each series, the standard errors of that, and the laws behind it."""
    alone = [own_scale(one) for one in measured]
    if model == "tilt":
        return [found for found, _ in alone], [error for _, error in alone], [None] * len(series)
    tilt = [about_axis(one.rotation)[0] for one in series]
    observed = [one.scale * found for one, (found, _) in zip(series, alone, strict=True)]
    weight = [1 / np.maximum(one.scale * error, 1e-12) ** 2 for one, (_, error) in zip(series, alone, strict=True)]
    laws = fit_lambert(observed, weight, tilt, common_luminance=model == "all")
    factors = [
        lambert_scale(law, angle) / np.where(one.scale == 0, 1, one.scale) for law, angle, one in zip(laws, tilt, series, strict=True)
    ]
    return factors, [np.full(len(found), np.nan) for found in factors], laws

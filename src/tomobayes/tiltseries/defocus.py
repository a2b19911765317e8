"""Defocus and astigmatism of every tilt of a series from its condensed images (eqs 27-30).

Defoci of a series scatter about a common mean: a Gaussian prior whose width is itself learned from the series (eq 30 with λ = 1/2τ²),
so that strong tilts speak for themselves and weak ones follow the others. First a search over a range of defocus, in which a tilt may
also be an outlier; then Newton's method on (Δz, a1, a2) of all tilts with their means.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomobayes.model import TiltSeries
from tomobayes.tiltseries.condensed import Condensed, likelihood, turned

__all__ = [
    "DefocusFit",
    "DefocusPrior",
    "defocus_of",
    "defocus_phase",
    "fit_defocus",
    "phase_per_angstrom",
    "searched_changes",
    "with_defocus",
]

Float = NDArray[np.float64]

OUTLIERS = 0.05
"""Share of tilts whose defocus may be anything in the range searched."""
BELIEF_TILTS = 1.0
"""As many tilts the belief in the spread that is expected beforehand is worth."""
BINS = 512
STEPS = 12


@dataclass(frozen=True)
class DefocusPrior:
    """What is believed of a series' defoci.

    Parameters
    ----------
    defocus_angstrom, astigmatism_angstrom : expected spread of the tilts about their mean
    known : whether the one and the other is certain, rather than to be learned
    range_angstrom : lowest and highest change that is searched
    lowest_frequency : 1/Å; what is coarser is not looked at
    """

    defocus_angstrom: float = 250.0
    astigmatism_angstrom: float = 100.0
    known: tuple[bool, bool] = (False, False)
    range_angstrom: tuple[float, float] = (-3000.0, 3000.0)
    lowest_frequency: float = 1 / 30


@dataclass(frozen=True)
class DefocusFit:
    """Mean defocus ½(U+V) and the astigmatism ½(U-V)(cos 2α, sin 2α) of each tilt, Å.

    Parameters
    ----------
    value, error : (F, 3), error as standard deviations of the posterior
    mean, spread : (3,) of the series
    outlier : (F,) whether a tilt does not belong to the others
    """

    value: Float
    error: Float
    mean: Float
    spread: Float
    outlier: NDArray[np.bool_]


def defocus_of(series: TiltSeries) -> Float:
    """(F, 3) mean defocus and astigmatism of a tilt series."""
    mean, half = (0.5 * (series.defocus_u_angstrom + sign * series.defocus_v_angstrom) for sign in (1, -1))
    angle = 2 * series.astigmatism_radians
    return np.stack([mean, half * np.cos(angle), half * np.sin(angle)], -1)


def with_defocus(value: Float) -> tuple[Float, Float, Float]:
    """U, V (Å) and the angle of U (radians) of (F, 3)."""
    half = np.hypot(value[:, 1], value[:, 2])
    return value[:, 0] + half, value[:, 0] - half, 0.5 * np.arctan2(value[:, 2], value[:, 1])


def phase_per_angstrom(frequency: Float, wavelength_angstrom: float) -> Float:
    """(3, J) radians per Å of defocus and of either astigmatism, at (J, 2) in 1/Å."""
    x, y = frequency.T
    return np.pi * wavelength_angstrom * np.stack([x * x + y * y, x * x - y * y, 2 * x * y])


def defocus_phase(change: Float, frequency: Float, wavelength_angstrom: float) -> Float:
    """(F, J) by what the CTF's argument grows with (F, 3) changes (eq 29)."""
    return np.asarray(change @ phase_per_angstrom(frequency, wavelength_angstrom))


def fit_defocus(sums: Condensed, start: Float, wavelength_angstrom: float, prior: DefocusPrior, astigmatism: bool = True) -> DefocusFit:
    """The most probable defocus and astigmatism.

    Parameters
    ----------
    sums : condensed with the optics ``start`` (F, 3); all folds are added up
    astigmatism : whether it may change
    """
    if not astigmatism:
        return _alone(_fit(sums, start[:, :1], wavelength_angstrom, prior), start)
    return _fit(sums, start, wavelength_angstrom, prior)


def _alone(found: DefocusFit, start: Float) -> DefocusFit:
    """A fit of the defocus alone, with the astigmatism that was there."""
    still = np.zeros((len(start), 2))
    mean, spread = (np.append(values, [0.0, 0.0]) for values in (found.mean, found.spread))
    return DefocusFit(np.hstack([found.value, start[:, 1:]]), np.hstack([found.error, still]), mean, spread, found.outlier)


def _fit(sums: Condensed, start: Float, wavelength_angstrom: float, prior: DefocusPrior) -> DefocusFit:
    """The fit of the first n of defocus and astigmatism, start (F, n)."""
    n = start.shape[1]
    sums = _fine(sums.folds(np.ones(sums.n_folds, dtype=bool)), prior.lowest_frequency)
    phase = phase_per_angstrom(sums.frequency, wavelength_angstrom)[:n]
    expected = np.array([prior.defocus_angstrom, prior.astigmatism_angstrom, prior.astigmatism_angstrom])[:n]
    learned = ~np.array([prior.known[0], prior.known[1], prior.known[1]])[:n]
    value, spread = start.copy(), expected.copy()
    value[:, 0], spread[0], outlier = _searched(sums, phase[0], start[:, 0], prior)
    free = outlier[:, None] & (np.arange(n) == 0)
    precision = np.where(free, 1 / (50 * expected) ** 2, 1 / spread**2)
    score = _posterior(sums, phase, value, start, precision)
    for _ in range(STEPS):
        slope, information = _slope_information(turned(sums, even=(value - start) @ phase), phase)
        if learned.any():
            spread = np.where(learned, _spread(value, slope, information, spread, expected, outlier), spread)
            precision = np.where(free, precision, 1 / spread**2)
            score = _posterior(sums, phase, value, start, precision)
        found = _solved(value, slope, information, precision)
        value, score, moved = _stepped(sums, phase, start, precision, value, found.value, score)
        if moved < 1.0:
            break
    return DefocusFit(value, found.error, found.mean, spread, outlier)


def _fine(sums: Condensed, lowest: float) -> Condensed:
    kept = np.linalg.norm(sums.frequency, axis=1) >= lowest
    return Condensed(sums.frequency[kept], sums.shell[kept], sums.agreement[..., kept], sums.power[..., kept])


def _searched(sums: Condensed, phase: Float, start: Float, prior: DefocusPrior) -> tuple[Float, float, NDArray[np.bool_]]:
    """Most probable defocus of each tilt in the range, the spread, and which tilts are outliers; the mean is learned on the way."""
    low, high = prior.range_angstrom
    change = searched_changes(prior, phase)
    table = _range_likelihood(sums, phase, change)
    values = start[:, None] + change
    spread, mean = prior.defocus_angstrom, float(start.mean() + change[table.sum(0).argmax()])
    for _ in range(30):
        inside = np.log((1 - OUTLIERS) / (spread * math.sqrt(2 * math.pi))) - 0.5 * ((values - mean) / spread) ** 2
        outside = math.log(OUTLIERS / (high - low))
        either = np.logaddexp(inside, outside)
        weight = np.exp(table + either - (table + either).max(1, keepdims=True))
        weight /= weight.sum(1, keepdims=True)
        belongs = weight * np.exp(inside - either)
        mean = float((belongs * values).sum() / belongs.sum())
        if not prior.known[0]:
            squares = float((belongs * (values - mean) ** 2).sum())
            spread = math.sqrt((BELIEF_TILTS * prior.defocus_angstrom**2 + squares) / (BELIEF_TILTS + belongs.sum()))
    outlier = belongs.sum(1) < 0.5
    best = np.where(outlier, (table + either).argmax(1), (table + inside).argmax(1))
    return start + change[best], spread, outlier


def searched_changes(prior: DefocusPrior, phase: Float) -> Float:
    """(Z,) changes of defocus over the range, close enough for radians per Å (J,); none at all is one of them."""
    low, high = prior.range_angstrom
    step = min(60.0, 0.3 / max(float(phase.max()), 1e-9))
    change = np.linspace(low, high, math.ceil((high - low) / step) + 1)
    return np.append(change[np.abs(change) > 1e-6 * step], 0.0)


def _range_likelihood(sums: Condensed, phase: Float, change: Float) -> Float:
    """(F, Z) log likelihood of common changes of defocus; samples of nearly the same |k|² go together."""
    bins = np.minimum((BINS * phase / phase.max()).astype(np.int64), BINS - 1)
    _, index = np.unique(bins, return_inverse=True)
    count = np.bincount(index)
    mean = np.bincount(index, phase) / count
    real = np.concatenate([sums.agreement[0].real, sums.power[0]], 1)
    grouped = np.add.reduceat(real[..., np.argsort(index, kind="stable")], np.cumsum(count) - count, axis=-1, dtype=np.float64)
    s, c, ss, sc, cc = np.moveaxis(grouped, 1, 0)
    cos, sin = np.cos(mean[:, None] * change), np.sin(mean[:, None] * change)
    return np.asarray(s @ cos + c @ sin - 0.5 * (ss @ cos**2 + 2 * sc @ (sin * cos) + cc @ sin**2))


def _slope_information(sums: Condensed, phase: Float) -> tuple[Float, Float]:
    """(F, 3) gradient of the log likelihood and (F, 3, 3) expected information where the sums start from."""
    slope = (sums.agreement[0, :, 1].real - sums.power[0, :, 1]) @ phase.T
    return slope, np.einsum("fj,aj,bj->fab", sums.power[0, :, 2], phase, phase, optimize=True)


def _posterior(sums: Condensed, phase: Float, value: Float, start: Float, precision: Float) -> Float:
    """(F,) log likelihood and log prior about the mean that suits the values best."""
    mean = (precision * value).sum(0) / precision.sum(0)
    here = likelihood(turned(sums, even=(value - start) @ phase))[0]
    return np.asarray(here - 0.5 * (precision * (value - mean) ** 2).sum(1))


@dataclass(frozen=True)
class _Solution:
    """(F, 3) values, their errors, their errors about the mean, and the (3,) mean."""

    value: Float
    error: Float
    error_about_mean: Float
    mean: Float


def _solved(value: Float, slope: Float, information: Float, precision: Float) -> _Solution:
    """The maximum of the likelihood's parabola and the prior about a mean whose own prior is flat."""
    one = np.eye(value.shape[1])
    prior = precision[:, :, None] * one
    inverse = np.linalg.inv(information + prior)
    alone = np.einsum("fab,fb->fa", inverse, np.einsum("fab,fb->fa", information, value) + slope)
    pull = inverse @ prior
    about = prior - prior @ pull
    of_mean = np.linalg.inv(about.sum(0) + 1e-12 * one)
    mean = of_mean @ np.einsum("fab,fb->a", prior, alone)

    def error(pull: Float) -> Float:
        return np.asarray(np.sqrt(np.einsum("faa->fa", inverse + pull @ of_mean @ pull.swapaxes(1, 2))))

    return _Solution(alone + pull @ mean, error(pull), error(pull - one), mean)


def _spread(value: Float, slope: Float, information: Float, spread: Float, expected: Float, outlier: NDArray[np.bool_]) -> Float:
    """Most probable spread of each parameter under the likelihood's parabola, by expectation maximisation."""
    kept = ~outlier
    for _ in range(10):
        found = _solved(value[kept], slope[kept], information[kept], np.broadcast_to(1 / spread**2, value[kept].shape))
        squares = ((found.value - found.mean) ** 2 + found.error_about_mean**2).sum(0)
        spread = np.sqrt((BELIEF_TILTS * expected**2 + squares) / (BELIEF_TILTS + kept.sum()))
    return spread


def _stepped(
    sums: Condensed, phase: Float, start: Float, precision: Float, value: Float, best: Float, score: Float
) -> tuple[Float, Float, float]:
    """The values after a step towards the best ones, halved in all tilts until they are together more probable; and how far it went."""
    for halving in range(5):
        tried = value + 0.5**halving * (best - value)
        after = _posterior(sums, phase, tried, start, precision)
        if after.sum() >= score.sum() - 1e-9:
            return tried, after, float(np.abs(tried - value).max())
    return value, score, 0.0

"""Aberrations that all images of an optics group share: Zernike polynomials, symmetric ones in the CTF's argument, antisymmetric ones
in the phase of the signal.

Both are fitted by Newton's method to condensed sums, added up over tilts. Coma looks much like a shift, and where images are its part
of a shift has been taken for one: antisymmetric polynomials are fitted as what is left of them when the shift nearest to them is off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tomobayes.optics.aberrations import even_indices, odd_indices, zernike
from tomobayes.tiltseries.condensed import Condensed, turned

__all__ = [
    "AberrationResult",
    "Aberrations",
    "Parity",
    "added_up",
    "basis_of",
    "fit_aberrations",
    "refined_aberrations",
]

Float = NDArray[np.float64]

STEPS = 20
CERTAIN_RADIANS = 30.0
"""Standard deviation of the prior on any one polynomial's phase at the finest frequency; it only keeps the useless ones in bounds."""


@dataclass(frozen=True)
class Parity:
    """Which polynomials are fitted: even ones up to a degree, or odd ones."""

    odd: bool
    order: int

    def __post_init__(self) -> None:
        if self.order < (3 if self.odd else 2):
            raise ValueError(f"degree {self.order} leaves nothing to fit")

    @property
    def indices(self) -> list[tuple[int, int]]:
        """(n, m) of all polynomials up to the degree, in RELION's order."""
        of = odd_indices if self.odd else even_indices
        found: list[tuple[int, int]] = []
        while of(len(found))[0] <= self.order:
            found.append(of(len(found)))
        return found


@dataclass(frozen=True)
class Aberrations:
    """Changes of the coefficients of an optics group, and their covariance, in RELION's units.

    Parameters
    ----------
    coefficients : (N,); covariance : (N, N)
    """

    coefficients: Float
    covariance: Float

    def phase(self, frequency: Float, parity: Parity) -> tuple[Float, Float]:
        """(J,) radians at frequencies (J, 2) in 1/Å, and their standard errors."""
        basis = basis_of(frequency, parity)
        return self.coefficients @ basis, np.sqrt(np.einsum("aj,ab,bj->j", basis, self.covariance, basis).clip(0))


@dataclass(frozen=True)
class AberrationResult:
    """Aberrations of one parity of an optics group.

    Parameters
    ----------
    group : index of the optics group
    before, after : coefficients that were written, and those that are kept, in RELION's order
    found : the change that was found; gain : of the log likelihood of particles held out from it, nats
    sums : of the group's tilt series, where the change starts from
    """

    group: int
    parity: Parity
    before: tuple[float, ...]
    after: tuple[float, ...]
    found: Aberrations
    gain: float
    sums: tuple[Condensed, ...]

    @property
    def kept(self) -> bool:
        """Whether the change is worth keeping."""
        return self.gain > 0


def basis_of(frequency: Float, parity: Parity) -> Float:
    """(N, J) the polynomials."""
    x, y = torch.from_numpy(np.ascontiguousarray(frequency.T, dtype=np.float64))
    return np.stack([zernike(n, m, x, y).numpy() for n, m in parity.indices])


def added_up(sums: Condensed, lowest_frequency: float) -> Condensed:
    """The tilts of a series as one, with their own defoci, shifts and scales allowed for; finer than a frequency only."""
    kept = np.linalg.norm(sums.frequency, axis=1) >= lowest_frequency
    agreement, power = (values[..., kept].sum(1, keepdims=True) for values in (sums.agreement, sums.power))
    return Condensed(sums.frequency[kept], sums.shell[kept], agreement, power)


def fit_aberrations(found: Sequence[Condensed], parity: Parity, folds: NDArray[np.bool_]) -> Aberrations:
    """The most likely change of an optics group's coefficients.

    Parameters
    ----------
    found : of all its tilt series, `added_up`
    folds : (K,) which folds to use
    """
    whole = [one.folds(folds) for one in found]
    finest = max(float(np.linalg.norm(one.frequency, axis=1).max()) for one in whole)
    polynomials = [basis_of(one.frequency / finest, parity) for one in whole]
    mixing = _mixing(whole, polynomials, parity)
    basis = [mixing @ one for one in polynomials]
    width = np.max([np.abs(one).max(1) for one in basis], 0)
    prior = np.eye(len(width)) / CERTAIN_RADIANS**2
    value, step = np.zeros(len(width)), np.zeros(len(width))
    score, information = -math.inf, prior
    for _ in range(STEPS):
        tried = value + step
        parts = [_at(sums, tried / width @ one, one / width[:, None], parity) for sums, one in zip(whole, basis, strict=True)]
        after = sum(part[0] for part in parts) - 0.5 * float(tried @ prior @ tried)
        if after < score:
            step = 0.5 * step
            continue
        value, score = tried, after
        slope = sum(part[1] for part in parts) - prior @ value
        information = prior + np.sum([part[2] for part in parts], axis=0)
        step = np.linalg.solve(information, slope)
        if float(slope @ step) < 1e-4:
            break
    to_coefficients = (mixing @ _rescaled(finest, parity)).T / width
    return Aberrations(to_coefficients @ value, to_coefficients @ np.linalg.inv(information) @ to_coefficients.T)


def _mixing(whole: Sequence[Condensed], polynomials: Sequence[Float], parity: Parity) -> Float:
    """(M, N) which combinations of the N polynomials are fitted: all, or odd ones of degree three and more without their shifts."""
    count = len(polynomials[0])
    if not parity.odd:
        return np.eye(count)
    weight = [one.power[0, 0, 0].astype(np.float64) for one in whole]
    overlap = sum((one[:2] * w) @ one.T for one, w in zip(polynomials, weight, strict=True))
    mixing: Float = np.eye(count)[2:]
    mixing[:, :2] = -np.linalg.solve(overlap[:, :2], overlap[:, 2:]).T
    return mixing


def _rescaled(finest: float, parity: Parity) -> Float:
    """(N, N) C of Z(k/finest) = C·Z(k): frequencies in 1/Å are so small that all polynomials look like constants or lines."""
    x, y = np.meshgrid(np.linspace(-1, 1, 2 * parity.order + 3), np.linspace(-1, 1, 2 * parity.order + 3))
    points = np.stack([x.ravel(), y.ravel()], -1)
    found = np.linalg.lstsq(basis_of(points, parity).T, basis_of(points / finest, parity).T, rcond=None)[0]
    return np.asarray(found.T, dtype=np.float64)


def refined_aberrations(group: int, before: tuple[float, ...], found: Sequence[Condensed], parity: Parity) -> AberrationResult:
    """The change of a group's aberrations, added to those it has where it explains particles that were held out from it."""
    number = np.arange(found[0].n_folds)
    gain = sum(_gain(found, fit_aberrations(found, parity, number != fold), parity, number == fold) for fold in number)
    change = fit_aberrations(found, parity, number >= 0)
    after = before
    if gain > 0:
        longest = max(len(before), len(change.coefficients))
        total = np.pad(before, (0, longest - len(before))) + np.pad(change.coefficients, (0, longest - len(change.coefficients)))
        after = tuple(total.tolist())
    return AberrationResult(group, parity, before, after, change, gain, tuple(found))


def _gain(found: Sequence[Condensed], change: Aberrations, parity: Parity, folds: NDArray[np.bool_]) -> float:
    total = 0.0
    for one in found:
        test, basis = one.folds(folds), basis_of(one.frequency, parity)
        phase = change.coefficients @ basis
        total += _at(test, phase, basis, parity)[0] - _at(test, 0 * phase, basis, parity)[0]
    return total


def _at(sums: Condensed, phase: Float, basis: Float, parity: Parity) -> tuple[float, Float, Float]:
    """Log likelihood, its gradient and the expected information with a phase added, of sums over tilts."""
    # The symmetric phase of RELION is subtracted from the argument of the CTF's sine.
    here = turned(sums, odd=phase) if parity.odd else turned(sums, even=-phase)
    (s, c), (ss, sc, cc) = here.agreement[0, 0].astype(np.complex128), here.power[0, 0].astype(np.float64)
    slope, weight = (-s.imag, ss) if parity.odd else (sc - c.real, cc)
    return float((s.real - 0.5 * ss).sum()), basis @ slope, (basis * weight) @ basis.T

"""Aberrations that all images of an optics group share: Zernike polynomials, symmetric ones in the CTF's argument, antisymmetric ones
in the phase of the signal.

Both are fitted by Newton's method to condensed sums, added up over tilts. A shift of a tilt looks much like coma, so antisymmetric
ones are fitted together with a shift of every tilt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tomobayes.optics.aberrations import even_indices, odd_indices, zernike
from tomobayes.tiltseries.condensed import Condensed, turned
from tomobayes.tiltseries.nuisance import SHIFT_ANGSTROM

__all__ = [
    "AberrationResult",
    "AberrationSums",
    "Aberrations",
    "Parity",
    "aberration_sums",
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

    @property
    def indices(self) -> list[tuple[int, int]]:
        """(n, m) of all polynomials up to the degree, in RELION's order."""
        of = odd_indices if self.odd else even_indices
        found: list[tuple[int, int]] = []
        while of(len(found))[0] <= self.order:
            found.append(of(len(found)))
        return found


@dataclass(frozen=True)
class AberrationSums:
    """What one tilt series says of aberrations, apart for K folds, added up over its tilts.

    Parameters
    ----------
    sums : as of one tilt
    taken : (K, N, N) information on odd polynomials that shifts of the tilts take away; zero for even ones
    """

    sums: Condensed
    taken: Float


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
    sums: tuple[AberrationSums, ...]

    @property
    def kept(self) -> bool:
        """Whether the change is worth keeping."""
        return self.gain > 0


def basis_of(frequency: Float, parity: Parity) -> Float:
    """(N, J) the polynomials."""
    x, y = torch.from_numpy(np.ascontiguousarray(frequency.T, dtype=np.float64))
    return np.stack([zernike(n, m, x, y).numpy() for n, m in parity.indices])


def aberration_sums(sums: Condensed, parity: Parity, lowest_frequency: float) -> AberrationSums:
    """Add up the tilts of a series, with its own defoci, shifts and scales allowed for."""
    kept = np.linalg.norm(sums.frequency, axis=1) >= lowest_frequency
    sums = Condensed(sums.frequency[kept], sums.shell[kept], sums.agreement[..., kept], sums.power[..., kept])
    basis = basis_of(sums.frequency, parity)
    taken = np.zeros((sums.n_folds, len(basis), len(basis)))
    if parity.odd:
        wave = -2 * np.pi * sums.frequency.T
        for fold, power in enumerate(sums.power[:, :, 0].astype(np.float64)):
            within = np.einsum("fj,aj,bj->fab", power, wave, wave, optimize=True) + np.eye(2) / SHIFT_ANGSTROM**2 / sums.n_folds
            across = np.einsum("fj,aj,bj->fab", power, wave, basis, optimize=True)
            taken[fold] = np.einsum("fab,fac->bc", across, np.linalg.solve(within, across), optimize=True)
    added = Condensed(sums.frequency, sums.shell, sums.agreement.sum(1, keepdims=True), sums.power.sum(1, keepdims=True))
    return AberrationSums(added, taken)


def fit_aberrations(found: Sequence[AberrationSums], parity: Parity, folds: NDArray[np.bool_]) -> Aberrations:
    """The most likely change of an optics group's coefficients.

    Parameters
    ----------
    found : of all its tilt series
    folds : (K,) which folds to use
    """
    whole = [one.sums.folds(folds) for one in found]
    basis = [basis_of(one.frequency, parity) for one in whole]
    width = np.max([np.abs(one).max(1) for one in basis], 0)
    taken = sum(one.taken[folds].sum(0) for one in found) / np.outer(width, width)
    prior = np.eye(len(width)) / CERTAIN_RADIANS**2
    value = np.zeros(len(width))
    score, information = -np.inf, prior
    step = np.zeros_like(value)
    for _ in range(STEPS):
        parts = [_at(sums, (value + step) / width @ one, one / width[:, None], parity) for sums, one in zip(whole, basis, strict=True)]
        tried = value + step
        after = sum(part[0] for part in parts) + 0.5 * tried @ (taken - prior) @ tried
        if after < score:
            step = 0.5 * step
            continue
        value, score = tried, after
        slope = sum(part[1] for part in parts) + (taken - prior) @ value
        information = sum(part[2] for part in parts) - taken + prior
        step = np.linalg.solve(information, slope)
        if float(slope @ step) < 1e-4:
            break
    covariance = np.linalg.inv(information)
    return Aberrations(value / width, covariance / np.outer(width, width))


def refined_aberrations(group: int, before: tuple[float, ...], found: Sequence[AberrationSums], parity: Parity) -> AberrationResult:
    """The change of a group's aberrations, added to those it has where it explains particles that were held out from it."""
    number = np.arange(found[0].sums.n_folds)
    gain = sum(_gain(found, fit_aberrations(found, parity, number != fold), parity, number == fold) for fold in number)
    change = fit_aberrations(found, parity, number >= 0)
    after = before
    if gain > 0:
        longest = max(len(before), len(change.coefficients))
        total = np.pad(before, (0, longest - len(before))) + np.pad(change.coefficients, (0, longest - len(change.coefficients)))
        after = tuple(total.tolist())
    return AberrationResult(group, parity, before, after, change, gain, tuple(found))


def _gain(found: Sequence[AberrationSums], change: Aberrations, parity: Parity, folds: NDArray[np.bool_]) -> float:
    total = 0.0
    for one in found:
        test, basis = one.sums.folds(folds), basis_of(one.sums.frequency, parity)
        phase = change.coefficients @ basis
        total += _at(test, phase, basis, parity)[0] - _at(test, 0 * phase, basis, parity)[0]
        total += 0.5 * float(change.coefficients @ one.taken[folds].sum(0) @ change.coefficients)
    return total


def _at(sums: Condensed, phase: Float, basis: Float, parity: Parity) -> tuple[float, Float, Float]:
    """Log likelihood, its gradient and the expected information with a phase added, of sums over tilts."""
    # The symmetric phase of RELION is subtracted from the argument of the CTF's sine.
    here = turned(sums, odd=phase) if parity.odd else turned(sums, even=-phase)
    (s, c), (ss, sc, cc) = here.agreement[0, 0].astype(np.complex128), here.power[0, 0].astype(np.float64)
    slope, weight = (-s.imag, ss) if parity.odd else (sc - c.real, cc)
    return float((s.real - 0.5 * ss).sum()), basis @ slope, (basis * weight) @ basis.T

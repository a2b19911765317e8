"""Fourier shell correlation of two half-maps: with a mask, corrected for the mask, with error bars."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tomobayes.maps.spectra import Complex, Float, Float32, inverse, radius, shell_counts, shell_index, shell_sum, transform

__all__ = [
    "FscCurves",
    "fsc",
    "fsc_standard_error",
    "independent_fraction",
    "last_shell_above",
    "masked_fsc",
    "randomise_phases",
    "resolution_at",
]

Volume = NDArray[np.floating[Any]]

SHELLS_UNCORRECTED = 2
"""Shells beyond the start of phase randomisation where the masked FSC stands: leakage there makes the correction wrong."""


@dataclass(frozen=True)
class FscCurves:
    """FSC of two half-maps, (n//2+1,) per curve, index = shell, value 1 at shell 0.

    Parameters
    ----------
    unmasked, masked : the maps as they are, and multiplied by the mask (the same where there is no mask)
    randomised : masked, after the phases beyond ``randomised_from_shell`` were randomised: what the mask alone
        would correlate; None where nothing was randomised
    corrected : the estimate to trust, (masked - randomised) / (1 - randomised)
    standard_error : of ``corrected``
    randomised_from_shell : first shell with random phases; None without a mask, or where the unmasked FSC never
        falls to the threshold (then no mask can flatter the resolution)
    """

    unmasked: Float
    masked: Float
    randomised: Float | None
    corrected: Float
    standard_error: Float
    randomised_from_shell: int | None
    box: int
    pixel_size_angstrom: float

    @cached_property
    def spatial_frequency(self) -> Float:
        """1/Å of each shell."""
        return np.arange(len(self.corrected)) / (self.box * self.pixel_size_angstrom)

    def resolution_angstrom(self, threshold: float = 0.143, *, masked: bool = True) -> float:
        """Å of the last shell before the (corrected or unmasked) FSC first falls below the threshold; infinite where shell 1 does."""
        shell = last_shell_above(self.corrected if masked else self.unmasked, threshold)
        return self.box * self.pixel_size_angstrom / shell if shell else math.inf


def fsc(a: Volume, b: Volume) -> Float:
    """Fourier shell correlation, Re Σ A·B* / sqrt(Σ|A|²·Σ|B|²) over voxels of the same rounded radius.

    Parameters
    ----------
    a, b : (n, n, n)

    Returns
    -------
    (n//2+1,) one value per shell, 1 at shell 0, 0 where a map has nothing
    """
    return _correlation(transform(a), transform(b), a.shape[0])


def _correlation(a: Complex, b: Complex, box: int) -> Float:
    cross = shell_sum(a.real * b.real + a.imag * b.imag, box)
    power = shell_sum(_power(a), box) * shell_sum(_power(b), box)
    curve = np.divide(cross, np.sqrt(power), out=np.zeros_like(cross), where=power > 0)
    curve[0] = 1
    return curve


def _power(spectrum: Complex) -> Float32:
    return np.asarray(spectrum.real**2 + spectrum.imag**2)


def last_shell_above(curve: Float, threshold: float = 0.143) -> int:
    """The last shell before a curve first falls below the threshold; 0 if that is shell 1."""
    below = np.flatnonzero(curve[1:] < threshold)
    return int(below[0]) if len(below) else len(curve) - 1


def resolution_at(curve: Float, box: int, pixel_size_angstrom: float, threshold: float = 0.143) -> float:
    """Å of the first shell below the threshold (one shell finer than RELION's last shell above); Nyquist if there is none."""
    return box * pixel_size_angstrom / min(last_shell_above(curve, threshold) + 1, box // 2)


def randomise_phases(volume: Volume, first_shell: int, seed: int) -> Float32:
    """Replace the phases from a shell on by random ones and keep the amplitudes (Chen et al. 2013)."""
    return _randomised(transform(volume), volume.shape[0], first_shell, np.random.default_rng(seed))


def _randomised(spectrum: Complex, box: int, first_shell: int, random: np.random.Generator) -> Float32:
    phase = np.float32(2 * np.pi) * random.random(spectrum.shape, dtype=np.float32)
    for plane in [0] if box % 2 else [0, box // 2]:
        # These planes hold their own Friedel mates; the phases of a real image's transform respect that.
        phase[..., plane] = np.angle(np.fft.fft2(random.standard_normal((box, box))))
    noise = torch.polar(torch.from_numpy(np.abs(spectrum)), torch.from_numpy(phase)).numpy()
    return inverse(np.where(shell_index(box) >= first_shell, noise, spectrum), box)


def independent_fraction(mask: Volume | None) -> float:
    """Share of the voxels of a thin shell that stay independent under a mask; 1 without a mask.

    Multiplying by m correlates voxels a distance d apart by C(d), the normalised transform of m². The variance of a
    sum over a shell one voxel thick grows by Σ_d |C(d)|²·w(d), where w is the chance that a voxel's neighbour at d, in
    any direction, lies in the shell too: 1 - d/2 within one voxel, 1/(2d) beyond.
    """
    if mask is None:
        return 1.0
    box = mask.shape[0]
    spectrum = transform(np.square(mask, dtype=np.float32))
    distance = np.maximum(radius(box), 0.5)
    in_shell = np.where(radius(box) < 1, 1 - radius(box) / 2, 0.5 / distance)
    correlation = _power(spectrum) / _power(spectrum)[0, 0, 0]
    return float(1 / shell_sum(correlation * in_shell, box).sum())


def fsc_standard_error(curve: Float, box: int, fraction: float = 1.0, symmetry_order: int = 1) -> Float:
    """Standard error of an FSC, (1 - FSC²) / sqrt(2N), N the number of independent complex voxels in the shell.

    That is the large-sample error of a correlation (Fisher 1915) of 2N real numbers. N is half the voxels of the
    shell (Friedel), times the fraction the mask leaves independent, divided by the order of the point group
    (counted as by van Heel & Schatz 2005).
    """
    samples = np.maximum(shell_counts(box) * fraction / symmetry_order, 1.0)
    return np.asarray((1 - np.clip(curve, -1, 1) ** 2) / np.sqrt(samples))


def masked_fsc(
    half1: Volume,
    half2: Volume,
    pixel_size_angstrom: float,
    mask: Volume | None = None,
    *,
    randomise_below: float = 0.8,
    symmetry_order: int = 1,
    seed: int = 0,
) -> FscCurves:
    """FSC under a mask, corrected for the correlation that the mask itself brings (Chen et al. 2013).

    Parameters
    ----------
    half1, half2, mask : (n, n, n); without a mask the unmasked FSC is the one to trust
    randomise_below : phases are randomised from the first shell whose unmasked FSC is below this
    symmetry_order : number of operators of the point group, for the error bars
    seed : of the random phases
    """
    box = half1.shape[0]
    spectra = transform(half1), transform(half2)
    unmasked = _correlation(*spectra, box)
    if mask is None:
        error = fsc_standard_error(unmasked, box, symmetry_order=symmetry_order)
        return FscCurves(unmasked, unmasked, None, unmasked, error, None, box, pixel_size_angstrom)
    masked = fsc(half1 * mask, half2 * mask)
    fraction = independent_fraction(mask)
    error = fsc_standard_error(masked, box, fraction, symmetry_order)
    first = last_shell_above(unmasked, randomise_below) + 1
    if first >= len(unmasked):
        return FscCurves(unmasked, masked, None, masked, error, None, box, pixel_size_angstrom)
    random = np.random.default_rng(seed)
    randomised = fsc(*(_randomised(spectrum, box, first, random) * mask for spectrum in spectra))
    random_error = fsc_standard_error(randomised, box, fraction, symmetry_order)
    corrected, corrected_error = _correct(masked, error, randomised, random_error, first + SHELLS_UNCORRECTED)
    return FscCurves(unmasked, masked, randomised, corrected, corrected_error, first, box, pixel_size_angstrom)


def _correct(masked: Float, error: Float, randomised: Float, random_error: Float, first: int) -> tuple[Float, Float]:
    """(masked - randomised) / (1 - randomised) from a shell on, with the propagated error of both."""
    rest = np.maximum(1 - randomised, 1e-3)
    corrected = (masked - randomised) / rest
    corrected_error = np.hypot(error / rest, (1 - masked) * random_error / rest**2)
    before = np.arange(len(masked)) < first
    return np.where(before, masked, corrected), np.where(before, error, corrected_error)

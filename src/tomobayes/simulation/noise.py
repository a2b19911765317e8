"""Noise of a given radial amplitude spectrum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["NoiseSpectrum", "noise_image", "solvent", "white"]


@dataclass(frozen=True)
class NoiseSpectrum:
    """Relative noise amplitude at frequencies in 1/Å, linear in between and constant beyond the ends."""

    frequency: tuple[float, ...]
    amplitude: tuple[float, ...]


def white() -> NoiseSpectrum:
    """Shot noise alone."""
    return NoiseSpectrum((0.0,), (1.0,))


def solvent(rise: float = 3.0, coarser_than_angstrom: float = 60.0) -> NoiseSpectrum:
    """Shot noise with more power at low resolution, as ice, carbon and unpicked molecules add it.

    Amplitude² = 1 + (rise² - 1)·exp(-(k·coarser_than)²): ``rise`` times the shot noise at k = 0, white far below ``coarser_than``.
    """
    frequency = np.linspace(0, 4 / coarser_than_angstrom, 65)
    amplitude = np.sqrt(1 + (rise**2 - 1) * np.exp(-((frequency * coarser_than_angstrom) ** 2)))
    return NoiseSpectrum(tuple(frequency.tolist()), tuple(amplitude.tolist()))


def noise_image(
    spectrum: NoiseSpectrum, image_size: tuple[int, int], pixel_size_angstrom: float, random: np.random.Generator
) -> NDArray[np.float32]:
    """One (height, width) image of Gaussian noise with the spectrum's shape and variance 1 per pixel."""
    width, height = image_size
    across, down = np.fft.rfftfreq(width, pixel_size_angstrom), np.fft.fftfreq(height, pixel_size_angstrom)
    amplitude = np.interp(np.hypot(down[:, None], across), spectrum.frequency, spectrum.amplitude)
    # Columns of a half transform stand for two Fourier pixels each, but for the first and, in even widths, the last.
    twice = np.full(len(across), 2.0)
    twice[0] = 1
    if width % 2 == 0:
        twice[-1] = 1
    amplitude /= np.sqrt((amplitude**2 * twice).sum() / (width * height))
    shot = torch.fft.rfft2(torch.from_numpy(random.standard_normal((height, width), dtype=np.float32)))
    coloured: NDArray[np.float32] = torch.fft.irfft2(shot * torch.from_numpy(amplitude.astype(np.float32)), s=(height, width)).numpy()
    return coloured

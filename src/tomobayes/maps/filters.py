"""Filters of maps: low-pass, B factor, weights per shell, shifts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomobayes.maps.spectra import Complex, Float, Float32, inverse, radius, shell_index, transform

__all__ = [
    "apply_b_factor",
    "b_factor_transform",
    "low_pass",
    "low_pass_transform",
    "multiply_shells",
    "multiply_transform",
    "raised_cosine",
    "shift",
]

Volume = NDArray[np.floating[Any]]


def raised_cosine(distance: Volume, start: float, end: float) -> Float32:
    """1 up to ``start``, 0 from ``end`` on, half a cosine period between."""
    fraction = np.clip((distance - start) / max(end - start, 1e-6), 0, 1)
    return np.asarray(0.5 + 0.5 * np.cos(np.pi * fraction), dtype=np.float32)


def low_pass(volume: Volume, pixel_size_angstrom: float, resolution_angstrom: float, edge_shells: float = 2) -> Float32:
    """Remove what is finer than a resolution, with a raised-cosine edge centred on it.

    Parameters
    ----------
    volume : (n, n, n)
    edge_shells : width of the edge in Fourier pixels
    """
    box = volume.shape[0]
    return inverse(transform(volume) * low_pass_transform(box, pixel_size_angstrom, resolution_angstrom, edge_shells), box)


def low_pass_transform(box: int, pixel_size_angstrom: float, resolution_angstrom: float, edge_shells: float = 2) -> Float32:
    """The filter of :func:`low_pass` itself, on the half transform (n, n, n//2+1)."""
    cutoff = box * pixel_size_angstrom / resolution_angstrom
    return raised_cosine(radius(box), max(cutoff - edge_shells / 2, 0), cutoff + edge_shells / 2)


def apply_b_factor(volume: Volume, pixel_size_angstrom: float, b_factor_angstrom2: float) -> Float32:
    """Multiply the transform by exp(-B·k²/4), k in 1/Å: negative B sharpens."""
    box = volume.shape[0]
    return inverse(transform(volume) * b_factor_transform(box, pixel_size_angstrom, b_factor_angstrom2), box)


def b_factor_transform(box: int, pixel_size_angstrom: float, b_factor_angstrom2: float) -> Float32:
    """The filter of :func:`apply_b_factor` itself, on the half transform (n, n, n//2+1)."""
    exponent = np.float32(-b_factor_angstrom2 / 4 / (box * pixel_size_angstrom) ** 2)
    return np.asarray(np.exp(exponent * radius(box) ** 2))


def multiply_shells(volume: Volume, factors: Float) -> Float32:
    """Multiply each shell of the transform by its factor, (n//2+1,); what lies beyond the last shell becomes 0."""
    return inverse(multiply_transform(transform(volume), factors), volume.shape[0])


def multiply_transform(spectrum: Complex, factors: Float) -> Complex:
    """As :func:`multiply_shells`, on a half transform (n, n, n//2+1)."""
    index = shell_index(spectrum.shape[0])
    padded = np.zeros(int(index.max()) + 1, dtype=np.float32)
    padded[: len(factors)] = factors
    return np.asarray(spectrum * padded[index])


def shift(volume: Volume, shift_px: tuple[float, float, float]) -> Float32:
    """Move a map by (x, y, z) pixels, periodically, by a phase ramp."""
    box = volume.shape[0]
    axis = np.fft.fftfreq(box)
    x, y, z = (np.exp(-2j * np.pi * axis * amount).astype(np.complex64) for amount in shift_px)
    return inverse(transform(volume) * (z[:, None, None] * y[:, None] * x[: box // 2 + 1]), box)

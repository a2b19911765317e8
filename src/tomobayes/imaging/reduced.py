"""Tilt images as one looks at them: small, smooth, between two grey values."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from tomobayes.maps.filters import raised_cosine

__all__ = ["grey_range", "reduced", "smoothed"]

Float32 = NDArray[np.float32]


def reduced(image: NDArray[np.generic], at_most: int) -> tuple[Float32, int]:
    """Means over square blocks, such that no edge is longer than ``at_most`` pixels, and the edge of the blocks.

    Rows are added first, each in one run through memory: a memory map of 24 million pixels takes 20 to 50 ms. What is left of an
    image beyond whole blocks, at its far ends, is not shown.
    """
    factor = -(-max(image.shape) // at_most)
    height, width = (edge // factor for edge in image.shape)
    blocks = image[: height * factor].reshape(height, factor, -1)
    rows: Float32 = np.add.reduce(blocks, axis=1, dtype=np.float32)
    total = rows[:, : width * factor].reshape(height, width, factor).sum(2)
    return np.asarray(total / factor**2, dtype=np.float32), factor


def smoothed(image: Float32, pixel_size_angstrom: float, resolution_angstrom: float) -> Float32:
    """Without what is finer than a resolution; the edge of the filter is a tenth of its frequency wide on either side."""
    height, width = image.shape
    y, x = torch.fft.fftfreq(height, pixel_size_angstrom), torch.fft.rfftfreq(width, pixel_size_angstrom)
    frequency = (y[:, None].square() + x.square()).sqrt().numpy()
    window = raised_cosine(frequency, 0.9 / resolution_angstrom, 1.1 / resolution_angstrom)
    spectrum = torch.fft.rfft2(torch.from_numpy(image)) * torch.from_numpy(window)
    smooth: Float32 = torch.fft.irfft2(spectrum, s=(height, width)).numpy()
    return smooth


def grey_range(image: Float32, percent: float) -> tuple[float, float]:
    """The values that so many percent of the pixels are below, and as many above; told from every other row and column."""
    low, high = np.nanpercentile(image[::2, ::2], [percent, 100 - percent])
    return float(low), float(high)

"""Maps on other grids: another pixel size, another box, the same density."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tomobayes.maps.spectra import Float32, inverse, transform

__all__ = ["change_pixel_size", "crop_or_pad", "fourier_resample"]

Volume = NDArray[np.floating[Any]]

PIXEL_SIZE_TOLERANCE = 2e-4
"""Relative error of a pixel size that is too small to see: 0.02 pixels at the edge of a box of 200."""


def fourier_resample(volume: Volume, box: int) -> Float32:
    """The same field of view on another number of voxels, by cropping or padding the transform; density values stay.

    The centre stays at index box//2. Components at the exact Nyquist frequency of an even smaller box are dropped,
    because there the two grids disagree on the phase.
    """
    old = volume.shape[0]
    if box == old:
        return np.asarray(volume, dtype=np.float32)
    reach = (min(box, old) - 1) // 2
    rows = torch.arange(-reach, reach + 1)
    spectrum = torch.from_numpy(transform(volume))
    kept = spectrum[rows % old][:, rows % old][:, :, : reach + 1] * (box / old) ** 3
    resampled = torch.zeros((box, box, box // 2 + 1), dtype=spectrum.dtype)
    resampled[(rows % box)[:, None], (rows % box)[None, :], : reach + 1] = kept
    return inverse(np.asarray(resampled.numpy()), box)


def crop_or_pad(volume: Volume, box: int) -> Float32:
    """The same pixel size in another box, filled with zeros; the centre n//2 goes to box//2."""
    old = volume.shape[0]
    offset = box // 2 - old // 2
    source = slice(max(-offset, 0), min(old, box - offset))
    target = slice(source.start + offset, source.stop + offset)
    fitted = np.zeros((box, box, box), dtype=np.float32)
    fitted[target, target, target] = volume[source, source, source]
    return fitted


def change_pixel_size(volume: Volume, pixel_size_angstrom: float, new_pixel_size_angstrom: float, new_box: int) -> Float32:
    """A map at another pixel size in a box of the given edge, density values kept.

    The transform can only be cropped to whole numbers of voxels, so the map is first padded to the smallest box whose
    edge is such a number in both pixel sizes.
    """
    ratio = pixel_size_angstrom / new_pixel_size_angstrom
    candidates = np.arange(volume.shape[0], 2 * volume.shape[0] + 1)
    targets = np.maximum(np.round(candidates * ratio), 1)
    error = np.abs(targets / (candidates * ratio) - 1)
    fit = np.flatnonzero(error < PIXEL_SIZE_TOLERANCE)
    best = int(fit[0]) if len(fit) else int(error.argmin())
    return crop_or_pad(fourier_resample(crop_or_pad(volume, int(candidates[best])), int(targets[best])), new_box)

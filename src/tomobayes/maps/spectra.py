"""Spectra of maps: half transforms with the origin in the corner, and sums over their shells."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["inverse", "radius", "shell_counts", "shell_index", "shell_mean", "shell_sum", "transform"]

Complex = NDArray[np.complex64]
Float = NDArray[np.float64]
Float32 = NDArray[np.float32]


def transform(volume: NDArray[np.floating[Any]]) -> Complex:
    """Real map -> (n, n, n//2+1) half transform, unnormalised, phases relative to the map's centre."""
    centred = torch.fft.ifftshift(torch.from_numpy(np.ascontiguousarray(volume, dtype=np.float32)))
    return np.asarray(torch.fft.rfftn(centred).numpy())


def inverse(spectrum: Complex, box: int) -> Float32:
    """Half transform -> real map, undoes :func:`transform`."""
    centred = torch.fft.irfftn(torch.from_numpy(spectrum), s=(box,) * 3)
    return np.asarray(torch.fft.fftshift(centred).numpy())


@lru_cache(maxsize=2)
def radius(box: int) -> Float32:
    """(n, n, n//2+1) distance of every voxel of a half transform from the origin, in Fourier pixels (read-only)."""
    axis = np.fft.fftfreq(box, 1 / box).astype(np.float32)
    distance = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis[: box // 2 + 1] ** 2)
    distance.setflags(write=False)
    return np.asarray(distance)


@lru_cache(maxsize=2)
def shell_index(box: int) -> NDArray[np.int16]:
    """Shell of every voxel of a half transform, its radius rounded to the nearest integer (read-only)."""
    index = radius(box).round().astype(np.int16)
    index.setflags(write=False)
    return index


def shell_sum(values: NDArray[np.floating[Any]], box: int) -> Float:
    """Sum a quantity given on the half transform over the whole of each shell -> (n//2+1,).

    Voxels of the half stand for their Friedel mates too; those of the planes x = 0 and x = n/2 hold their own mates.
    """
    index = shell_index(box)
    alone = [0] if box % 2 else [0, box // 2]
    sums = 2 * np.bincount(index.ravel(), values.ravel())
    sums -= np.bincount(index[..., alone].ravel(), values[..., alone].ravel(), minlength=len(sums))
    return np.asarray(sums[: box // 2 + 1])


@lru_cache(maxsize=8)
def shell_counts(box: int) -> Float:
    """Number of voxels of each whole shell, (n//2+1,) (read-only)."""
    counts = shell_sum(np.ones(shell_index(box).shape, dtype=np.float32), box)
    counts.setflags(write=False)
    return counts


def shell_mean(values: NDArray[np.floating[Any]], box: int) -> Float:
    """Mean of a quantity over each shell, (n//2+1,)."""
    return shell_sum(values, box) / shell_counts(box)

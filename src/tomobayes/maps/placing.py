"""Copies of a map where particles are, turned as they are: what a tomogram shows of them, without noise and missing wedge."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.fourier.grids import half_space
from tomobayes.fourier.slices import extract_slices
from tomobayes.fourier.volume import FourierVolume

__all__ = ["place", "turned"]

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]


def turned(spectrum: FourierVolume, rotation: Float, shift_px: Float) -> Float32:
    """The map V(Aᵀ(x - s)) for each of P rotations A and shifts s, sampled in Fourier space, so that shifts need not be whole.

    Parameters
    ----------
    rotation : (P, 3, 3) reference -> tomogram
    shift_px : (P, 3) (x, y, z)

    Returns
    -------
    (P, n, n, n), centre at index n//2, as fine as the transform's radius
    """
    box = spectrum.box
    samples = torch.cat([torch.zeros(1, 3, dtype=torch.int64), half_space(spectrum.radius)])
    values = extract_slices(spectrum, torch.from_numpy(rotation).float(), samples.float())
    angle = torch.from_numpy(shift_px).float() @ samples.float().T * (-2 * math.pi / box)
    return _real(values * torch.polar(torch.ones_like(angle), angle), samples, box)


def place(tomogram: Float32, spectrum: FourierVolume, position_voxels: Float, rotation: Float) -> None:
    """Add a copy of a map for each of P particles to a tomogram (z, y, x) with voxels of the map's size; what is beyond its faces is lost.

    Parameters
    ----------
    position_voxels : (P, 3) (x, y, z), counted from the middle of the first voxel
    """
    whole = np.round(position_voxels)
    corner = (whole - spectrum.box // 2).astype(np.int64)
    for (x, y, z), copy in zip(corner.tolist(), turned(spectrum, rotation, position_voxels - whole), strict=True):
        along = [_overlap(first, spectrum.box, edge) for first, edge in zip((z, y, x), tomogram.shape, strict=True)]
        tomogram[tuple(there for there, _ in along)] += copy[tuple(here for _, here in along)]


def _overlap(first: int, box: int, edge: int) -> tuple[slice, slice]:
    """What of a box that begins at ``first`` is inside an axis of ``edge`` voxels: there, and in the box."""
    low, high = max(first, 0), max(first, 0, min(first + box, edge))
    return slice(low, high), slice(low - first, high - first)


def _real(values: Tensor, samples: Tensor, box: int) -> Float32:
    """(P, Q) samples of one half of space and the origin -> (P, n, n, n) real maps."""
    x, y, z = samples.T
    half = values.new_zeros((len(values), box, box, box // 2 + 1))
    half[:, z % box, y % box, x] = values
    mates = samples[(x == 0) & (samples != 0).any(1)]  # of this plane only one half is in the list
    half[:, -mates[:, 2] % box, -mates[:, 1] % box, 0] = half[:, mates[:, 2] % box, mates[:, 1] % box, 0].conj()
    centred = torch.fft.irfftn(half * box, s=(box,) * 3)
    real: Float32 = torch.fft.fftshift(centred, dim=(-3, -2, -1)).numpy()
    return real

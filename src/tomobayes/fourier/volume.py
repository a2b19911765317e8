"""Maps as oversampled half transforms, and accumulators as maps.

Layout of a half transform: (2c+1, 2c+1, c+1) complex, z and y centred at index c, x >= 0, in steps of
1/(padding x box x pixel size). V(k) = Σ v(x)·exp(-2πi k·x)/box, so a central slice IS the orthonormal 2D transform of the projection.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["PADDING", "FourierVolume", "Sums", "from_map", "gridding_correction", "half_extent", "solve", "to_map"]

PADDING = 2
"""Oversampling of 3D transforms; 2 keeps the error of trilinear interpolation below a percent (as RELION's --pad 2)."""


@dataclass(frozen=True)
class FourierVolume:
    """Half transform of a map, good for samples up to ``radius`` Fourier pixels of ``box``."""

    data: Tensor
    box: int
    radius: int


@dataclass(frozen=True)
class Sums:
    """What the images say about a map: posterior-weighted Σb and Σw on the oversampled half grid.

    Parameters
    ----------
    data : (2c+1, 2c+1, c+1) complex, Σb
    weight : the same shape, real, Σw
    """

    data: Tensor
    weight: Tensor
    box: int
    radius: int

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.data + other.data, self.weight + other.weight, self.box, self.radius)


def half_extent(radius: int) -> int:
    """c: how far the oversampled grid reaches so that every sample inside ``radius`` has its eight neighbours."""
    return PADDING * radius + 1


def gridding_correction(box: int, padding: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Real-space attenuation by trilinear interpolation, (n, n, n): the product of sinc²(x / (padding·n)) over the axes."""
    x = (torch.arange(box, dtype=torch.float64) - box // 2) / (padding * box)
    line = torch.sinc(x) ** 2
    return (line[:, None, None] * line[:, None] * line).to(dtype)


def _centred_rows(extent: int, padded: int) -> Tensor:
    return torch.arange(-extent, extent + 1) % padded


def from_map(volume: Tensor, radius: int | None = None) -> FourierVolume:
    """Transform a real map (n, n, n) for slice extraction: gridding-corrected, zero-padded, cropped to ``radius``."""
    box = volume.shape[0]
    radius = box // 2 - 1 if radius is None else radius
    extent = half_extent(radius)
    padded = PADDING * box
    start = padded // 2 - box // 2
    room = volume.new_zeros((padded,) * 3)
    room[start : start + box, start : start + box, start : start + box] = volume / gridding_correction(box, PADDING, volume.dtype)
    rows = _centred_rows(extent, padded)
    spectrum = torch.fft.rfftn(torch.fft.ifftshift(room))[rows][:, rows][:, :, : extent + 1]
    return FourierVolume((spectrum / box).contiguous(), box, radius)


def to_map(data: Tensor, box: int) -> Tensor:
    """Inverse of from_map: half transform -> real map (n, n, n), cropped and gridding-corrected."""
    extent = data.shape[-1] - 1
    padded = PADDING * box
    rows = _centred_rows(extent, padded)
    spectrum = data.new_zeros((padded, padded, padded // 2 + 1))
    spectrum[rows[:, None], rows[None, :], : extent + 1] = data * box
    room = torch.fft.fftshift(torch.fft.irfftn(spectrum, s=(padded,) * 3))
    start = padded // 2 - box // 2
    inside = room[start : start + box, start : start + box, start : start + box]
    return inside / gridding_correction(box, PADDING, inside.dtype)


def radii(extent: int) -> Tensor:
    """(2c+1, 2c+1, c+1) distance of every voxel of a half transform from the origin, in Fourier pixels of the box."""
    axis = torch.arange(-extent, extent + 1, dtype=torch.float32)
    return (axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis[extent:] ** 2).sqrt() / PADDING


def solve(sums: Sums, prior: Tensor) -> Tensor:
    """Maximum-a-posteriori map V = Σb / (Σw + 1/τ²) (eq 11), real (n, n, n).

    Parameters
    ----------
    prior : (radius + 1,) 1/τ² per shell, in the units of Σw; infinite where the prior says there is no signal

    Voxels that hardly any image has seen (weight below a thousandth of their shell's mean) are kept from exploding
    by that floor, as RELION does.
    """
    extent = sums.data.shape[-1] - 1
    radius = radii(extent)
    shell = radius.round().long()
    inside = radius <= sums.radius
    floor = 1e-3 * shell_mean(sums.weight, shell)[shell]
    one_over_tau2 = prior.to(sums.weight)[shell.clamp_max(sums.radius)]
    denominator = torch.maximum(sums.weight, floor) + one_over_tau2
    # The orthonormal inverse of an oversampled grid: every sample of the box is represented by PADDING³ voxels, both in Σb and in Σw.
    usable = inside & (denominator > 0) & torch.isfinite(denominator)
    return to_map(torch.where(usable, sums.data / denominator.clamp_min(1e-30), 0), sums.box)


def shell_mean(values: Tensor, shell: Tensor) -> Tensor:
    """Mean of a half-volume quantity per shell, (max shell + 1,)."""
    flat = shell.flatten()
    total = torch.bincount(flat, values.flatten().double())
    return (total / torch.bincount(flat)).to(values.dtype)

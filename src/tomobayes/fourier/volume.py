"""Maps as oversampled half transforms, and accumulators as maps.

Layout of a half transform: (2c+1, 2c+1, c+1) complex, z and y centred at index c, x >= 0, in steps of
1/(padding x box x pixel size). V(k) = Σ v(x)·exp(-2πi k·x)/box, so a central slice IS the orthonormal 2D transform of the projection.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = [
    "PADDING",
    "FourierVolume",
    "Sums",
    "box_radii",
    "from_map",
    "gridding_correction",
    "half_extent",
    "normal_equations",
    "radii",
    "shell_mean",
    "spread",
    "to_map",
    "wrapped",
]

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

    def __sub__(self, other: Sums) -> Sums:
        return Sums(self.data - other.data, (self.weight - other.weight).clamp_min(0), self.box, self.radius)


def half_extent(radius: int) -> int:
    """c: how far the oversampled grid reaches so that every sample inside ``radius`` has its eight neighbours."""
    return PADDING * radius + 1


def gridding_correction(box: int, padding: int, dtype: torch.dtype = torch.float32, device: torch.device | None = None) -> Tensor:
    """Real-space attenuation by trilinear interpolation, (n, n, n): the product of sinc²(x / (padding·n)) over the axes."""
    x = (torch.arange(box, dtype=torch.float64, device=device) - box // 2) / (padding * box)
    line = torch.sinc(x) ** 2
    return (line[:, None, None] * line[:, None] * line).to(dtype)


def wrapped(first: int, count: int, padded: int, device: torch.device) -> Tensor:
    """Where ``count`` indices from ``first`` on, negative ones included, lie on an axis with the origin in the corner."""
    return torch.arange(first, first + count, device=device) % padded


def spread(values: Tensor, axis: int, places: Tensor, padded: int) -> Tensor:
    """The values at some places of an axis that is otherwise zero."""
    shape = [*values.shape[:axis], padded, *values.shape[axis + 1 :]]
    return values.new_zeros(shape).index_copy_(axis, places, values)


def from_map(volume: Tensor, radius: int | None = None) -> FourierVolume:
    """Transform a real map (n, n, n) for slice extraction: gridding-corrected, zero-padded, cropped to ``radius``.

    Axis by axis: what is beyond the radius is dropped before the next axis is padded.
    """
    box = volume.shape[0]
    radius = box // 2 - 1 if radius is None else radius
    extent, padded = half_extent(radius), PADDING * box
    inside = wrapped(-(box // 2), box, padded, volume.device)
    rows = wrapped(-extent, 2 * extent + 1, padded, volume.device)
    sharp = volume / gridding_correction(box, PADDING, volume.dtype, volume.device) / box
    spectrum = torch.fft.rfft(spread(sharp, 2, inside, padded))[..., : extent + 1]
    for axis in (1, 0):
        spectrum = torch.fft.fft(spread(spectrum, axis, inside, padded), dim=axis).index_select(axis, rows)
    return FourierVolume(spectrum.contiguous(), box, radius)


def to_map(data: Tensor, box: int) -> Tensor:
    """Adjoint direction of from_map: half transform -> real map (n, n, n), cropped and divided by the gridding attenuation."""
    extent, padded = data.shape[-1] - 1, PADDING * box
    inside = wrapped(-(box // 2), box, padded, data.device)
    rows = wrapped(-extent, 2 * extent + 1, padded, data.device)
    for axis in (0, 1):
        data = torch.fft.ifft(spread(data, axis, rows, padded), dim=axis).index_select(axis, inside)
    blunt = torch.fft.irfft(data, n=padded).index_select(2, inside)
    corrected: Tensor = blunt * box / gridding_correction(box, PADDING, blunt.dtype, blunt.device)
    return corrected


def radii(extent: int, device: torch.device | None = None) -> Tensor:
    """(2c+1, 2c+1, c+1) distance of every voxel of a half transform from the origin, in Fourier pixels of the box."""
    axis = torch.arange(-extent, extent + 1, dtype=torch.float32, device=device)
    return (axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis[extent:] ** 2).sqrt() / PADDING


def normal_equations(sums: Sums) -> tuple[Tensor, Tensor]:
    """Right-hand side and diagonal of the least-squares problem for a map that lives inside its box, (n, n, n//2+1) each.

    Both are brought from the oversampled grid to the box's own by a window in real space: Σb is cropped to the box, and
    the kernel of Σw is weighted by how often each lag occurs inside the box. Dividing afterwards averages the
    numerator and the denominator, not their ratio, so that zeros of the CTF do not blow up noise. That window also
    flattens the peak of Σw at low frequency, where a particle in the middle of its box still sees it whole: the mean of each
    shell is put right from a kernel that keeps short lags as they are.
    """
    box = sums.box
    lag = (torch.arange(box, dtype=torch.float32, device=sums.weight.device) - box // 2).abs() / box
    kernel = to_map(torch.complex(sums.weight, torch.zeros_like(sums.weight)), box)
    data = torch.fft.rfftn(torch.fft.ifftshift(to_map(sums.data, box))) / box
    weight = _windowed(kernel, 1 - lag)
    whole = _windowed(kernel, 0.5 + 0.5 * torch.cos(torch.pi * (4 * lag - 1).clamp(0, 1)))
    shell = box_radii(box, sums.weight.device).round().long()
    ratio = shell_mean(whole, shell) / shell_mean(weight, shell).clamp_min(1e-30)
    return data, weight * ratio.clamp(1, 10)[shell]


def _windowed(kernel: Tensor, line: Tensor) -> Tensor:
    """Transform of a centred kernel (n, n, n) times a separable window, (n, n, n//2+1), not negative."""
    window = line[:, None, None] * line[:, None] * line
    transform: Tensor = torch.fft.rfftn(torch.fft.ifftshift(kernel * window)).real / len(line)
    return transform.clamp_min(0)


def box_radii(box: int, device: torch.device | None = None) -> Tensor:
    """(n, n, n//2+1) distance of the voxels of an rfftn from the origin, in Fourier pixels."""
    row = torch.fft.fftfreq(box, 1 / box, device=device)
    column = torch.fft.rfftfreq(box, 1 / box, device=device)
    radius: Tensor = (row[:, None, None] ** 2 + row[:, None] ** 2 + column**2).sqrt()
    return radius


def shell_mean(values: Tensor, shell: Tensor) -> Tensor:
    """Mean of a half-volume quantity per shell, (max shell + 1,)."""
    flat = shell.flatten()
    total = torch.bincount(flat, values.flatten().double())
    mean: Tensor = (total / torch.bincount(flat).clamp_min(1)).to(values.dtype)
    return mean

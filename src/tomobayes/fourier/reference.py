"""Slice extraction and insertion in plain PyTorch: short, differentiable in everything, the measure of the fast kernels."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["extract", "insert", "rotation_gradient"]


@dataclass(frozen=True)
class _Corner:
    """One of the eight voxels around each sample, (O, Q) each: its flat index, its weight, and the weight's slopes along x, y, z."""

    index: Tensor
    weight: Tensor
    slope: tuple[Tensor, Tensor, Tensor]


def _corners(rotations: Tensor, points: Tensor, padding: int, extent: int) -> tuple[Tensor, Iterator[_Corner]]:
    """Which samples fall on the negative half, (O, Q), and the voxels around each sample or its mate."""
    x, y, z = (padding * torch.einsum("oij,qi->oqj", rotations, points)).unbind(-1)
    flipped = x < 0
    sign = torch.where(flipped, -1.0, 1.0).to(x)
    x, y, z = x * sign, y * sign + extent, z * sign + extent
    x0, y0, z0 = x.detach().floor(), y.detach().floor(), z.detach().floor()
    rows, columns = 2 * extent + 1, extent + 1

    def neighbours() -> Iterator[_Corner]:
        for dz, dy, dx in itertools.product((0, 1), repeat=3):
            wx, wy, wz = (1 - (place - cell - d).abs() for place, cell, d in ((x, x0, dx), (y, y0, dy), (z, z0, dz)))
            up, along, out = (2 * d - 1 for d in (dx, dy, dz))
            index = (((z0 + dz) * rows + (y0 + dy)) * columns + (x0 + dx)).long()
            yield _Corner(index, wx * wy * wz, (up * wy * wz, along * wx * wz, out * wx * wy))

    return flipped, neighbours()


def extract(volume: Tensor, rotations: Tensor, points: Tensor, padding: int) -> Tensor:
    """V(Aᵀq) by trilinear interpolation: (2c+1, 2c+1, c+1) complex, (O, 3, 3), (Q, 3) -> (O, Q) complex."""
    flipped, corners = _corners(rotations, points, padding, volume.shape[-1] - 1)
    flat = volume.flatten()
    value = sum((flat[corner.index] * corner.weight for corner in corners), start=torch.zeros((), dtype=volume.dtype))
    return torch.where(flipped, torch.conj_physical(value), value)


def insert(values: Tensor, weights: Tensor, rotations: Tensor, points: Tensor, padding: int, extent: int) -> tuple[Tensor, Tensor]:
    """Adjoint of extract for (O, Q) complex values and real weights: two half volumes (2c+1, 2c+1, c+1)."""
    flipped, corners = _corners(rotations, points, padding, extent)
    shape = (2 * extent + 1, 2 * extent + 1, extent + 1)
    data = values.new_zeros(shape).flatten()
    total = weights.new_zeros(shape).flatten()
    upper = torch.where(flipped, values.conj(), values)
    for corner in corners:
        data.index_put_((corner.index,), upper * corner.weight, accumulate=True)
        total.index_put_((corner.index,), weights * corner.weight, accumulate=True)
    return data.reshape(shape), total.reshape(shape)


def rotation_gradient(gradient: Tensor, volume: Tensor, rotations: Tensor, points: Tensor, padding: int) -> Tensor:
    """Backward of extract with respect to the rotations: gradient of its result (O, Q) complex -> (O, 3, 3)."""
    flipped, corners = _corners(rotations, points, padding, volume.shape[-1] - 1)
    flat = volume.flatten()
    upper = torch.where(flipped, gradient.conj(), gradient)
    by_place = rotations.new_zeros((*flipped.shape, 3))
    for corner in corners:
        agreement = (upper.conj() * flat[corner.index]).real
        by_place += agreement[..., None] * torch.stack(corner.slope, -1)
    by_place *= torch.where(flipped, -padding, padding)[..., None]
    return torch.einsum("qi,oqj->oij", points, by_place)

"""Slice extraction and insertion in plain PyTorch: short, differentiable in everything, the measure of the fast kernels."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

__all__ = ["extract", "insert"]


def _corners(rotations: Tensor, points: Tensor, padding: int, extent: int) -> tuple[Tensor, Iterator[tuple[Tensor, Tensor]]]:
    """Which samples fall on the negative half, (O, Q), and the eight (flat index, weight) pairs around each sample."""
    x, y, z = (padding * torch.einsum("oij,qi->oqj", rotations, points)).unbind(-1)
    flipped = x < 0
    sign = torch.where(flipped, -1.0, 1.0).to(x)
    x, y, z = x * sign, y * sign + extent, z * sign + extent
    x0, y0, z0 = x.detach().floor(), y.detach().floor(), z.detach().floor()
    rows, columns = 2 * extent + 1, extent + 1

    def neighbours() -> Iterator[tuple[Tensor, Tensor]]:
        for dz in (0, 1):
            for dy in (0, 1):
                for dx in (0, 1):
                    weight = (1 - (x - x0 - dx).abs()) * (1 - (y - y0 - dy).abs()) * (1 - (z - z0 - dz).abs())
                    index = (((z0 + dz) * rows + (y0 + dy)) * columns + (x0 + dx)).long()
                    yield index, weight

    return flipped, neighbours()


def extract(volume: Tensor, rotations: Tensor, points: Tensor, padding: int) -> Tensor:
    """V(Aᵀq) by trilinear interpolation: (2c+1, 2c+1, c+1) complex, (O, 3, 3), (Q, 3) -> (O, Q) complex."""
    flipped, neighbours = _corners(rotations, points, padding, volume.shape[-1] - 1)
    flat = volume.flatten()
    value = sum((flat[index] * weight for index, weight in neighbours), start=torch.zeros((), dtype=volume.dtype))
    return torch.where(flipped, torch.conj_physical(value), value)


def insert(values: Tensor, weights: Tensor, rotations: Tensor, points: Tensor, padding: int, extent: int) -> tuple[Tensor, Tensor]:
    """Adjoint of extract for (O, Q) complex values and real weights: two half volumes (2c+1, 2c+1, c+1)."""
    flipped, neighbours = _corners(rotations, points, padding, extent)
    shape = (2 * extent + 1, 2 * extent + 1, extent + 1)
    data = torch.zeros(shape, dtype=values.dtype).flatten()
    total = torch.zeros(shape, dtype=weights.dtype).flatten()
    upper = torch.where(flipped, values.conj(), values)
    for index, share in neighbours:
        data.index_put_((index,), upper * share, accumulate=True)
        total.index_put_((index,), weights * share, accumulate=True)
    return data.reshape(shape), total.reshape(shape)

"""Slice extraction and insertion for CUDA, in Triton. Same results as fourier.reference; importing this module needs Triton.

A program takes one orientation and a block of samples. Complex arrays are seen as pairs of reals, since Triton knows no complex
numbers. Samples outside the transform are zero and add nothing, so that no rotation, however wrong, touches other memory.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

__all__ = ["extract", "insert", "rotation_gradient"]

BLOCK = 256
"""Samples per program."""


@triton.jit
def _samples(count, BLOCK: tl.constexpr):
    """This program's orientation, its samples, and which of those there are."""
    q = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    return tl.program_id(0).to(tl.int64), q, q < count


@triton.jit
def _locate(rotation, points, q, valid, padding, extent):
    """Cell (x0, y0, z0) and fractions (fx, fy, fz) of Aᵀq on the half grid, the sign that took a sample there (-1 for Friedel mates),
    and whether all eight corners of the cell lie on the grid.
    """
    px, py, pz = tl.load(points + 3 * q, valid, 0.0), tl.load(points + 3 * q + 1, valid, 0.0), tl.load(points + 3 * q + 2, valid, 0.0)
    x = padding * (tl.load(rotation) * px + tl.load(rotation + 3) * py + tl.load(rotation + 6) * pz)
    y = padding * (tl.load(rotation + 1) * px + tl.load(rotation + 4) * py + tl.load(rotation + 7) * pz)
    z = padding * (tl.load(rotation + 2) * px + tl.load(rotation + 5) * py + tl.load(rotation + 8) * pz)
    sign = tl.where(x < 0, -1.0, 1.0).to(x.dtype)
    x, y, z = x * sign, y * sign + extent, z * sign + extent
    left, low, near = tl.floor(x), tl.floor(y), tl.floor(z)
    x0, y0, z0 = left.to(tl.int64), low.to(tl.int64), near.to(tl.int64)
    seen = valid & (x0 >= 0) & (x0 < extent) & (y0 >= 0) & (y0 < 2 * extent) & (z0 >= 0) & (z0 < 2 * extent)
    return x0, y0, z0, x - left, y - low, z - near, sign, seen


@triton.jit
def _corner(k: tl.constexpr, x0, y0, z0, fx, fy, fz, extent):
    """Flat index of the k-th corner of a cell, and the three factors of its trilinear weight."""
    dx: tl.constexpr = k & 1
    dy: tl.constexpr = (k >> 1) & 1
    dz: tl.constexpr = k >> 2
    index = ((z0 + dz) * (2 * extent + 1) + (y0 + dy)) * (extent + 1) + (x0 + dx)
    return index, fx if dx else 1 - fx, fy if dy else 1 - fy, fz if dz else 1 - fz


@triton.jit
def _upper(values, source, sign, seen):
    """Real and imaginary parts of complex values, those of Friedel mates conjugated."""
    return tl.load(values + 2 * source, seen, 0.0), tl.load(values + 2 * source + 1, seen, 0.0) * sign


@triton.jit
def _extract(volume, rotations, points, out, count, padding, extent, BLOCK: tl.constexpr):
    orientation, q, valid = _samples(count, BLOCK)
    x0, y0, z0, fx, fy, fz, sign, seen = _locate(rotations + 9 * orientation, points, q, valid, padding, extent)
    real = tl.zeros_like(fx)
    imaginary = tl.zeros_like(fx)
    for k in tl.static_range(8):
        index, wx, wy, wz = _corner(k, x0, y0, z0, fx, fy, fz, extent)
        share = wx * wy * wz
        real += share * tl.load(volume + 2 * index, seen, 0.0)
        imaginary += share * tl.load(volume + 2 * index + 1, seen, 0.0)
    target = out + 2 * (orientation * count + q)
    tl.store(target, real, valid)
    tl.store(target + 1, imaginary * sign, valid)


@triton.jit
def _insert(cells, values, weights, rotations, points, count, padding, extent, BLOCK: tl.constexpr):
    orientation, q, valid = _samples(count, BLOCK)
    x0, y0, z0, fx, fy, fz, sign, seen = _locate(rotations + 9 * orientation, points, q, valid, padding, extent)
    source = orientation * count + q
    real, imaginary = _upper(values, source, sign, seen)
    weight = tl.load(weights + source, seen, 0.0)
    for k in tl.static_range(8):
        index, wx, wy, wz = _corner(k, x0, y0, z0, fx, fy, fz, extent)
        share = wx * wy * wz
        voxel = cells + 4 * index
        tl.atomic_add(voxel, share * real, seen, sem="relaxed")
        tl.atomic_add(voxel + 1, share * imaginary, seen, sem="relaxed")
        tl.atomic_add(voxel + 2, share * weight, seen, sem="relaxed")


@triton.jit
def _rotation_gradient(gradient, volume, rotations, points, out, count, padding, extent, BLOCK: tl.constexpr):
    orientation, q, valid = _samples(count, BLOCK)
    x0, y0, z0, fx, fy, fz, sign, seen = _locate(rotations + 9 * orientation, points, q, valid, padding, extent)
    real, imaginary = _upper(gradient, orientation * count + q, sign, seen)
    along_x = tl.zeros_like(fx)
    along_y = tl.zeros_like(fx)
    along_z = tl.zeros_like(fx)
    for k in tl.static_range(8):
        index, wx, wy, wz = _corner(k, x0, y0, z0, fx, fy, fz, extent)
        agreement = real * tl.load(volume + 2 * index, seen, 0.0) + imaginary * tl.load(volume + 2 * index + 1, seen, 0.0)
        along_x += agreement * wy * wz * (1 if k & 1 else -1)
        along_y += agreement * wx * wz * (1 if k & 2 else -1)
        along_z += agreement * wx * wy * (1 if k & 4 else -1)
    # A Friedel mate sits at -Aᵀq, hence the sign; A_ij moves component j of Aᵀq by padding·q_i.
    scale = padding * sign
    for i in tl.static_range(3):
        lever = scale * tl.load(points + 3 * q + i, valid, 0.0)
        row = out + 9 * orientation + 3 * i
        tl.atomic_add(row, tl.sum(lever * along_x), sem="relaxed")
        tl.atomic_add(row + 1, tl.sum(lever * along_y), sem="relaxed")
        tl.atomic_add(row + 2, tl.sum(lever * along_z), sem="relaxed")


def _pairs(values: Tensor) -> Tensor:
    return torch.view_as_real(values.resolve_conj().contiguous())


def _grid(rotations: Tensor, points: Tensor) -> tuple[int, int]:
    return len(rotations), triton.cdiv(len(points), BLOCK)


def extract(volume: Tensor, rotations: Tensor, points: Tensor, padding: int) -> Tensor:
    """V(Aᵀq) by trilinear interpolation: (2c+1, 2c+1, c+1) complex, (O, 3, 3), (Q, 3) -> (O, Q) complex."""
    out = volume.new_empty((len(rotations), len(points)))
    if out.numel():
        _extract[_grid(rotations, points)](
            _pairs(volume),
            rotations.contiguous(),
            points.contiguous(),
            torch.view_as_real(out),
            len(points),
            padding,
            volume.shape[-1] - 1,
            BLOCK,
        )
    return out


def insert(cells: Tensor, values: Tensor, weights: Tensor, rotations: Tensor, points: Tensor, padding: int) -> None:
    """Add values and weights (O, Q) at Aᵀq into cells (2c+1, 2c+1, c+1, 4) of (re, im, weight, unused), contiguous.

    Additions meet in any order, so two runs agree to rounding only.
    """
    if values.numel():
        _insert[_grid(rotations, points)](
            cells,
            _pairs(values),
            weights.contiguous(),
            rotations.contiguous(),
            points.contiguous(),
            len(points),
            padding,
            cells.shape[2] - 1,
            BLOCK,
        )


def rotation_gradient(gradient: Tensor, volume: Tensor, rotations: Tensor, points: Tensor, padding: int) -> Tensor:
    """Backward of extract with respect to the rotations: gradient of its result (O, Q) complex -> (O, 3, 3)."""
    out = torch.zeros_like(rotations, memory_format=torch.contiguous_format)
    if gradient.numel():
        _rotation_gradient[_grid(rotations, points)](
            _pairs(gradient),
            _pairs(volume),
            rotations.contiguous(),
            points.contiguous(),
            out,
            len(points),
            padding,
            volume.shape[-1] - 1,
            BLOCK,
        )
    return out

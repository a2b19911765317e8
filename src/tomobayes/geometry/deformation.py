"""How far a deformed image carries a projected point: d(p), linear in its coefficients, added to p after projection.

Points are in unbinned pixels (x, y) counted from the centre of the image's first pixel, displacements in pixels. The order of
the coefficients is that of RELION's rlnTomoDeformationCoefficients:

- affine: a_xx, a_xy, a_yy of d = (a_xx·x, a_xy·x + a_yy·y) about half the image size. A rotation and a shift are left to the alignment.
- spline: for x and for y displacement, node by node along rows: value, slope along x, slope along y, twist, per node spacing; the first
  and last nodes lie at 0 and at the image size, and beyond them the value at the edge goes on.
- fourier: for x and for y displacement, wave by wave: cos and sin of π·(m·x/width + n·y/height).

All functions are torch, batched, and differentiable in points and coefficients.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tomobayes.model.deformation import Deformation, DeformationKind

__all__ = ["deformation_basis", "deformed", "displacement", "fourier_waves"]


def deformation_basis(kind: DeformationKind, points_px: Tensor, image_size: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """Design matrix of the displacement.

    Parameters
    ----------
    points_px : (..., 2); image_size : (width, height); grid : see model.Deformation

    Returns
    -------
    (..., 2, K): d(p) = basis @ coefficients
    """
    if kind == "affine":
        return _affine(points_px, image_size)
    shapes = _spline(points_px, image_size, grid) if kind == "spline" else _fourier(points_px, image_size, grid)
    nothing = torch.zeros_like(shapes)
    return torch.stack([torch.cat([shapes, nothing], -1), torch.cat([nothing, shapes], -1)], -2)


def displacement(
    kind: DeformationKind, coefficients: Tensor, points_px: Tensor, image_size: tuple[int, int], grid: tuple[int, int]
) -> Tensor:
    """d(p) in pixels: coefficients (K,), or (F, K) for points (P, F, 2) -> (..., 2)."""
    return (deformation_basis(kind, points_px, image_size, grid) @ coefficients[..., None]).squeeze(-1)


def deformed(points_px: Tensor, deformation: Deformation, image_size: tuple[int, int]) -> Tensor:
    """p + d(p) of projected points (P, F, 2)."""
    coefficients = torch.tensor(deformation.coefficients).to(points_px)
    return points_px + displacement(deformation.kind, coefficients, points_px, image_size, deformation.grid)


def _affine(points_px: Tensor, image_size: tuple[int, int]) -> Tensor:
    x, y = (points_px - 0.5 * points_px.new_tensor(image_size)).unbind(-1)
    nothing = torch.zeros_like(x)
    return torch.stack([torch.stack([x, nothing, nothing], -1), torch.stack([nothing, x, y], -1)], -2)


def _spline(points_px: Tensor, image_size: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """(..., 4·width·height) bicubic Hermite shapes of every node: value, slope along x, slope along y, twist."""
    x, y = (_hermite(at, size, nodes) for at, size, nodes in zip(points_px.unbind(-1), image_size, grid, strict=True))
    both = torch.einsum("...wa,...hb->...hwba", x, y)
    return both.flatten(-4)


def _hermite(at: Tensor, size: int, nodes: int) -> Tensor:
    """(..., nodes, 2) cubic shapes along one axis: value 1 and slope 0 at the node itself, value 0 and slope 1; nothing at the others."""
    place = (at * ((nodes - 1) / size)).clamp(0, nodes - 1)
    away = place[..., None] - torch.arange(nodes).to(place)
    distance = away.abs()
    near = (1 - distance).clamp_min(0).square()
    return torch.stack([near * (1 + 2 * distance), near * away], -1)


def fourier_waves(grid: tuple[int, int]) -> list[tuple[int, int]]:
    """(m, n) half waves across and down the image: n = 0 to height//2 - 1, then the negative ones; m from 0, or 1 where n <= 0."""
    width, height = grid
    rows = [n if n < height // 2 else n - height for n in range(height)]
    return [(m, n) for n in rows for m in range(0 if n > 0 else 1, width // 2 + 1)]


def _fourier(points_px: Tensor, image_size: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """(..., 2·waves) cosine and sine of every wave."""
    waves = points_px.new_tensor(fourier_waves(grid)).reshape(-1, 2)
    turn = math.pi * (points_px / points_px.new_tensor(image_size)) @ waves.T
    return torch.stack([torch.cos(turn), torch.sin(turn)], -1).flatten(-2)

"""Rotations as matrices and rotation vectors, in torch, batched and differentiable."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["angular_distance_degrees", "matrix_from_vector", "mean_rotation", "nearest_mates", "vector_from_matrix"]


def matrix_from_vector(vector: Tensor) -> Tensor:
    """Rodrigues' formula: rotation vectors (..., 3) in radians -> matrices (..., 3, 3)."""
    angle = vector.norm(dim=-1, keepdim=True)[..., None]
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*vector.shape[:-1], 3, 3)
    sine = torch.sinc(angle / torch.pi)
    versine = 0.5 * torch.sinc(angle / (2 * torch.pi)) ** 2
    return torch.eye(3, dtype=vector.dtype, device=vector.device) + sine * cross + versine * (cross @ cross)


def vector_from_matrix(matrix: Tensor) -> Tensor:
    """Rotation vectors (..., 3) in radians of matrices (..., 3, 3); angles of at most 180°, computed through quaternions."""
    m = matrix
    trace = m.diagonal(dim1=-2, dim2=-1).sum(-1)
    diagonal = torch.cat([trace[..., None], m.diagonal(dim1=-2, dim2=-1)], -1)
    # Four ways to write the same quaternion; the one with the largest divisor is exact where the others lose digits.
    ways = torch.stack(
        [
            torch.stack([1 + trace, m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]], -1),
            torch.stack(
                [m[..., 2, 1] - m[..., 1, 2], 1 + 2 * m[..., 0, 0] - trace, m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0]], -1
            ),
            torch.stack(
                [m[..., 0, 2] - m[..., 2, 0], m[..., 0, 1] + m[..., 1, 0], 1 + 2 * m[..., 1, 1] - trace, m[..., 1, 2] + m[..., 2, 1]], -1
            ),
            torch.stack(
                [m[..., 1, 0] - m[..., 0, 1], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1], 1 + 2 * m[..., 2, 2] - trace], -1
            ),
        ],
        -2,
    )
    best = diagonal.argmax(-1)[..., None, None].expand(*diagonal.shape[:-1], 1, 4)
    quaternion = torch.nn.functional.normalize(ways.gather(-2, best)[..., 0, :], dim=-1)
    quaternion = torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    sine = quaternion[..., 1:].norm(dim=-1, keepdim=True)
    angle = 2 * torch.atan2(sine, quaternion[..., :1])
    return quaternion[..., 1:] * torch.where(sine > 1e-12, angle / sine.clamp_min(1e-12), 2.0)


def angular_distance_degrees(a: Tensor, b: Tensor) -> Tensor:
    """Angle of the rotation that takes a to b, (..., 3, 3) each -> (...,) degrees."""
    return torch.rad2deg(vector_from_matrix(a.mT @ b).norm(dim=-1))


def nearest_mates(rotations: Tensor, targets: Tensor, group: Tensor) -> Tensor:
    """The mate A·g of each rotation A that is nearest to its target, (P, 3, 3) twice and (G, 3, 3) -> (P, 3, 3)."""
    traces = (rotations.mT @ targets).flatten(1) @ group.to(rotations).flatten(1).T
    return rotations @ group.to(rotations)[traces.argmax(1)]


def mean_rotation(matrices: Tensor, weights: Tensor) -> Tensor:
    """Chordal mean: the rotation nearest to the weighted sum of matrices, (N, 3, 3) and (N,) -> (3, 3)."""
    u, _, v = torch.linalg.svd((weights[:, None, None] * matrices).sum(0))
    sign = torch.ones(3, dtype=matrices.dtype, device=matrices.device)
    sign[2] = torch.det(u @ v)
    nearest: Tensor = (u * sign) @ v
    return nearest

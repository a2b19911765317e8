"""Where particles land on the tilt images: points, depth, defocus, visibility.

P_f = S1·S2·Rz(ZRot)·Ry(YTilt)·Rx(XTilt)·S0 with integer half sizes, as RELION-5 has it. All functions are torch,
batched over particles x tilts, and differentiable in every floating-point argument.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["depth_angstrom", "is_visible", "project"]


def project(
    points_angstrom: Tensor,
    rotation: Tensor,
    shift_angstrom: Tensor,
    pixel_size_angstrom: float,
    tomogram_size: tuple[int, int, int],
    image_size: tuple[int, int],
) -> Tensor:
    """Project points of the tomogram onto the tilt images.

    Parameters
    ----------
    points_angstrom : (P, 3), or (P, F, 3) for particles that move, Å from the tomogram's centre
    rotation : (F, 3, 3) tomogram -> image
    shift_angstrom : (F, 2) image shift after rotation
    pixel_size_angstrom : edge of an unbinned image pixel
    tomogram_size : (x, y, z) in pixels; its real-valued half is where the coordinates start, its integer half where the axis runs
    image_size : (width, height) in pixels

    Returns
    -------
    (P, F, 2) image coordinates (x, y) in pixels, counted from the centre of the first pixel
    """
    points = points_angstrom if points_angstrom.dim() == 3 else points_angstrom[:, None]
    odd_half = torch.tensor([0.5 * (size % 2) for size in tomogram_size], dtype=points.dtype, device=points.device)
    rotated = torch.einsum("fij,pfj->pfi", rotation[:, :2], (points / pixel_size_angstrom + odd_half).expand(-1, len(rotation), -1))
    centre = torch.tensor([image_size[0] // 2, image_size[1] // 2], dtype=points.dtype, device=points.device)
    return rotated + centre + shift_angstrom / pixel_size_angstrom


def depth_angstrom(points_angstrom: Tensor, rotation: Tensor) -> Tensor:
    """Height of points above the tilted plane through the tomogram's centre, (P, 3) and (F, 3, 3) -> (P, F) Å.

    Motion is left out on purpose: it is far too small to matter for the defocus, and RELION leaves it out too.
    The defocus of a particle is that of the tilt plus hand x slope x depth.
    """
    return torch.einsum("fj,pj->pf", rotation[:, 2], points_angstrom)


def is_visible(centre_px: Tensor, image_size: tuple[int, int], radius_px: float) -> Tensor:
    """Whether a box of the given half-width lies inside the image, (..., 2) -> (...,) bool (strict, as RELION)."""
    far_edge = torch.tensor(image_size, dtype=centre_px.dtype, device=centre_px.device) - radius_px
    return ((centre_px > radius_px) & (centre_px < far_edge)).all(-1)

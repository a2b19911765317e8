"""Alignments of other programs as rotations, shifts and deformations.

Any linear projection M (2, 3) is a rotation followed by a deformation of the image: M = L·R, with L lower triangular and the rows of R
orthonormal. Where an alignment knows no magnification, stretch or Z factors, L is 1 and there is no deformation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.views import AlignedView
from tomobayes.model import Deformation

__all__ = ["Geometry", "geometry_of", "split_projection"]

Float = NDArray[np.float64]

NEGLIGIBLE_PX = 0.05
"""A deformation that moves no corner of an image by more is left out."""

ROUNDING = 1e-14


@dataclass(frozen=True)
class Geometry:
    """`TiltSeries.rotation`, ``shift_angstrom`` and ``deformation`` of F views."""

    rotation: Float
    shift_angstrom: Float
    deformation: Deformation | None


def geometry_of(
    views: Sequence[AlignedView],
    pixel_size_angstrom: float,
    aligned_angstrom: float,
    image_size: tuple[int, int],
    tomogram_size: tuple[int, int, int],
) -> Geometry:
    """What a tilt series' geometry must be for points to land where an alignment puts them.

    The middles that alignments count from lie at (n−1)/2, ours at n//2, and the middle of a tomogram of n pixels is our n/2.

    Parameters
    ----------
    views : F of them
    pixel_size_angstrom : of the tilt images
    aligned_angstrom : of the images that were aligned
    image_size, tomogram_size : in pixels of the tilt images
    """
    rotation, lower = split_projection(np.stack([view.matrix for view in views]))
    offset = np.stack([view.offset_px for view in views]) * (aligned_angstrom / pixel_size_angstrom)
    half = np.array(image_size) / 2
    corner = np.abs(lower - np.eye(2)) @ half
    is_deformed = bool(corner.max() > NEGLIGIBLE_PX)
    if not is_deformed:
        lower = np.broadcast_to(np.eye(2), lower.shape)
    odd = 0.5 * (np.array(tomogram_size) % 2)
    shift = np.linalg.solve(lower, (offset - 0.5)[..., None])[..., 0] - rotation[:, :2] @ odd + (half - np.floor(half))
    coefficients = np.stack([lower[:, 0, 0] - 1, lower[:, 1, 0], lower[:, 1, 1] - 1], -1)
    return Geometry(rotation, shift * pixel_size_angstrom, Deformation("affine", coefficients) if is_deformed else None)


def split_projection(matrix: Float) -> tuple[Float, Float]:
    """Rotations (F, 3, 3) and lower triangular (F, 2, 2) with a positive diagonal, whose product is the projections (F, 2, 3)."""
    orthonormal, upper = np.linalg.qr(np.swapaxes(matrix, 1, 2))
    signs = np.sign(np.diagonal(upper, axis1=1, axis2=2))
    rows = np.swapaxes(orthonormal * signs[:, None, :], 1, 2)
    rotation = np.concatenate([rows, np.cross(rows[:, 0], rows[:, 1])[:, None]], axis=1)
    rotation[np.abs(rotation) < ROUNDING] = 0
    return rotation, np.swapaxes(upper * signs[:, :, None], 1, 2)

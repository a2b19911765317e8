"""Grids of directions and of orientations: HEALPix pixels, the orientation grid of RELION on them, local lattices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["angular_step_degrees", "local_grid", "pixel_directions", "rotation_grid", "rotation_vectors_to_matrices"]

Float = NDArray[np.float64]


def angular_step_degrees(order: int) -> float:
    """Spacing of the orientation grid of a HEALPix order, 60°/2^order (RELION's name for it: 15° is order 2)."""
    return 60.0 / (1 << order)


def pixel_directions(order: int) -> Float:
    """Unit vectors to the centres of the HEALPix pixels in nested order (Górski et al. 2005).

    The sphere is twelve squares standing on their corners in a plane (Calabretta & Roukema 2007, H = 4, K = 3). Of a
    pixel's index the bits in even places count to the north-east inside its square, those in odd places to the north-west.

    Returns
    -------
    (12·4^order, 3)
    """
    nside = 2**order
    face, pixel = np.divmod(np.arange(12 * nside**2), nside**2)
    north_east, north_west = _even_bits(pixel, order), _even_bits(pixel >> 1, order)
    row, column = np.divmod(face, 4)
    across = 2 * column + (row != 1) + (north_east - north_west) / nside
    up = (north_east + north_west + 1) / nside - row
    to_pole = np.minimum(2 - np.abs(up), 1)
    z = np.where(np.abs(up) <= 1, 2 * up / 3, np.sign(up) * (1 - to_pole**2 / 3))
    middle = 2 * np.floor(across / 2) + 1
    azimuth = np.pi / 4 * np.where(np.abs(up) <= 1, across, middle + (across - middle) / to_pole)
    sine = np.sqrt(1 - z**2)
    return np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), z], -1)


def _even_bits(numbers: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    """The numbers made of bits 0, 2, 4, ... of the given ones."""
    gathered = np.zeros_like(numbers)
    for bit in range(bits):
        gathered |= ((numbers >> 2 * bit) & 1) << bit
    return gathered


def rotation_grid(order: int) -> Float:
    """Orientations over all of SO(3), as RELION samples them: HEALPix directions times 6·2^order in-plane angles.

    Returns
    -------
    (72·8^order, 3, 3) E(rot, tilt, psi) = (Rz(rot)·Ry(tilt)·Rz(psi))ᵀ, reference -> image; the third row is the
    viewing direction in the reference, psi runs fastest
    """
    x, y, z = pixel_directions(order).T
    sine = np.hypot(x, y)
    zero = np.zeros_like(x)
    view = np.stack([z * x / sine, z * y / sine, -sine, -y / sine, x / sine, zero, x, y, z], -1).reshape(-1, 1, 3, 3)
    psi = np.deg2rad(angular_step_degrees(order)) * np.arange(6 * 2**order)
    in_plane = np.zeros((len(psi), 3, 3))
    in_plane[:, 0, 0] = in_plane[:, 1, 1] = np.cos(psi)
    in_plane[:, 0, 1] = np.sin(psi)
    in_plane[:, 1, 0] = -np.sin(psi)
    in_plane[:, 2, 2] = 1
    return np.asarray((in_plane @ view).reshape(-1, 3, 3))


def local_grid(step_degrees: float, radius_degrees: float) -> Float:
    """Small rotations on a cubic lattice within a ball.

    Returns
    -------
    (L, 3) rotation vectors in radians, zero first and the nearest next
    """
    reach = int(radius_degrees / step_degrees + 1e-9)
    axis = step_degrees * np.arange(-reach, reach + 1)
    lattice = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    length = np.linalg.norm(lattice, axis=1)
    order = np.argsort(length, kind="stable")
    return np.asarray(np.deg2rad(lattice[order[length[order] <= radius_degrees * (1 + 1e-9)]]))


def rotation_vectors_to_matrices(vectors: Float) -> Float:
    """Rotation vectors (..., 3) in radians -> matrices (..., 3, 3), for grids (fixed numbers; no gradient)."""
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix()).reshape(*vectors.shape, 3)

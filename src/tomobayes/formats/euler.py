"""Euler angles of STAR files <-> rotation matrices; nowhere else in the program are there Euler angles.

Angles in degrees, matrices act on column vectors (x, y, z).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "euler_from_matrix",
    "matrix_from_euler",
    "matrix_from_tilt_angles",
    "matrix_from_zxz",
    "tilt_angles_from_matrix",
    "zxz_from_matrix",
]

Float = NDArray[np.float64]
GIMBAL = 1e-9


def matrix_from_euler(angles_degrees: Float) -> Float:
    """E(rot, tilt, psi) = (Rz(rot)·Ry(tilt)·Rz(psi))ᵀ.

    Parameters
    ----------
    angles_degrees : (..., 3) rot, tilt, psi

    Returns
    -------
    (..., 3, 3)
    """
    rot, tilt, psi = np.moveaxis(np.asarray(angles_degrees, dtype=np.float64), -1, 0)
    return np.swapaxes(_rotation_z(rot) @ _rotation_y(tilt) @ _rotation_z(psi), -1, -2)


def euler_from_matrix(matrix: Float) -> Float:
    """Inverse of `matrix_from_euler`: (..., 3) rot, tilt in [0, 180], psi; rot is 0 where tilt is 0 or 180."""
    sine = np.hypot(matrix[..., 2, 0], matrix[..., 2, 1])
    tilt = np.arctan2(sine, matrix[..., 2, 2])
    free = sine > GIMBAL
    rot = np.where(free, np.arctan2(matrix[..., 2, 1], matrix[..., 2, 0]), 0.0)
    psi_at_pole = np.arctan2(matrix[..., 0, 1], np.sign(matrix[..., 2, 2]) * matrix[..., 0, 0])
    psi = np.where(free, np.arctan2(matrix[..., 1, 2], -matrix[..., 0, 2]), psi_at_pole)
    angles: Float = np.degrees(np.stack([rot, tilt, psi], axis=-1))
    return angles


def matrix_from_tilt_angles(angles_degrees: Float) -> Float:
    """Tomogram -> image rotation Rz(ZRot)·Ry(YTilt)·Rx(XTilt).

    Parameters
    ----------
    angles_degrees : (..., 3) XTilt, YTilt, ZRot

    Returns
    -------
    (..., 3, 3)
    """
    x_tilt, y_tilt, z_rot = np.moveaxis(np.asarray(angles_degrees, dtype=np.float64), -1, 0)
    return _rotation_z(z_rot) @ _rotation_y(y_tilt) @ _rotation_x(x_tilt)


def matrix_from_zxz(angles_degrees: Float) -> Float:
    """Rz(first)·Rx(second)·Rz(third), from which Dynamo's, TOM's and IMOD's angles are made: (..., 3) -> (..., 3, 3)."""
    first, second, third = np.moveaxis(np.asarray(angles_degrees, dtype=np.float64), -1, 0)
    return _rotation_z(first) @ _rotation_x(second) @ _rotation_z(third)


def zxz_from_matrix(matrix: Float) -> Float:
    """Inverse of `matrix_from_zxz`: (..., 3) first, second in [0, 180], third; third is 0 where the second is 0 or 180."""
    sine = np.hypot(matrix[..., 0, 2], matrix[..., 1, 2])
    free = sine > GIMBAL
    second = np.arctan2(sine, matrix[..., 2, 2])
    first = np.where(free, np.arctan2(matrix[..., 0, 2], -matrix[..., 1, 2]), np.arctan2(matrix[..., 1, 0], matrix[..., 0, 0]))
    third = np.where(free, np.arctan2(matrix[..., 2, 0], matrix[..., 2, 1]), 0.0)
    angles: Float = np.degrees(np.stack([first, second, third], axis=-1))
    return angles


def tilt_angles_from_matrix(matrix: Float) -> Float:
    """Inverse of `matrix_from_tilt_angles`: (..., 3) XTilt, YTilt in [-90, 90], ZRot; XTilt is 0 where YTilt is ±90."""
    cosine = np.hypot(matrix[..., 0, 0], matrix[..., 1, 0])
    y_tilt = np.arctan2(-matrix[..., 2, 0], cosine)
    free = cosine > GIMBAL
    x_tilt = np.where(free, np.arctan2(matrix[..., 2, 1], matrix[..., 2, 2]), 0.0)
    z_at_pole = np.arctan2(-matrix[..., 0, 1], matrix[..., 1, 1])
    z_rot = np.where(free, np.arctan2(matrix[..., 1, 0], matrix[..., 0, 0]), z_at_pole)
    angles: Float = np.degrees(np.stack([x_tilt, y_tilt, z_rot], axis=-1))
    return angles


def _rotation_x(degrees: Float) -> Float:
    return _about_axis(degrees, (1, 2))


def _rotation_y(degrees: Float) -> Float:
    return _about_axis(degrees, (2, 0))


def _rotation_z(degrees: Float) -> Float:
    return _about_axis(degrees, (0, 1))


def _about_axis(degrees: Float, plane: tuple[int, int]) -> Float:
    """Right-handed rotation that turns the first axis of the plane towards the second."""
    radians = np.radians(degrees)
    matrix = np.zeros((*np.shape(radians), 3, 3))
    first, second = plane
    rest = 3 - first - second
    matrix[..., rest, rest] = 1
    matrix[..., first, first] = matrix[..., second, second] = np.cos(radians)
    matrix[..., second, first] = np.sin(radians)
    matrix[..., first, second] = -np.sin(radians)
    return matrix

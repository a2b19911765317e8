"""Averaging a map over the rotations of its point group."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["symmetrise"]

Float32 = NDArray[np.float32]
Number = Any  # a scalar of the kernel: Numba takes its type from the call

PADDING = 2
SLACK = np.float32(1e-4)
HALF = np.float32(0.5)
ZERO, ONE = np.float32(0), np.float32(1)


def symmetrise(volume: NDArray[np.floating[Any]], group: NDArray[np.float64]) -> Float32:
    """Mean of V(g·x) over the group, by cubic-spline interpolation about the centre n//2.

    Rotations that take a corner of the box out of it are left out of that voxel's mean.

    Parameters
    ----------
    volume : (n, n, n) in (z, y, x) order
    group : (G, 3, 3) rotations of (x, y, z), identity among them (geometry.pointgroups.point_group)
    """
    values = np.ascontiguousarray(volume, dtype=np.float32)
    spline = np.asarray(ndimage.spline_filter(values, order=3, output=np.float32, mode="mirror"))
    averaged = np.empty_like(values)
    _average(values, np.pad(spline, PADDING, mode="reflect"), np.ascontiguousarray(group, dtype=np.float32), averaged)
    return averaged


@nb.njit(inline="always", fastmath=True)
def _weights(t: Number) -> tuple[Number, ...]:
    """Cubic B-spline at the four neighbours of a point with fraction t."""
    s = ONE - t
    sixth = np.float32(1 / 6)
    two_thirds = np.float32(2 / 3)
    half = np.float32(0.5)
    return sixth * s * s * s, two_thirds - half * t * t * (ONE + s), two_thirds - half * s * s * (ONE + t), sixth * t * t * t


@nb.njit(inline="always", fastmath=True)
def _plane(plane: Float32, y: Number, x: Number, u: tuple[Number, ...], v: tuple[Number, ...]) -> Number:
    """The 4 x 4 neighbours of a point in one plane, weighted."""
    return (
        v[0] * (u[0] * plane[y, x] + u[1] * plane[y, x + 1] + u[2] * plane[y, x + 2] + u[3] * plane[y, x + 3])
        + v[1] * (u[0] * plane[y + 1, x] + u[1] * plane[y + 1, x + 1] + u[2] * plane[y + 1, x + 2] + u[3] * plane[y + 1, x + 3])
        + v[2] * (u[0] * plane[y + 2, x] + u[1] * plane[y + 2, x + 1] + u[2] * plane[y + 2, x + 2] + u[3] * plane[y + 2, x + 3])
        + v[3] * (u[0] * plane[y + 3, x] + u[1] * plane[y + 3, x + 1] + u[2] * plane[y + 3, x + 2] + u[3] * plane[y + 3, x + 3])
    )


@nb.njit(inline="always", fastmath=True)
def _interpolate(spline: Float32, z: Number, y: Number, x: Number) -> Number:
    """Value at a point, in voxels of the unpadded map."""
    k, j, i = np.int32(z), np.int32(y), np.int32(x)
    u, v, w = _weights(x - np.float32(i)), _weights(y - np.float32(j)), _weights(z - np.float32(k))
    k, j, i = k + PADDING - 1, j + PADDING - 1, i + PADDING - 1
    return (
        w[0] * _plane(spline[k], j, i, u, v)
        + w[1] * _plane(spline[k + 1], j, i, u, v)
        + w[2] * _plane(spline[k + 2], j, i, u, v)
        + w[3] * _plane(spline[k + 3], j, i, u, v)
    )


@nb.njit(parallel=True, fastmath=True, error_model="numpy", boundscheck=False, cache=True)
def _average(values: Float32, spline: Float32, group: Float32, out: Float32) -> None:
    box = values.shape[0]
    centre = np.float32(box // 2)
    last = np.float32(box - 1) + SLACK
    for k in nb.prange(box):
        for j in range(box):
            y, z = np.float32(j) - centre, np.float32(k) - centre
            for i in range(box):
                x = np.float32(i) - centre
                total = np.float32(0)
                seen = 0
                for g in range(group.shape[0]):
                    px = group[g, 0, 0] * x + group[g, 0, 1] * y + group[g, 0, 2] * z + centre
                    py = group[g, 1, 0] * x + group[g, 1, 1] * y + group[g, 1, 2] * z + centre
                    pz = group[g, 2, 0] * x + group[g, 2, 1] * y + group[g, 2, 2] * z + centre
                    if min(px, py, pz) < -SLACK or max(px, py, pz) > last:
                        continue
                    nx, ny, nz = np.int32(px + HALF), np.int32(py + HALF), np.int32(pz + HALF)
                    seen += 1
                    # Right angles and halves of turns land on voxels, where the spline is the map: 64 reads saved.
                    if max(abs(px - np.float32(nx)), abs(py - np.float32(ny)), abs(pz - np.float32(nz))) < SLACK:
                        total += values[nz, ny, nx]
                    else:
                        total += _interpolate(spline, max(pz, ZERO), max(py, ZERO), max(px, ZERO))
                out[k, j, i] = total / seen

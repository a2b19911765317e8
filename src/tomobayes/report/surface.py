"""What is seen of a density: the first place along each ray where it reaches a level, lit from the upper left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Surface", "first_surface"]

Float32 = NDArray[np.float32]

_LIGHT = np.array([-0.78, 0.45, -0.43])
"""Towards the light: depth (away from the eye), row (up), column (right)."""

_AMBIENT, _DIFFUSE, _FOG = 0.30, 0.78, 0.45


@dataclass(frozen=True)
class Surface:
    """One view of a surface.

    Parameters
    ----------
    hit : (rows, columns) whether the ray of a pixel meets the surface
    depth : (rows, columns) where, in voxels from the front face; 0 where it does not
    brightness : (rows, columns) 0 to 1
    """

    hit: NDArray[np.bool_]
    depth: Float32
    brightness: Float32


def first_surface(density: Float32, level: float) -> Surface:
    """Look into a density (depth, rows, columns) from its front face, along parallel rays through the middles of its voxels."""
    above = density > level
    hit, first = np.asarray(above.any(0)), above.argmax(0)
    rows, columns = np.indices(first.shape)
    here, before = density[first, rows, columns], density[np.maximum(first - 1, 0), rows, columns]
    step = np.where(first > 0, (here - level) / np.maximum(here - before, 1e-12), 0)
    depth = np.where(hit, first - np.clip(step, 0, 1), 0).astype(np.float32)
    normal = -_gradient(density, first)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-12)
    facing = np.clip(normal @ (_LIGHT / np.linalg.norm(_LIGHT)), 0, 1)
    return Surface(hit, depth, (_near(hit, depth) * (_AMBIENT + _DIFFUSE * facing)).astype(np.float32))


def _gradient(density: Float32, depth: NDArray[np.intp]) -> NDArray[np.float64]:
    """(rows, columns, 3) central differences at one voxel of each ray."""
    place = np.stack([depth, *np.indices(depth.shape)])
    last = np.array(density.shape) - 1
    parts = []
    for axis in range(3):
        ahead, behind = place.copy(), place.copy()
        ahead[axis] = np.minimum(ahead[axis] + 1, last[axis])
        behind[axis] = np.maximum(behind[axis] - 1, 0)
        parts.append(density[tuple(ahead)] - density[tuple(behind)])
    return np.stack(parts, -1).astype(np.float64)


def _near(hit: NDArray[np.bool_], depth: Float32) -> Float32:
    """1 at the nearest point of the surface, darker the farther away."""
    if not hit.any():
        return np.zeros_like(depth)
    nearest, farthest = depth[hit].min(), depth[hit].max()
    return np.asarray(1 - _FOG * (depth - nearest) / max(float(farthest - nearest), 1.0), dtype=np.float32)

"""Points evenly over a surface, each with the same area to itself, as a picker spreads particles over a membrane."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tomobayes.particles.surfaces import Surface

__all__ = ["even_cover"]

Float = NDArray[np.float64]
PER_POINT = 32
ROUNDS = 25


def even_cover(surface: Surface, spacing_angstrom: float, seed: int = 0) -> tuple[Float, Float]:
    """Points with an area of ``spacing²`` each, and the normals there, (N, 3) twice.

    Farthest-point sampling of a fine cloud, then Lloyd's algorithm: every point moves to the middle of what is nearest to it, and back
    onto the surface. Most points end up with six neighbours about one spacing away; in a hexagonal lattice it would be 1.07 spacings.
    """
    count = max(1, round(surface.area / spacing_angstrom**2))
    cloud, weight = surface.cloud(PER_POINT * count)
    points = _far_apart(cloud, count, seed)
    for _ in range(ROUNDS):
        points = surface.nearest(_middles(cloud, weight, points))[0]
    return surface.nearest(points)


def _far_apart(cloud: Float, count: int, seed: int) -> Float:
    """One point after another, each as far as can be from those before."""
    chosen = np.empty(min(count, len(cloud)), dtype=np.int64)
    chosen[0] = np.random.default_rng(seed).integers(len(cloud))
    distance = np.full(len(cloud), np.inf)
    for index in range(1, len(chosen)):
        distance = np.minimum(distance, ((cloud - cloud[chosen[index - 1]]) ** 2).sum(1))
        chosen[index] = distance.argmax()
    return cloud[chosen]


def _middles(cloud: Float, weight: Float, points: Float) -> Float:
    """Weighted mean of the part of the cloud that is nearest to each point."""
    from scipy.spatial import cKDTree

    owner = np.asarray(cKDTree(points).query(cloud)[1])
    total = np.bincount(owner, weight, minlength=len(points))
    sums = np.stack([np.bincount(owner, weight * axis, minlength=len(points)) for axis in cloud.T], -1)
    owned = total > 0
    return np.where(owned[:, None], sums / np.where(owned, total, 1)[:, None], points)

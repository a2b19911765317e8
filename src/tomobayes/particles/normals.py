"""Normals of a surface that is known by points on it: at every point, to one side, and which side is outside."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tomobayes.particles.surfaces import fitted_sphere

__all__ = ["consistent_normals", "outward"]

Float = NDArray[np.float64]


def consistent_normals(points: Float) -> Float:
    """(N, 3) normals of the planes through each point's neighbours, turned to agree along a tree of the likest neighbours."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree
    from scipy.spatial import cKDTree

    distance, index = cKDTree(points).query(points, k=min(10, len(points)))
    offset = points[index] - points[index].mean(1, keepdims=True)
    normals = np.linalg.eigh(np.einsum("nki,nkj->nij", offset, offset))[1][..., 0]
    first = np.repeat(np.arange(len(points)), index.shape[1] - 1)
    second = np.asarray(index)[:, 1:].ravel()
    length = np.asarray(distance)[:, 1:].ravel()
    cost = 1e-6 + 1 - np.abs(np.einsum("ni,ni->n", normals[first], normals[second])) + 1e-3 * length / length.max()
    graph = coo_array((cost, (first, second)), shape=(len(points),) * 2).tocsr()
    tree = minimum_spanning_tree(graph.maximum(graph.T))
    left = np.ones(len(points), dtype=bool)
    while left.any():
        order, before = breadth_first_order(tree, int(np.flatnonzero(left)[0]), directed=False)
        for row in order[1:]:
            if normals[row] @ normals[before[row]] < 0:
                normals[row] *= -1
        left[order] = False
    return normals


def outward(points: Float, centre: Float | None = None) -> tuple[Float, bool]:
    """(N, 3) directions that roughly point outwards, and whether there is an outside.

    Away from ``centre``; without it, away from the middle of the sphere that fits the points best if that fits twice as well
    as a plane; else to larger z.
    """
    if centre is not None:
        return points - centre, True
    up = np.broadcast_to([0.0, 0, 1], points.shape)
    try:
        fitted, misfit = fitted_sphere(points)
    except ValueError:
        return up, False
    scatter = float(np.linalg.svd(points - points.mean(0), compute_uv=False)[-1]) / len(points) ** 0.5  # about the best plane
    return (points - fitted.centre, True) if misfit < scatter / 2 else (up, False)

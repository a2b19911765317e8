"""Free surfaces: a smooth surface through points picked on it, by moving least squares. Lengths in Å."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tomobayes.particles.normals import consistent_normals, outward

__all__ = ["PointSurface", "surface_through"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

LEAST_POINTS = 6
NEIGHBOURS = 20
WIDEST_GAP = np.radians(200)
"""A place belongs to the surface if picked points surround it: no gap between their directions is wider."""


@dataclass(frozen=True)
class PointSurface:
    """The surface that is, about every place, the quadratic height function fitted to the picked points near it.

    Parameters
    ----------
    points, normals : (N, 3) picked points and consistent normals there
    reach : distance within which picked points count, about that of the sixth neighbour
    """

    points: Float
    normals: Float
    reach: float

    @cached_property
    def _fine(self) -> tuple[Float, Float]:
        return self.cloud(max(2000, 30 * len(self.points)))

    @cached_property
    def area(self) -> float:
        """Å²."""
        return float(self._fine[1].sum())

    def cloud(self, count: int) -> tuple[Float, Float]:
        """Tangent discs around the picked points moved onto the surface, thinned evenly; what picked points do not surround goes."""
        rough = len(self.points) * (0.7 * self.reach) ** 2
        step = float(np.clip(np.sqrt(rough / max(count, 1)), self.reach / 25, self.reach / 3))
        places, normals = self.nearest(self._discs(step))
        kept = _one_per_cell(places, step)
        places, normals = places[kept], normals[kept]
        weight = _areas(places, 3 * step)
        inside = self._surrounded(places, normals)
        return places[inside], weight[inside]

    def nearest(self, points: Float) -> tuple[Float, Float]:
        """Foot points on the local fit and its normals; two rounds, the second fitted about the foot of the first."""
        normals = np.zeros_like(points)
        for _ in range(2):
            points, normals = self._fitted(points)
        return points, normals

    def _fitted(self, query: Float) -> tuple[Float, Float]:
        from scipy.spatial import cKDTree

        distance, index = cKDTree(self.points).query(query, k=min(NEIGHBOURS, len(self.points)))
        near, distance = self.points[index], np.asarray(distance)
        scale = np.maximum(self.reach, distance[:, min(5, distance.shape[1] - 1)])
        weight = np.exp(-((distance / scale[:, None]) ** 2))
        middle = np.einsum("mk,mki->mi", weight, near) / weight.sum(1)[:, None]
        rough = np.einsum("mk,mki->mi", weight, self.normals[index])
        frame = _frames(near - middle[:, None], weight, rough)
        local = (near - query[:, None]) @ np.swapaxes(frame, 1, 2) / scale[:, None, None]
        x, y, height = np.moveaxis(local, -1, 0)
        terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], -1)
        weighted = np.swapaxes(weight[..., None] * terms, 1, 2)
        ridge = np.diag([1e-9, 1e-9, 1e-9, 1e-3, 1e-3, 1e-3])
        fit = np.linalg.solve(weighted @ terms + ridge, weighted @ height[..., None])[..., 0]
        slope = np.stack([-fit[:, 1], -fit[:, 2], np.ones(len(fit))], -1)
        slope /= np.linalg.norm(slope, axis=1, keepdims=True)
        foot = query + (scale * fit[:, 0])[:, None] * frame[:, 2]
        return foot, np.einsum("mij,mi->mj", frame, slope)

    def _discs(self, step: float) -> Float:
        """Tangent discs around the picked points, in steps."""
        radius = 1.25 * self.reach
        axis = np.arange(-radius, radius + step, step)
        x, y = (part.ravel() for part in np.meshgrid(axis, axis))
        inside = np.hypot(x, y) <= radius
        frames = _frames_about(self.normals)
        flat = x[inside][:, None] * frames[:, None, :, 0] + y[inside][:, None] * frames[:, None, :, 1]
        places = (self.points[:, None] + flat).reshape(-1, 3)
        return np.asarray(places[_one_per_cell(places, step)])

    def _surrounded(self, places: Float, normals: Float) -> NDArray[np.bool_]:
        """Whether picked points lie all around, within twice the reach."""
        from scipy.spatial import cKDTree

        distance, index = cKDTree(self.points).query(places, k=min(NEIGHBOURS, len(self.points)))
        frames = _frames_about(normals)
        across = (self.points[index] - places[:, None]) @ frames
        angle = np.arctan2(across[..., 1], across[..., 0])
        angle = np.sort(np.where(np.asarray(distance) <= 2 * self.reach, angle, angle[:, :1]), axis=1)
        gaps = np.append(np.diff(angle, axis=1), angle[:, :1] + 2 * np.pi - angle[:, -1:], 1)
        return np.asarray(gaps.max(1) <= WIDEST_GAP) & (np.asarray(distance)[:, 0] <= 2 * self.reach)


def surface_through(points: Float, centre: Float | None = None) -> tuple[PointSurface, bool]:
    """The surface through points, and whether it has an outside.

    Normals point away from ``centre``; without it away from the middle of the sphere that fits the points best, which is the side
    to which the surface bulges. Where a plane fits about as well no side is the outside, and normals point up, to larger z.

    ValueError says in words where points are too few.
    """
    from scipy.spatial import cKDTree

    points = np.unique(points, axis=0)
    if len(points) < LEAST_POINTS:
        raise ValueError(f"{len(points)} points do not determine a surface: it takes {LEAST_POINTS} or more")
    reach = float(np.median(np.asarray(cKDTree(points).query(points, k=LEAST_POINTS)[0])[:, -1]))
    normals = consistent_normals(points)
    outside, sided = outward(points, centre)
    sign = np.sign(np.einsum("ni,ni->n", normals, outside).sum()) or 1.0
    return PointSurface(points, sign * normals, reach), sided


def _frames(offset: Float, weight: Float, towards: Float) -> Float:
    """(M, 3, 3) frames in rows whose last is the normal of weighted points, on the side of a direction."""
    spread = np.swapaxes(weight[..., None] * offset, 1, 2) @ offset
    frame = np.swapaxes(np.linalg.eigh(spread)[1][..., ::-1], 1, 2)
    sign = np.where(np.einsum("mi,mi->m", frame[:, 2], towards) < 0, -1.0, 1.0)
    frame[:, 2] *= sign[:, None]
    frame[:, 1] = np.cross(frame[:, 2], frame[:, 0])
    return frame


def _frames_about(normals: Float) -> Float:
    """(M, 3, 3) right-handed frames in columns whose last is the normal."""
    across = np.cross(normals, np.eye(3)[np.abs(normals).argmin(1)])
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    return np.stack([across, np.cross(normals, across), normals], -1)


def _one_per_cell(points: Float, edge: float) -> Int:
    """Rows of the first point in every cell of a cubic grid."""
    cell = np.floor((points - points.min(0)) / edge).astype(np.int64)
    return np.sort(np.unique(np.ravel_multi_index(tuple(cell.T), tuple(cell.max(0) + 1)), return_index=True)[1])


def _areas(points: Float, radius: float) -> Float:
    """Area that each of points on a surface stands for: that of a disc over how many are in it."""
    from scipy.spatial import cKDTree

    count = cKDTree(points).query_ball_point(points, radius, return_length=True)
    return np.pi * radius**2 / np.asarray(count, dtype=np.float64)

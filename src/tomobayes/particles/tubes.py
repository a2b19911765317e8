"""Tubes: a radius about a centre line picked as points in their order. Lengths in Å, normals point outwards."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["Tube", "centre_line", "frames_along"]

Float = NDArray[np.float64]
STEPS_PER_RADIUS = 12


@dataclass(frozen=True)
class Tube:
    """A tube without lids.

    Parameters
    ----------
    line : (L, 3) points of the centre line, densely and evenly
    radius : Å
    """

    line: Float
    radius: float

    @cached_property
    def _frames(self) -> Float:
        return frames_along(self.line)

    @cached_property
    def _length(self) -> Float:
        return np.append(0.0, np.cumsum(np.linalg.norm(np.diff(self.line, axis=0), axis=1)))

    @property
    def area(self) -> float:
        """2πr times the length of the centre line: what a bend adds outside it takes inside (Pappus)."""
        return float(2 * np.pi * self.radius * self._length[-1])

    def cloud(self, count: int) -> tuple[Float, Float]:
        """Points at even steps along the line, each a turn by the golden angle on from the last, in frames that do not twist."""
        along = (np.arange(count) + 0.5) / count * self._length[-1]
        turn = np.pi * (3 - 5**0.5) * np.arange(count)
        index = np.clip(np.searchsorted(self._length, along) - 1, 0, len(self.line) - 2)
        share = (along - self._length[index]) / np.maximum(self._length[index + 1] - self._length[index], 1e-12)
        centre = self.line[index] + share[:, None] * (self.line[index + 1] - self.line[index])
        across, beside, _ = np.moveaxis(self._frames[index], -1, 0)
        normal = np.cos(turn)[:, None] * across + np.sin(turn)[:, None] * beside
        return centre + self.radius * normal, self._weights(centre, normal, index, count)

    def _weights(self, centre: Float, normal: Float, index: NDArray[np.int64], count: int) -> Float:
        """dA = (1 - r n·κ) r dφ ds, κ the curvature vector; nothing where the tube is bent more than its radius."""
        step = self._length[-1] / (len(self.line) - 1)
        tangent = self._frames[..., 2]
        curvature = np.gradient(tangent, step, axis=0)[index]
        squeezed = np.maximum(1 - self.radius * np.einsum("mi,mi->m", normal, curvature), 0)
        return np.asarray(squeezed * self.area / count)

    def nearest(self, points: Float) -> tuple[Float, Float]:
        """Straight away from the centre line, at right angles to it: points beyond its ends come back to them."""
        from scipy.spatial import cKDTree

        index = np.asarray(cKDTree(self.line).query(points)[1])
        tangent = self._frames[index][..., 2]
        offset = points - self.line[index]
        ahead = np.einsum("mi,mi->m", offset, tangent)
        normal = offset - ahead[:, None] * tangent
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-300)
        inner = (index > 0) & (index < len(self.line) - 1)
        return self.line[index] + np.where(inner, ahead, 0)[:, None] * tangent + self.radius * normal, normal


def centre_line(points: Float, step: float) -> Float:
    """A cubic spline through points in their order (straight between two), at even steps of about ``step``, (N, 3) -> (L, 3)."""
    from scipy.interpolate import make_interp_spline

    points = points[np.append(True, np.linalg.norm(np.diff(points, axis=0), axis=1) > 0)]
    if len(points) < 2:
        raise ValueError("a centre line takes at least two different points, in their order")
    chord = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1)))
    spline = make_interp_spline(chord, points, k=min(3, len(points) - 1))
    fine = spline(np.linspace(0, chord[-1], 20 * max(2, int(np.ceil(chord[-1] / step)))))
    length = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(fine, axis=0), axis=1)))
    even = np.linspace(0, length[-1], max(3, int(np.ceil(length[-1] / step)) + 1))
    return np.stack([np.interp(even, length, axis) for axis in fine.T], -1)


def frames_along(line: Float) -> Float:
    """(L, 3, 3) right-handed frames (across, beside, ahead) in columns that do not twist about the line, (L, 3).

    Each frame is the last one turned by the least rotation that takes its tangent to the next.
    """
    tangent = np.gradient(line, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-300)
    across = np.cross(tangent[0], np.eye(3)[np.abs(tangent[0]).argmin()])
    across /= np.linalg.norm(across)
    frames = np.empty((len(line), 3, 3))
    for index, ahead in enumerate(tangent):
        last = tangent[max(index - 1, 0)]
        axis = np.cross(last, ahead)
        across = across + np.cross(axis, across) + np.cross(axis, np.cross(axis, across)) / (1 + max(float(last @ ahead), -0.5))
        across -= (across @ ahead) * ahead
        across /= np.linalg.norm(across)
        frames[index] = np.stack([across, np.cross(ahead, across), ahead], -1)
    return frames

"""Warp's grids of parameters: a few nodes over image, volume and time, and what is between them.

A *cubic* grid (x, y, z) is interpolated by a natural cubic spline that passes through its nodes, which lie evenly between the margins of
[0, 1]; a *linear* grid (x, y, z, time) is interpolated linearly along each axis and constant beyond its last node. An axis with one node
has the same value everywhere. In tilt series the third axis of a cubic grid runs over the tilts, in the order of the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["CubicGrid", "LinearGrid", "constant_grid", "node_slopes", "spline_basis", "tilt_fractions"]

Float = NDArray[np.float64]


@dataclass(frozen=True)
class CubicGrid:
    """Nodes of a natural cubic spline.

    Parameters
    ----------
    values : (Z, Y, X)
    margins : (x, y, z) how far from 0 and 1 the first and last nodes lie
    """

    values: Float
    margins: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def is_constant(self) -> bool:
        """Whether there is one node only: in most of Warp's grids that means that nothing was estimated."""
        return self.values.size == 1

    @property
    def is_even(self) -> bool:
        """Whether the value depends on nothing but the third axis."""
        return self.values.shape[1:] == (1, 1)

    def per_tilt(self, n_tilts: int) -> Float:
        """(F, Y, X) the nodes of each tilt."""
        basis = spline_basis(self.values.shape[0], _within(tilt_fractions(n_tilts), self.margins[2]))
        return np.asarray(np.einsum("fz,zyx->fyx", basis, self.values))

    def at(self, x: Float, y: Float, n_tilts: int) -> Float:
        """Values at places in every tilt, x and y (..., F) as fractions of image or volume -> (..., F)."""
        nodes = self.per_tilt(n_tilts)
        if self.is_even:
            return np.broadcast_to(nodes[:, 0, 0], np.broadcast_shapes(x.shape, (n_tilts,)))
        along_x = spline_basis(nodes.shape[2], _within(x, self.margins[0]))
        along_y = spline_basis(nodes.shape[1], _within(y, self.margins[1]))
        return np.asarray(np.einsum("...fy,fyx,...fx->...f", along_y, nodes, along_x, optimize=True))


@dataclass(frozen=True)
class LinearGrid:
    """Nodes (T, Z, Y, X) between which values are linear; T runs over the dose, from the least to the most of the tilt series."""

    values: Float

    @property
    def is_constant(self) -> bool:
        """Whether there is one node only."""
        return self.values.size == 1

    def at(self, points: Float, time: Float) -> Float:
        """Values at points (..., F, 3) as fractions of the volume, at times (F,) from 0 to 1 -> (..., F)."""
        nodes = np.einsum("ft,tzyx->fzyx", _linear_basis(self.values.shape[0], time), self.values)
        z, y, x = (_linear_basis(nodes.shape[axis], points[..., 3 - axis]) for axis in (1, 2, 3))
        return np.asarray(np.einsum("...fz,...fy,...fx,fzyx->...f", z, y, x, nodes, optimize=True))


def constant_grid(value: float) -> CubicGrid:
    """A grid of one node."""
    return CubicGrid(np.full((1, 1, 1), value))


def tilt_fractions(n_tilts: int) -> Float:
    """(F,) where the tilts lie on the third axis: evenly from 0 to 1."""
    return np.arange(n_tilts) / max(n_tilts - 1, 1)


def spline_basis(n_nodes: int, at: Float) -> Float:
    """(..., n) weights of the nodes in the natural cubic spline through them, at fractions (...); beyond the ends the last cubics go on."""
    if n_nodes == 1:
        return np.ones((*at.shape, 1))
    place = at * (n_nodes - 1)
    segment = np.clip(np.floor(place), 0, n_nodes - 2).astype(np.int64)
    right = (place - segment)[..., None]
    left = 1 - right
    identity, curvature = np.eye(n_nodes), _curvatures(n_nodes)
    straight = left * identity[segment] + right * identity[segment + 1]
    bent = (left**3 - left) * curvature[segment] + (right**3 - right) * curvature[segment + 1]
    return np.asarray(straight + bent / 6)


def node_slopes(n_nodes: int) -> Float:
    """(n, n) from values at the nodes to the spline's slopes there, per node spacing."""
    if n_nodes == 1:
        return np.zeros((1, 1))
    identity, curvature = np.eye(n_nodes), _curvatures(n_nodes)
    forward = np.diff(identity, axis=0) - (2 * curvature[:-1] + curvature[1:]) / 6
    last = identity[-1] - identity[-2] + (curvature[-2] + 2 * curvature[-1]) / 6
    return np.concatenate([forward, last[None]])


@lru_cache(maxsize=64)
def _curvatures(n_nodes: int) -> Float:
    """(n, n) from values at the nodes to second derivatives there, per node spacing squared: zero at both ends."""
    matrix = np.zeros((n_nodes, n_nodes))
    if n_nodes > 2:
        inner = n_nodes - 2
        system = 4 * np.eye(inner) + np.eye(inner, k=1) + np.eye(inner, k=-1)
        matrix[1:-1] = np.linalg.solve(system, 6 * np.diff(np.eye(n_nodes), n=2, axis=0))
    return matrix


def _within(at: Float, margin: float) -> Float:
    return (at - margin) / (1 - 2 * margin)


def _linear_basis(n_nodes: int, at: Float) -> Float:
    """(..., n) linear weights; Warp goes on linearly below the first node and stays at the last above it."""
    place = at * (n_nodes - 1)
    first = np.clip(np.trunc(place), 0, n_nodes - 1).astype(np.int64)
    second = np.minimum(first + 1, n_nodes - 1)
    fraction = (place - first)[..., None]
    identity = np.eye(n_nodes)
    return np.asarray((1 - fraction) * identity[first] + fraction * identity[second])

"""Closed surfaces: spheres and ellipsoids, given or fitted to points on them. Lengths in Å, normals point outwards."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ellipsoid", "Surface", "directions", "fitted_ellipsoid", "fitted_sphere", "sphere"]

Float = NDArray[np.float64]
GOLDEN_ANGLE = np.pi * (3 - 5**0.5)


class Surface(Protocol):
    """What a cover of particles needs to know of a surface."""

    @property
    def area(self) -> float:
        """Å²."""

    def cloud(self, count: int) -> tuple[Float, Float]:
        """About ``count`` points (M, 3) all over the surface, and how much of its area each stands for, (M,)."""

    def nearest(self, points: Float) -> tuple[Float, Float]:
        """Points of the surface next to others that are close to it, and the normals there, (M, 3) -> (M, 3) twice."""


@dataclass(frozen=True)
class Ellipsoid:
    """x = centre + axes·(semi_axes ∘ u), |u| = 1.

    Parameters
    ----------
    centre : (3,)
    semi_axes : (3,)
    axes : (3, 3) their directions, in columns
    """

    centre: Float
    semi_axes: Float
    axes: Float

    @cached_property
    def area(self) -> float:
        """Å², as the sum over a fine cloud."""
        return float(self.cloud(20_000)[1].sum())

    def cloud(self, count: int) -> tuple[Float, Float]:
        """A Fibonacci lattice of directions u, each with the area that its share of the sphere becomes."""
        unit = directions(count)
        stretch = np.prod(self.semi_axes) * np.linalg.norm(unit / self.semi_axes, axis=1)
        return self.centre + (unit * self.semi_axes) @ self.axes.T, stretch * 4 * np.pi / count

    def nearest(self, points: Float) -> tuple[Float, Float]:
        """Newton steps along the gradient of f(x) = Σ (x_i/a_i)² - 1."""
        local = (points - self.centre) @ self.axes
        for _ in range(8):
            gradient = 2 * local / self.semi_axes**2
            value = np.sum((local / self.semi_axes) ** 2, axis=1) - 1
            local = local - gradient * (value / np.maximum(np.sum(gradient**2, axis=1), 1e-300))[:, None]
        normal = local / self.semi_axes**2
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-300)
        return self.centre + local @ self.axes.T, normal @ self.axes.T


def sphere(centre: Float, radius: float) -> Ellipsoid:
    """An ellipsoid with equal axes."""
    return Ellipsoid(np.asarray(centre, dtype=np.float64), np.full(3, float(radius)), np.eye(3))


def directions(count: int) -> Float:
    """(count, 3) unit vectors evenly over the sphere: a Fibonacci lattice, one turn by the golden angle per equal step in z."""
    index = np.arange(count)
    z = 1 - (2 * index + 1) / count
    radius = np.sqrt(1 - z**2)
    return np.stack([radius * np.cos(GOLDEN_ANGLE * index), radius * np.sin(GOLDEN_ANGLE * index), z], -1)


def fitted_sphere(points: Float) -> tuple[Ellipsoid, float]:
    """The sphere through points in the least-squares sense of |x|² = 2c·x + (r² - |c|²), and the rms distance of the points from it.

    ValueError says in words where points lie in a plane or are fewer than four.
    """
    middle = points.mean(0)
    offset = points - middle
    if len(points) < 4 or np.linalg.matrix_rank(offset, tol=1e-6 * float(np.abs(offset).max(initial=1e-9))) < 3:
        raise ValueError(f"{len(points)} points do not determine a sphere: it takes four or more that are not in a plane")
    solution = np.linalg.lstsq(np.append(2 * offset, np.ones((len(offset), 1)), 1), (offset**2).sum(1), rcond=None)[0]
    centre = solution[:3]
    fitted = sphere(centre + middle, float(np.sqrt(solution[3] + centre @ centre)))
    return fitted, _misfit(fitted, points)


def fitted_ellipsoid(points: Float) -> tuple[Ellipsoid, float]:
    """The ellipsoid through points, and the rms distance of the points from it.

    Least squares of x·x + x·Qx + 2b·x + c = 0 with Q symmetric and without a trace, in units of the points' spread. ValueError says
    in words where points are fewer than nine or lie on no ellipsoid.
    """
    if len(points) < 9:
        raise ValueError(f"{len(points)} points do not determine an ellipsoid: it takes nine or more, all over it")
    middle, scale = points.mean(0), float(points.std())
    x, y, z = offset = ((points - middle) / scale).T
    terms = np.stack([x * x - z * z, y * y - z * z, 2 * x * y, 2 * x * z, 2 * y * z, 2 * x, 2 * y, 2 * z, np.ones_like(x)], 1)
    p, q, xy, xz, yz, *linear, constant = np.linalg.lstsq(terms, -(offset**2).sum(0), rcond=None)[0]
    form = np.array([[1 + p, xy, xz], [xy, 1 + q, yz], [xz, yz, 1 - p - q]])
    squares, axes = np.linalg.eigh(form)
    if squares.min() <= 0:
        raise ValueError("the points lie on no ellipsoid: pick more of them, all around")
    centre = -np.linalg.solve(form, np.array(linear))
    size = centre @ form @ centre - constant
    fitted = Ellipsoid(middle + scale * centre, scale * np.sqrt(size / squares), axes * np.sign(np.linalg.det(axes)))
    return fitted, _misfit(fitted, points)


def _misfit(fitted: Ellipsoid, points: Float) -> float:
    return float(np.sqrt(np.mean(np.sum((fitted.nearest(points)[0] - points) ** 2, axis=1))))

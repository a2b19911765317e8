"""Warp's grids against scipy, against values that Warp's own code gave, and against RELION's spline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.interpolate import CubicSpline

from tomobayes.formats.star import read_star
from tomobayes.formats.warp_geometry import hermite_coefficients
from tomobayes.formats.warp_grids import CubicGrid, LinearGrid, node_slopes, spline_basis
from tomobayes.geometry.deformation import displacement

SUBSCRIPTS = {1: "x,nx->n", 2: "yx,nx,ny->n", 3: "zyx,nx,ny,nz->n"}


@pytest.mark.parametrize("n", [3, 4, 7, 41])
def test_basis_is_the_natural_cubic_spline(n: int) -> None:
    """Between the nodes, beyond them, and its slopes at them."""
    spline = CubicSpline(np.linspace(0, 1, n), np.eye(n), bc_type="natural")
    at = np.linspace(-0.1, 1.1, 50)
    assert np.allclose(spline_basis(n, at), spline(at), atol=1e-10)
    assert np.allclose(node_slopes(n) * (n - 1), spline(np.linspace(0, 1, n), 1), atol=1e-10)


def test_two_nodes_are_a_line_and_one_is_a_constant() -> None:
    at = np.array([-0.5, 0.25, 1.5])
    assert np.allclose(spline_basis(2, at) @ np.array([1.0, 3.0]), 1 + 2 * at)
    assert np.allclose(spline_basis(1, at), 1)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_values_are_those_of_warps_own_splines(shared: Path, dimensions: int) -> None:
    tables = read_star(shared / f"data/geometry/warpylib_EMPIAR10491_10499/reference{dimensions}d.star")
    nodes, at = ({label: cells.astype(float) for label, cells in tables[name].columns.items()} for name in ("grid", "eval"))
    shape = [int(nodes[axis].max()) + 1 for axis in ("ix", "iy", "iz")[:dimensions]]
    values = nodes["value"].reshape(shape[::-1])
    bases = [spline_basis(n, at[axis]) for n, axis in zip(shape, "xyz", strict=False)]
    found = np.einsum(SUBSCRIPTS[dimensions], values, *bases, optimize=True)
    assert np.abs(found - at["value"]).max() < 1e-6


def test_cubic_grid_takes_tilts_at_its_third_axis_and_heeds_margins() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5, 3, 4))
    x, y = rng.uniform(size=(2, 6, 5))
    plain, narrow = CubicGrid(values), CubicGrid(values, (0.1, 0.2, 0.0))
    assert np.allclose(plain.at(np.full((1, 5), 1 / 3), np.full((1, 5), 0.5), 5), values[:, 1, 1])
    assert np.allclose(narrow.at(0.1 + 0.8 * x, 0.2 + 0.6 * y, 5), plain.at(x, y, 5))
    assert plain.per_tilt(9).shape == (9, 3, 4)
    assert np.allclose(plain.per_tilt(9)[::2], values)


def test_linear_grid_is_linear_inside_below_and_constant_above() -> None:
    """A function that is linear in space and time is given back; Warp extrapolates at one end only."""
    rng = np.random.default_rng(1)
    t, z, y, x = np.meshgrid(*(np.linspace(0, 1, n) for n in (4, 2, 3, 5)), indexing="ij")
    grid = LinearGrid(1 + 2 * x - 3 * y + 4 * z + 5 * t)
    points, time = rng.uniform(size=(7, 6, 3)), rng.uniform(size=6)
    assert np.allclose(grid.at(points, time), 1 + points @ [2, -3, 4] + 5 * time)
    beyond = np.array([[[-0.1, 0.0, 0.0]], [[1.1, 0.0, 0.0]]])
    assert np.allclose(grid.at(beyond, np.zeros(1)).ravel(), [0.8, 3.0])


@pytest.mark.parametrize(("height", "width"), [(4, 6), (1, 3), (2, 2)])
def test_an_image_warp_is_exactly_a_spline_of_relions(height: int, width: int) -> None:
    rng = np.random.default_rng(2)
    nodes_x, nodes_y = rng.normal(size=(2, 3, height, width))
    size, points = (400, 300), rng.uniform(0, 1, (20, 3, 2)) * [400, 300]
    coefficients = torch.from_numpy(hermite_coefficients(nodes_x, nodes_y))
    found = displacement("spline", coefficients, torch.from_numpy(points), size, (width, height)).numpy()
    x, y = points[..., 0] / 400, points[..., 1] / 300
    expected = np.stack([CubicGrid(nodes).at(x, y, 3) for nodes in (nodes_x, nodes_y)], -1)
    assert np.allclose(found, expected, atol=1e-9)

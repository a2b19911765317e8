"""Deformations against their definitions written out, and what makes them smooth, linear and RELION's."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.interpolate import CubicHermiteSpline

from tomobayes.geometry.deformation import deformation_basis, deformed, displacement, fourier_waves
from tomobayes.model import Deformation
from tomobayes.model.deformation import coefficient_count

SIZE = (480, 300)
GRIDS = {"affine": (1, 1), "spline": (4, 3), "fourier": (4, 5)}
RANDOM = np.random.default_rng(0)
POINTS = torch.from_numpy(RANDOM.uniform(0, 1, (7, 2)) * SIZE)


@pytest.mark.parametrize("kind", GRIDS)
def test_basis_has_a_column_per_coefficient_and_is_differentiable(kind):
    count = coefficient_count(kind, GRIDS[kind])
    basis = deformation_basis(kind, POINTS, SIZE, GRIDS[kind])
    assert basis.shape == (7, 2, count)
    coefficients = torch.from_numpy(RANDOM.normal(size=count)).requires_grad_()
    points = POINTS.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda p, c: displacement(kind, c, p, SIZE, GRIDS[kind]), (points, coefficients))


@pytest.mark.parametrize("grid", [(1, 1), (2, 2), (3, 3), (4, 4), (3, 6), (5, 2), (7, 1)])
def test_count_is_that_of_the_waves(grid):
    assert coefficient_count("fourier", grid) == 4 * len(fourier_waves(grid))
    waves = {wave for wave in fourier_waves(grid)} | {(-m, -n) for m, n in fourier_waves(grid)}
    assert len(waves) == 2 * len(fourier_waves(grid)) and (0, 0) not in waves


def test_affine_leaves_the_centre_and_the_rotation_alone():
    shear = displacement("affine", torch.tensor([0.01, 0.02, -0.03]).double(), POINTS, SIZE, (1, 1)).numpy()
    x, y = (POINTS.numpy() - [240, 150]).T
    np.testing.assert_allclose(shear, np.stack([0.01 * x, 0.02 * x - 0.03 * y], -1))


def test_fourier_is_its_sum():
    """RELION's order: for x and for y displacement; 0 and then positive rows, the negative ones last; cosine before sine."""
    assert fourier_waves((4, 4)) == [(1, 0), (2, 0), (0, 1), (1, 1), (2, 1), (1, -2), (2, -2), (1, -1), (2, -1)]
    coefficients = RANDOM.normal(size=(2, 9, 2))
    got = displacement("fourier", torch.from_numpy(coefficients.ravel()), POINTS, SIZE, (4, 4)).numpy()
    for point, moved in zip(POINTS.numpy(), got, strict=True):
        turns = [math.pi * (m * point[0] / SIZE[0] + n * point[1] / SIZE[1]) for m, n in fourier_waves((4, 4))]
        for axis in range(2):
            expected = sum(c * math.cos(t) + s * math.sin(t) for (c, s), t in zip(coefficients[axis], turns, strict=True))
            assert moved[axis] == pytest.approx(expected)


def test_spline_is_a_hermite_spline_along_each_axis():
    """Coefficients by axis, row of nodes, node, and value, slope along x, slope along y, twist; nodes from 0 to the image size."""
    width, height = GRIDS["spline"]
    coefficients = RANDOM.normal(size=(2, height, width, 4))
    got = displacement("spline", torch.from_numpy(coefficients.ravel()), POINTS, SIZE, (width, height)).numpy()
    columns, rows = np.arange(width), np.arange(height)
    for point, moved in zip(POINTS.numpy(), got, strict=True):
        at_x, at_y = point[0] / SIZE[0] * (width - 1), point[1] / SIZE[1] * (height - 1)
        for axis in range(2):
            value, slope_x, slope_y, twist = np.moveaxis(coefficients[axis], -1, 0)
            along = CubicHermiteSpline(columns, value, slope_x, axis=1)(at_x)
            steep = CubicHermiteSpline(columns, slope_y, twist, axis=1)(at_x)
            assert moved[axis] == pytest.approx(float(CubicHermiteSpline(rows, along, steep)(at_y)))


def test_spline_goes_on_as_at_the_edge():
    coefficients = torch.from_numpy(RANDOM.normal(size=8 * 9))
    out = displacement("spline", coefficients, torch.tensor([[-50.0, 100.0], [500.0, 350.0]]).double(), SIZE, (3, 3))
    edge = displacement("spline", coefficients, torch.tensor([[0.0, 100.0], [480.0, 300.0]]).double(), SIZE, (3, 3))
    torch.testing.assert_close(out, edge)


def test_tilts_have_their_own_coefficients():
    points = POINTS[:6].reshape(2, 3, 2)
    own = RANDOM.normal(size=(3, 3)) * 1e-2
    moved = deformed(points, Deformation("affine", own), SIZE)
    for tilt in range(3):
        alone = deformed(points[:, tilt : tilt + 1], Deformation("affine", own[tilt]), SIZE)
        torch.testing.assert_close(moved[:, tilt], alone[:, 0])

"""Orientation grids: agreement with the healpix package, RELION's counts, uniform covering."""

import healpix
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tomobayes.geometry.healpix import angular_step_degrees, local_grid, pixel_directions, rotation_grid, rotation_vectors_to_matrices


@pytest.mark.parametrize("order", [0, 1, 2, 5])
def test_pixels_agree_with_the_healpix_package(order):
    expected = np.stack(healpix.pix2vec(2**order, np.arange(12 * 4**order), nest=True), -1)
    assert np.abs(pixel_directions(order) - expected).max() < 1e-12


def test_grid_holds_the_euler_matrices_of_directions_and_psi():
    grid = rotation_grid(1)
    x, y, z = pixel_directions(1).T
    rot, tilt = np.rad2deg(np.arctan2(y, x)), np.rad2deg(np.arccos(z))
    angles = [(a, b, 30.0 * step) for a, b in zip(rot, tilt, strict=True) for step in range(12)]
    assert np.allclose(grid, Rotation.from_euler("ZYZ", angles, degrees=True).as_matrix().transpose(0, 2, 1))


def test_grid_covers_all_orientations_evenly():
    grid = rotation_grid(2)
    assert grid.shape == (4608, 3, 3)
    assert angular_step_degrees(2) == 15
    targets = Rotation.random(500, rng=np.random.default_rng(0)).as_matrix()
    distance = np.rad2deg(np.arccos(np.clip((targets.reshape(-1, 9) @ grid.reshape(-1, 9).T - 1) / 2, -1, 1)))
    assert distance.min(1).max() < 15
    within = (distance < 40).sum(1)
    assert within.std() / within.mean() < 0.1


def test_local_grid_fills_a_ball():
    vectors = local_grid(2.0, 6.0)
    degrees = np.rad2deg(np.linalg.norm(vectors, axis=1))
    assert np.all(vectors[0] == 0)
    assert degrees.max() == pytest.approx(6.0)
    assert len(vectors) == 123
    matrices = rotation_vectors_to_matrices(vectors)
    assert np.allclose(Rotation.from_matrix(matrices).magnitude(), np.deg2rad(degrees))
    assert len(local_grid(2.0, 1.0)) == 1

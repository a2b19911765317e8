"""Projection against its definition as a chain of 4x4 matrices, and the self-tests a RELION-compatible geometry must pass."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from tomobayes.geometry.projection import depth_angstrom, is_visible, project

PIXEL = 3.5
TILTS = np.stack([Rotation.from_euler("ZYX", [85, tilt, 1.5], degrees=True).as_matrix() for tilt in (-60, -3, 0, 33)])
SHIFT = np.array([[12.0, -7.0], [0.0, 0.0], [3.5, 3.5], [-40.0, 22.0]])
EVEN = ((512, 480, 304), (512, 480))


def _project(points, tomogram=EVEN[0], image=EVEN[1], rotation=TILTS, shift=SHIFT):
    return project(torch.as_tensor(points), torch.as_tensor(rotation), torch.as_tensor(shift), PIXEL, tomogram, image)


def _chain(point, rotation, shift, tomogram, image):
    """P = S1·S2·R·S0 applied to the decentred pixel coordinate, written out."""

    def translation(x, y, z):
        matrix = np.eye(4)
        matrix[:3, 3] = x, y, z
        return matrix

    turn = np.eye(4)
    turn[:3, :3] = rotation
    before = translation(*(-(size // 2) for size in tomogram))
    after = translation(shift[0] / PIXEL, shift[1] / PIXEL, 0) @ translation(image[0] // 2, image[1] // 2, 0)
    pixel = np.asarray(point) / PIXEL + 0.5 * np.asarray(tomogram)
    return (after @ turn @ before @ np.append(pixel, 1))[:2]


@pytest.mark.parametrize(("tomogram", "image"), [EVEN, ((511, 481, 303), (511, 479)), ((511, 480, 304), (512, 479))])
def test_projection_is_the_chain_of_matrices(tomogram, image):
    points = np.array([[0.0, 0.0, 0.0], [300.0, -120.0, 250.0], [-77.0, 450.0, -333.0]])
    got = _project(points, tomogram, image).numpy()
    for p, point in enumerate(points):
        for f in range(len(TILTS)):
            np.testing.assert_allclose(got[p, f], _chain(point, TILTS[f], SHIFT[f], tomogram, image), atol=1e-9)


def test_tomogram_centre_projects_to_image_centre_plus_shift():
    expected = np.array([EVEN[1][0] / 2, EVEN[1][1] / 2]) + SHIFT / PIXEL
    np.testing.assert_allclose(_project(np.zeros((1, 3)))[0].numpy(), expected, atol=1e-12)


def test_depth_is_height_without_tilt():
    points = torch.tensor([[10.0, 20.0, 30.0], [10.0, 20.0, 37.0]], dtype=torch.float64)
    depth = depth_angstrom(points, torch.eye(3, dtype=torch.float64)[None])
    assert float(depth[1, 0] - depth[0, 0]) == pytest.approx(7.0)


def test_depth_is_third_row_of_the_tilt():
    point = np.array([[100.0, -50.0, 30.0]])
    y, x = np.deg2rad(33), np.deg2rad(1.5)
    expected = point[0] @ [-np.sin(y), np.cos(y) * np.sin(x), np.cos(y) * np.cos(x)]
    assert float(depth_angstrom(torch.from_numpy(point), torch.from_numpy(TILTS))[0, 3]) == pytest.approx(expected)


def test_moving_a_point_moves_its_image_along_the_tilts_column():
    delta = 7.0
    moved = _project(np.array([[-delta, 0.0, 0.0]])) - _project(np.zeros((1, 3)))
    np.testing.assert_allclose(moved[0].numpy(), -delta / PIXEL * TILTS[:, :2, 0], atol=1e-12)


def test_motion_moves_each_tilt_by_itself():
    motion = np.random.default_rng(0).normal(size=(2, len(TILTS), 3))
    both = _project(motion)
    for f in range(len(TILTS)):
        alone = _project(motion[:, f], rotation=TILTS[f : f + 1], shift=SHIFT[f : f + 1])
        np.testing.assert_allclose(both[:, f].numpy(), alone[:, 0].numpy(), atol=1e-12)


def test_visibility_is_strict():
    centre = torch.tensor([[10.0, 50.0], [10.1, 50.0], [89.9, 50.0], [90.0, 50.0], [50.0, 70.0], [50.0, 69.9]])
    assert is_visible(centre, (100, 80), 10.0).tolist() == [False, True, True, False, False, True]


def test_gradients():
    points, rotation, shift = (
        torch.from_numpy(a.copy()).requires_grad_() for a in (np.random.default_rng(1).normal(size=(2, 3)), TILTS[:2], SHIFT[:2])
    )
    assert torch.autograd.gradcheck(lambda p, r, s: project(p, r, s, PIXEL, *EVEN), (points, rotation, shift))
    assert torch.autograd.gradcheck(depth_angstrom, (points, rotation))

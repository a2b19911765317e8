"""Euler angles: RELION's explicit matrix, scipy, and the way back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from tomobayes.formats.euler import euler_from_matrix, matrix_from_euler, matrix_from_tilt_angles, tilt_angles_from_matrix

angles = st.tuples(*[st.floats(-180, 180) | st.sampled_from([0.0, 90.0, 180.0, -90.0, 1e-7]) for _ in range(3)])
checked = settings(derandomize=True, deadline=None, max_examples=200)


def explicit(rot: float, tilt: float, psi: float) -> np.ndarray:
    """The nine elements of RELION's Euler matrix."""
    (cr, ct, cp), (sr, st_, sp) = np.cos(np.radians([rot, tilt, psi])), np.sin(np.radians([rot, tilt, psi]))
    return np.array(
        [
            [cp * ct * cr - sp * sr, cp * ct * sr + sp * cr, -cp * st_],
            [-sp * ct * cr - cp * sr, -sp * ct * sr + cp * cr, sp * st_],
            [st_ * cr, st_ * sr, ct],
        ]
    )


@given(angles)
@checked
def test_matrix_is_relions_and_scipys(triple: tuple[float, float, float]) -> None:
    found = matrix_from_euler(np.array(triple))
    np.testing.assert_allclose(found, explicit(*triple), atol=1e-14)
    np.testing.assert_allclose(found, Rotation.from_euler("ZYZ", triple, degrees=True).as_matrix().T, atol=1e-14)


@given(angles)
@checked
def test_euler_angles_survive_as_rotations(triple: tuple[float, float, float]) -> None:
    matrix = matrix_from_euler(np.array(triple))
    np.testing.assert_allclose(matrix_from_euler(euler_from_matrix(matrix)), matrix, atol=2e-8)


@given(angles)
@checked
def test_tilt_angles_survive_as_rotations(triple: tuple[float, float, float]) -> None:
    matrix = matrix_from_tilt_angles(np.array(triple))
    np.testing.assert_allclose(matrix_from_tilt_angles(tilt_angles_from_matrix(matrix)), matrix, atol=2e-8)


def test_tilt_matrix_turns_z_as_relion_does() -> None:
    """The third row of Rz·Ry·Rx is (-sin Y, cos Y sin X, cos Y cos X)."""
    x, y = np.radians([12.0, -35.0])
    row = matrix_from_tilt_angles(np.array([12.0, -35.0, 77.0]))[2]
    np.testing.assert_allclose(row, [-np.sin(y), np.cos(y) * np.sin(x), np.cos(y) * np.cos(x)], atol=1e-14)


@pytest.mark.parametrize("tilt", [0.0, 180.0])
def test_poles_have_no_rot(tilt: float) -> None:
    assert euler_from_matrix(matrix_from_euler(np.array([30.0, tilt, 20.0])))[0] == 0

"""Axes of point groups in maps that were made without them."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tomobayes.geometry.pointgroups import point_group
from tomobayes.maps.axes import Axes, find_axes, put_on_axes
from tomobayes.maps.fsc import fsc

BOX, RADIUS = 32, 9
BLOBS = np.array([[6.0, 1.5, 3.0], [2.0, 7.0, -2.0], [-4.0, 3.0, 5.0]])


def _map(group: np.ndarray, turn: np.ndarray, shift_px: np.ndarray) -> np.ndarray:
    """Blobs at all mates of three points, turned by a rotation and then moved."""
    axis = np.arange(BOX) - BOX // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    places = np.concatenate([BLOBS @ (turn @ one).T for one in group]) + shift_px
    return np.sum([np.exp(-((x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2) / 5) for a, b, c in places], axis=0).astype(np.float32)


@pytest.mark.parametrize("symbol", ["C3", "C6", "D2", "O"])
def test_axes_are_found_and_put_where_relion_has_them(symbol):
    group, random = point_group(symbol), np.random.default_rng(3)
    turn, shift = Rotation.from_rotvec(random.normal(0, 0.4, 3)).as_matrix(), random.uniform(-1.5, 1.5, 3)
    found = find_axes(_map(group, turn, shift), group, RADIUS, 3.0)
    assert found.agreement > 0.98
    assert found.chance < found.agreement - 0.02
    moved = put_on_axes(_map(group, turn, shift), found, BOX // 2 - 1)
    for mate in group[1:]:
        again = put_on_axes(moved, Axes(mate, np.zeros(3), 1, 0), BOX // 2 - 1)
        assert fsc(moved, again)[1:RADIUS].min() > 0.97


def test_a_map_moved_there_and_back_is_the_same():
    volume, turn = _map(point_group("C1"), np.eye(3), np.zeros(3)), Rotation.from_rotvec([0.3, -0.7, 0.4]).as_matrix()
    shift = np.array([1.3, -0.6, 2.1])
    there = put_on_axes(volume, Axes(turn, shift, 1, 0), BOX // 2 - 1)
    back = put_on_axes(there, Axes(turn.T, -turn.T @ shift, 1, 0), BOX // 2 - 1)
    assert np.corrcoef(volume.ravel(), back.ravel())[0, 1] > 0.99
    assert np.corrcoef(volume.ravel(), there.ravel())[0, 1] < 0.9


def test_a_map_is_turned_as_its_points_are():
    """V(R·x + c) has at x what V has at R·x + c, but for the gridding of samples that a right angle leaves on the grid."""
    volume, turn = _map(point_group("C1"), np.eye(3), np.zeros(3)), Rotation.from_rotvec([0.0, 0.0, np.pi / 2]).as_matrix()
    moved = put_on_axes(volume, Axes(turn, np.array([1.0, 0.0, 2.0]), 1, 0), BOX // 2 - 1)
    x = np.array([3, -5, 1])
    at = np.rint(turn @ x + [1, 0, 2]).astype(int)
    centre = BOX // 2
    assert moved[centre + x[2], centre + x[1], centre + x[0]] == pytest.approx(
        volume[centre + at[2], centre + at[1], centre + at[0]], rel=0.05
    )


def test_one_axis_turns_the_map_no_more_than_needed():
    """A pick that is known to point outwards still does when the axis has been put on z."""
    group, turn = point_group("C6"), Rotation.from_euler("zx", [40, 8], degrees=True).as_matrix()
    found = find_axes(_map(group, turn, np.zeros(3)), group, RADIUS, 2.0)
    assert found.rotation[2, 2] > 0.95
    assert np.degrees(np.arccos((np.trace(found.rotation) - 1) / 2)) < 12

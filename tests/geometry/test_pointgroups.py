"""Point groups are groups, have their axes where RELION has them, and divide orientation space."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tomobayes.geometry.healpix import angular_step_degrees, rotation_grid
from tomobayes.geometry.pointgroups import fundamental_domain, point_group

ORDERS = {"C1": 1, "C7": 7, "D1": 2, "D2": 4, "D7": 14, "T": 12, "O": 24, "I": 60, "I1": 60, "I2": 60, "I3": 60, "I4": 60}
S, L = 0.5257311142635, 0.85065080702670
AXES = [
    ("C6", 6, (0, 0, 1)),
    ("D7", 7, (0, 0, 1)),
    ("D7", 2, (1, 0, 0)),
    ("T", 3, (0, 0, 1)),
    ("T", 2, (0, 0.816496, 0.577350)),
    ("O", 4, (0, 0, 1)),
    ("O", 4, (1, 0, 0)),
    ("O", 3, (1, 1, 1)),
    ("I1", 2, (1, 0, 0)),
    ("I1", 5, (L, 0, -S)),
    ("I1", 5, (0, S, L)),
    ("I1", 3, (0.9341723640, 0.3568220765, 0)),
    ("I2", 2, (0, 0, 1)),
    ("I2", 5, (S, 0, L)),
    ("I2", 3, (0, 0.356822076, 0.934172364)),
    ("I3", 2, (-S, 0, L)),
    ("I3", 5, (0, 0, 1)),
    ("I3", 3, (-0.4911234778630044, 0.3568220764705179, 0.7946544753759428)),
    ("I4", 2, (S, 0, L)),
    ("I4", 5, (0, 0, 1)),
    ("I4", 5, (0.8944271932547096, 0, 0.4472135909903704)),
    ("I4", 3, (0.4911234778630044, 0.3568220764705179, 0.7946544753759428)),
]


def contains(group, matrix, tolerance=1e-12):
    return np.abs(group - matrix).max((1, 2)).min() < tolerance


@pytest.mark.parametrize(("symbol", "order"), ORDERS.items())
def test_is_a_group_of_rotations(symbol, order):
    group = point_group(symbol)
    assert group.shape == (order, 3, 3)
    assert np.array_equal(group[0], np.eye(3))
    assert np.allclose(group @ group.transpose(0, 2, 1), np.eye(3), atol=1e-13)
    assert np.allclose(np.linalg.det(group), 1)
    assert all(contains(group, a @ b) for a in group for b in group[:: max(1, order // 6)])
    assert all(contains(group, a.T) for a in group)


@pytest.mark.parametrize(("symbol", "fold", "axis"), AXES)
def test_axes_lie_where_relion_has_them(symbol, fold, axis):
    turn = Rotation.from_rotvec(2 * np.pi / fold * np.array(axis) / np.linalg.norm(axis)).as_matrix()
    assert contains(point_group(symbol), turn, 2e-6)


def test_icosahedral_settings_differ_and_i_is_i2():
    settings = [point_group(f"I{number}") for number in (1, 2, 3, 4)]
    for a in range(4):
        for b in range(a):
            assert not all(contains(settings[a], member, 1e-6) for member in settings[b])
    assert np.array_equal(point_group("i"), settings[1])


@pytest.mark.parametrize("symbol", ["", "C", "C0", "X3", "I5", "D-1", "C1.5"])
def test_unknown_symbol_lists_what_is_possible(symbol):
    with pytest.raises(ValueError, match=r"possible are C1.*I4"):
        point_group(symbol)


@pytest.mark.parametrize("symbol", ["C1", "C2", "C4", "D2"])
def test_grids_with_the_symmetry_divide_exactly(symbol):
    grid, group = rotation_grid(2), point_group(symbol)
    assert fundamental_domain(grid, group).sum() * len(group) == len(grid)


@pytest.mark.parametrize("symbol", ["C3", "C6", "D3", "T", "O", "I1", "I2"])
def test_every_rotation_is_near_a_mate_of_a_kept_one(symbol):
    grid, group = rotation_grid(2), point_group(symbol)
    kept = grid[fundamental_domain(grid, group)]
    assert len(kept) * len(group) == pytest.approx(len(grid), rel=0.1)
    targets = Rotation.random(400, rng=np.random.default_rng(1)).as_matrix()
    mates = (kept[:, None] @ group).reshape(-1, 9)
    distance = np.rad2deg(np.arccos(np.clip((targets.reshape(-1, 9) @ mates.T - 1) / 2, -1, 1))).min(1)
    assert distance.max() < angular_step_degrees(2)

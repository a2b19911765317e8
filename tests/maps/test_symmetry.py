"""Symmetrised maps have the symmetry, and symmetric ones are left as they are."""

import numpy as np
import pytest
from scipy import ndimage

from tomobayes.geometry.pointgroups import point_group
from tomobayes.maps.masks import distance_from_centre
from tomobayes.maps.symmetry import symmetrise


def rotated(volume, g):
    """V(g·x) by scipy, about n//2, matrices in (x, y, z)."""
    flip = g[::-1, ::-1]
    centre = np.full(3, volume.shape[0] // 2)
    return ndimage.affine_transform(volume, flip, centre - flip @ centre, order=3, mode="mirror")


def largest_inside(difference):
    """Largest absolute value in the sphere that no rotation takes out of the box."""
    return np.abs(difference[distance_from_centre(len(difference)) < len(difference) // 2 - 1]).max()


@pytest.mark.parametrize("box", [32, 33])
@pytest.mark.parametrize("symbol", ["C1", "C3", "C4", "D2", "T", "I1"])
def test_is_the_mean_over_the_group(make_map, box, symbol):
    volume, group = make_map(box), point_group(symbol)
    expected = np.mean([rotated(volume, g) for g in group], axis=0)
    assert largest_inside(symmetrise(volume, group) - expected) < 1e-4 * volume.max()


@pytest.mark.parametrize("symbol", ["C5", "D3", "O", "I2"])
def test_result_is_invariant_and_a_fixed_point(make_map, symbol):
    group = point_group(symbol)
    once = symmetrise(make_map(32), group)
    assert largest_inside(symmetrise(once, group) - once) < 2e-3 * once.max()
    for g in group[1:4]:
        assert largest_inside(rotated(once, g) - once) < 4e-3 * once.max()


def test_trivial_group_changes_nothing(make_map):
    volume = make_map(24)
    assert np.array_equal(symmetrise(volume, point_group("C1")), volume)


def test_corners_are_averaged_over_what_stays_in_the_box():
    assert np.allclose(symmetrise(np.ones((16,) * 3, dtype=np.float32), point_group("C3")), 1, atol=1e-5)

"""Masks cover what they should, fall off softly, and bad ones are refused with a reason."""

import numpy as np
import pytest

from tomobayes.maps.masks import automatic_threshold, centre_of_mass, distance_from_centre, mask_from_map, mask_problems, sphere_mask


@pytest.mark.parametrize("box", [32, 33])
def test_sphere_has_the_given_diameter_and_edge(box):
    mask, r = sphere_mask(box, 16, 4), distance_from_centre(box)
    assert mask.dtype == np.float32
    assert np.all(mask[r <= 8] == 1)
    assert np.all(mask[r >= 12] == 0)
    assert np.allclose(mask[r == 10], 0.5)
    assert mask[box // 2, box // 2, box // 2] == 1


def test_mask_of_a_ball_is_a_larger_soft_ball():
    r = distance_from_centre(48)
    mask = mask_from_map((r < 8).astype(np.float32), 1.0, threshold=0.5, lowpass_angstrom=None, extend_px=3, soft_edge_px=4)
    assert np.all(mask[r <= 10] == 1)
    assert np.all(mask[r >= 15.5] == 0)
    assert np.abs(mask[(r > 12.4) & (r < 12.6)] - 0.5).max() < 0.35
    assert np.all(np.diff(mask[24, 24, 24:]) <= 0)


def test_negative_extension_shrinks():
    r = distance_from_centre(32)
    ball = (r < 9).astype(np.float32)
    mask = mask_from_map(ball, 1.0, threshold=0.5, lowpass_angstrom=None, extend_px=-3, soft_edge_px=0)
    assert np.all(mask[r < 5] == 1)
    assert np.all(mask[r > 7] == 0)


def test_largest_component_drops_dust():
    volume = (distance_from_centre(32) < 6).astype(np.float32)
    volume[2:4, 2:4, 2:4] = 1
    options = {"threshold": 0.5, "lowpass_angstrom": None, "extend_px": 1, "soft_edge_px": 2}
    assert mask_from_map(volume, 1.0, **options)[2, 2, 2] == 1
    alone = mask_from_map(volume, 1.0, **options, largest_component=True)
    assert alone[2, 2, 2] == 0
    assert alone[16, 16, 16] == 1


def test_automatic_threshold_divides_particle_and_solvent():
    r = distance_from_centre(48)
    volume = 0.1 * np.random.default_rng(0).standard_normal((48,) * 3) + (r < 10)
    assert 0.25 < automatic_threshold(volume) < 0.75
    mask = mask_from_map(volume.astype(np.float32), 4.0, lowpass_angstrom=20, extend_px=0, soft_edge_px=1)
    assert (mask > 0.5).sum() == pytest.approx((r < 10).sum(), rel=0.15)


def test_nothing_above_the_threshold_gives_an_empty_mask():
    assert mask_from_map(np.zeros((16,) * 3, dtype=np.float32), 1.0, threshold=0.5).max() == 0


def test_good_masks_have_no_problems():
    assert mask_problems(sphere_mask(24, 12), 24) == []
    assert mask_problems(sphere_mask(24, 12).astype(np.float16) * 1.0005, 24) == []


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (np.ones((24, 24, 12)), "12 x 24 x 24 voxels"),
        (np.zeros((24,) * 3), "zero everywhere"),
        (np.full((24,) * 3, 1.2), "between 0 and 1"),
        (np.full((24,) * 3, -0.2), "between 0 and 1"),
        (np.full((24,) * 3, np.nan), "not numbers"),
    ],
)
def test_bad_masks_are_named(mask, words):
    (problem,) = mask_problems(mask, 24, "mask.mrc")
    assert words in str(problem).lower()
    assert str(problem).startswith("mask.mrc")


def test_centre_of_mass_is_in_x_y_z():
    volume = np.zeros((20,) * 3)
    volume[10 + 3, 10 - 2, 10 + 1] = 2.0
    assert centre_of_mass(volume) == pytest.approx((1, -2, 3))

"""Filters do to each spatial frequency what they say, and shifts move maps."""

import numpy as np
import pytest

from tomobayes.maps.filters import apply_b_factor, low_pass, multiply_shells, raised_cosine, shift
from tomobayes.maps.spectra import radius, shell_index, transform


@pytest.fixture(params=[24, 25])
def noise(request):
    return np.random.default_rng(0).standard_normal((request.param,) * 3).astype(np.float32)


def response(before, after):
    return np.abs(transform(after)) / np.abs(transform(before))


def test_low_pass_has_a_cosine_edge_of_two_shells(noise):
    box = noise.shape[0]
    gain, r = response(noise, low_pass(noise, 2.0, 2.0 * box / 6)), radius(box)
    assert np.allclose(gain[r < 5], 1, atol=1e-3)
    assert np.allclose(gain[r > 7], 0, atol=1e-3)
    assert np.allclose(gain[r == 6], 0.5, atol=1e-3)
    inside = (r > 5) & (r < 7)
    assert np.allclose(gain[inside], 0.5 + 0.5 * np.cos(np.pi * (r[inside] - 5) / 2), atol=1e-3)


def test_b_factor_is_a_gaussian_of_spatial_frequency_and_undoes_itself(noise):
    box = noise.shape[0]
    gain = response(noise, apply_b_factor(noise, 1.5, 40.0))
    assert np.allclose(gain, np.exp(-10 * (radius(box) / (1.5 * box)) ** 2), atol=1e-3)
    assert np.allclose(apply_b_factor(apply_b_factor(noise, 1.5, 40.0), 1.5, -40.0), noise, atol=1e-4)


def test_shell_factors(noise):
    box = noise.shape[0]
    factors = np.random.default_rng(1).uniform(0.1, 2, box // 2 + 1)
    expected = np.concatenate([factors, np.zeros(box)])[shell_index(box)]
    assert np.allclose(response(noise, multiply_shells(noise, factors)), expected, atol=1e-3)


def test_shift_by_whole_pixels_rolls_and_by_parts_adds_up(make_map):
    volume = make_map(32, width=1.6)
    assert np.allclose(shift(volume, (3, -2, 1)), np.roll(volume, (1, -2, 3), (0, 1, 2)), atol=1e-5)
    assert np.allclose(shift(shift(volume, (0.3, 0.5, -1.2)), (0.7, -0.5, 0.2)), np.roll(volume, (-1, 1), (0, 2)), atol=1e-4)


def test_raised_cosine_falls_from_one_to_zero():
    edge = raised_cosine(np.array([0, 2, 3, 4, 9.0]), 2, 4)
    assert np.allclose(edge, [1, 1, 0.5, 0, 0])
    assert np.allclose(raised_cosine(np.array([1.9, 2.1]), 2, 2), [1, 0])

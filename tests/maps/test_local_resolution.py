"""Local FSC: right where the answer is known, nothing on noise, and independent of what it must not depend on."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tomobayes.maps.filters import low_pass, multiply_shells
from tomobayes.maps.fsc import fsc
from tomobayes.maps.local_filter import filter_locally, local_weights
from tomobayes.maps.local_grids import coarse_points, crop_transform, grid_positions, hat_matrix, separable
from tomobayes.maps.local_resolution import LocalFsc, local_fsc, resolution_map
from tomobayes.maps.masks import sphere_mask
from tomobayes.maps.resampling import fourier_resample
from tomobayes.maps.spectra import inverse, radius, transform

BOX, PIXEL = 72, 2.0
POINTS = coarse_points(BOX)
MIDDLE = np.ix_(*[np.abs(POINTS) < BOX / 4] * 3)


def noise(seed: int, count: int = 2, box: int = BOX) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, box, box, box)).astype(np.float32)


def fading(white: np.ndarray, resolution_angstrom: float, snr: float = 100.0, threshold: float = 0.143) -> np.ndarray:
    """A signal whose FSC with white noise of unit variance falls to the threshold at a resolution."""
    shells = np.arange(white.shape[0] // 2 + 1) / (white.shape[0] * PIXEL)
    fall = math.log(snr * (1 - threshold) / threshold)
    return math.sqrt(snr) * multiply_shells(white, np.exp(-0.5 * fall * (shells * resolution_angstrom) ** 2))


@pytest.fixture(scope="module")
def even():
    """Halves of 9 Å everywhere."""
    white, first, second = noise(1, 3)
    signal = fading(white, 9.0)
    return signal + first, signal + second


def flat_fsc(correlation: float) -> LocalFsc:
    shell = np.arange(4.0, BOX // 2)
    values = np.full((len(shell), *[len(POINTS)] * 3), correlation, dtype=np.float32)
    return LocalFsc(shell, values, np.zeros_like(values), BOX, PIXEL)


def test_even_map_has_the_resolution_of_its_global_fsc(even):
    local = local_fsc(*even, PIXEL)
    last = local.last_shell()[MIDDLE]
    curve = fsc(*even)
    between = np.interp(local.shell, np.arange(len(curve)), np.convolve(np.pad(curve, 2, mode="edge"), np.ones(5) / 5, "valid"))
    inner = local.correlation[(slice(None), *MIDDLE)].mean((1, 2, 3))
    assert np.abs(inner - between)[2:].max() < 0.06
    assert np.median(last) == pytest.approx(BOX * PIXEL / 9.0, abs=1)
    assert last.std() < 1.5
    assert np.median(resolution_map(local)) == pytest.approx(9.0, abs=0.7)


def test_each_side_has_its_own_resolution():
    white, first, second = noise(2, 3, 96)
    left = (np.arange(96) < 48).astype(np.float32)
    signal = np.where(left > 0, fading(white, 7.0), fading(white, 14.0))
    last = local_fsc(signal + first, signal + second, PIXEL).last_shell()
    points = coarse_points(96)
    inner = np.abs(points) < 36
    sides = [last[np.ix_(inner, inner, there)] for there in ((points > -36) & (points < -15), (points > 15) & (points < 36))]
    assert np.median(sides[0]) == pytest.approx(96 * PIXEL / 7, abs=1.5)
    assert np.median(sides[1]) == pytest.approx(96 * PIXEL / 14, abs=3)


def test_noise_has_no_resolution_and_its_chance_is_as_told():
    correlations, chances = [], []
    for seed in range(4):
        local = local_fsc(*noise(seed), PIXEL)
        assert (local.last_shell() == 0).mean() > 0.999
        assert np.all(resolution_map(local) == np.float32(local.coarsest_angstrom))
        correlations.append(local.correlation[(slice(10, None), *MIDDLE)])
        chances.append(local.significant[(slice(10, None), *MIDDLE)])
    spread = np.std(correlations, axis=(0, 2, 3, 4)) / np.mean(chances, axis=(0, 2, 3, 4)) * 3.09
    assert np.abs(spread - 1).mean() < 0.12
    assert np.mean(np.greater(correlations, chances)) < 0.004
    assert not np.any(filter_locally(noise(0)[0], local))


def test_mask_alone_brings_no_correlation():
    tight = sphere_mask(BOX, 24, 1)
    halves = [half * tight for half in noise(5)]
    assert (local_fsc(*halves, PIXEL, tight).last_shell() == 0).mean() > 0.995


def test_solvent_outside_the_mask_does_not_dilute_the_surface():
    white, first, second = noise(6, 3)
    mask = sphere_mask(BOX, 40, 2)
    signal = fading(white, 9.0) * mask
    halves = signal + first, signal + second
    distance = np.sqrt((np.stack(np.meshgrid(POINTS, POINTS, POINTS)) ** 2).sum(0))
    surface = (distance > 16) & (distance < 20)
    masked, bare = (np.median(local_fsc(*halves, PIXEL, given).last_shell()[surface]) for given in (mask, None))
    assert bare < masked - 0.4
    assert masked == pytest.approx(BOX * PIXEL / 9.0, abs=1.5)


def test_nothing_to_compare_where_the_mask_is_empty(even):
    local = local_fsc(*even, PIXEL, sphere_mask(BOX, 12, 2))
    assert local.last_shell()[0, 0, 0] == 0
    assert local.significant[-1, 0, 0, 0] == 1
    assert np.isfinite(local.correlation).all()


def test_grey_scale_and_common_filters_change_nothing(even):
    expected = local_fsc(*even, PIXEL)
    factors = np.linspace(3, 0.2, BOX // 2 + 1)
    first, second = (1000 * multiply_shells(half, factors) + 7 for half in even)
    assert np.allclose(local_fsc(first, second, PIXEL).correlation, expected.correlation, atol=0.02)


def test_halves_are_exchangeable_and_a_map_agrees_with_itself(even):
    first, second = (local_fsc(*halves, PIXEL) for halves in (even, even[::-1]))
    np.testing.assert_allclose(first.correlation, second.correlation, atol=1e-5)
    same = local_fsc(even[0], even[0], PIXEL)
    assert same.correlation.min() > 0.999
    assert np.allclose(resolution_map(same), 2 * PIXEL)


@pytest.mark.parametrize("box", [23, 40])
def test_empty_and_odd_maps_are_survived(box):
    zero = np.zeros((box,) * 3, dtype=np.float32)
    local = local_fsc(zero, zero, PIXEL, coarsest_angstrom=20)
    assert np.isfinite(local.correlation).all()
    assert np.all(local.last_shell() == 0)
    assert not filter_locally(zero, local).any()


def test_crossing_is_found_on_a_straight_line():
    local = flat_fsc(0.0)
    falling = np.linspace(1, -0.2, len(local.shell))[:, None, None, None] * np.ones_like(local.correlation)
    exact = np.interp(-0.143, -falling[:, 0, 0, 0], local.shell)
    straight = LocalFsc(local.shell, falling.astype(np.float32), local.significant, BOX, PIXEL)
    np.testing.assert_allclose(straight.last_shell(), exact, rtol=1e-5)
    np.testing.assert_allclose(resolution_map(straight), BOX * PIXEL / exact, rtol=1e-5)
    dip = falling.copy()
    dip[3] = 0
    assert np.all(LocalFsc(local.shell, dip.astype(np.float32), local.significant, BOX, PIXEL).last_shell() < local.shell[3])
    assert np.all(LocalFsc(local.shell, falling.astype(np.float32), local.significant + 0.9, BOX, PIXEL).last_shell() < exact)
    assert np.all(flat_fsc(1.0).last_shell() == BOX / 2)


def test_bands_add_up_to_the_map():
    volume = noise(7, 1)[0]
    before, after = transform(volume), transform(filter_locally(volume, flat_fsc(1.0)))
    kept = radius(BOX) < BOX / 2 - 1
    assert np.abs(after - before)[kept].max() < 1e-5 * np.abs(before).max()
    assert np.abs(after)[radius(BOX) > BOX / 2 + 1].max() < 1e-5 * np.abs(before).max()


def test_even_map_is_filtered_as_the_whole_would_be(even):
    average = 0.5 * (even[0] + even[1])
    local = local_fsc(*even, PIXEL)
    shells = np.arange(BOX // 2 + 1)
    weights = np.interp(shells, local.shell, np.mean(local_weights(local), axis=(1, 2, 3)))
    whole, filtered = multiply_shells(average, weights), filter_locally(average, local)
    assert np.corrcoef(whole.ravel(), filtered.ravel())[0, 1] > 0.99


def test_local_filter_is_nearer_to_the_truth_than_a_global_one():
    white, first, second = noise(8, 3)
    mask = sphere_mask(BOX, 36, 4)
    signal = low_pass(white, PIXEL, 8) * mask
    local = local_fsc(signal + 0.3 * first, signal + 0.3 * second, PIXEL)
    average = signal + 0.15 * (first + second)
    filtered = filter_locally(average, local)
    same = multiply_shells(average, np.interp(np.arange(BOX // 2 + 1), local.shell, local_weights(local).mean((1, 2, 3))))
    assert ((filtered - signal) ** 2).sum() < 0.8 * ((same - signal) ** 2).sum()


def test_grids_are_centred_alike():
    for box, small in ((72, 40), (73, 40), (72, 45)):
        smooth = low_pass(noise(9, 1, box)[0], 1.0, 2.6 * box / min(box, small))
        cropped = inverse(crop_transform(transform(smooth), small), small)
        np.testing.assert_allclose(cropped * (small / box) ** 3, fourier_resample(smooth, small), atol=1e-5)
        ramp = grid_positions(box, box)
        places = np.clip(grid_positions(box, small), ramp[0], ramp[-1])
        np.testing.assert_allclose(hat_matrix(places, ramp) @ ramp, places, atol=1e-4)
    cube = noise(10, 1, 9)[0]
    np.testing.assert_allclose(separable(cube, np.eye(9)), cube, rtol=1e-6)
    matrix = np.random.default_rng(0).normal(size=(4, 9))
    np.testing.assert_allclose(separable(cube, matrix), np.einsum("ai,bj,ck,ijk->abc", matrix, matrix, matrix, cube), rtol=1e-4, atol=1e-4)

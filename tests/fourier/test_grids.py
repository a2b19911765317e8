"""Lists of samples: every Friedel pair once, in order of radius."""

from __future__ import annotations

import pytest
import torch

from tomobayes.fourier.grids import good_box, half_plane, half_space, shells


@pytest.mark.parametrize(("samples", "radius"), [(half_plane(9), 9), (half_space(6), 6)])
def test_every_friedel_pair_once_without_the_mean(samples, radius):
    dimension = samples.shape[1]
    axis = torch.arange(-radius, radius + 1)
    ball = torch.cartesian_prod(*[axis] * dimension)
    ball = {tuple(k) for k in ball[(ball.square().sum(1) <= radius**2)].tolist()}
    listed = {tuple(k) for k in samples.tolist()}
    mates = {tuple(-c for c in k) for k in listed}
    assert len(listed) == len(samples) and not listed & mates
    assert listed | mates | {(0,) * dimension} == ball


@pytest.mark.parametrize("make", [half_plane, half_space])
def test_lower_resolution_is_a_prefix(make):
    few, many = make(4), make(7)
    assert torch.equal(many[: len(few)], few)


def test_shells_round_to_the_nearest_radius():
    assert shells(torch.tensor([[0, 0], [1, 1], [3, 4], [2, 2]])).tolist() == [0, 1, 5, 3]


def test_good_boxes_are_even_and_factor_into_small_primes():
    for least in range(2, 300, 7):
        box = good_box(least)
        rest = box
        for prime in (2, 3, 5, 7, 11):
            while rest % prime == 0:
                rest //= prime
        assert box >= least and box % 2 == 0 and rest == 1

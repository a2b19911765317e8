"""Duplicates: the best stays, chains are not wiped out, tilt series do not mix."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from tomobayes.particles.duplicates import keep_best
from tomobayes.particles.neighbours import nearest_distance, pairs_within, relative_poses


def line(*places):
    return np.array([[place, 0, 0] for place in places], dtype=float)


def test_a_chain_keeps_every_other_one():
    centres, series = line(0, 10, 20, 30, 40), np.zeros(5, dtype=int)
    assert keep_best(centres, series, 15.0, np.array([1, 5, 2, 4, 3])).tolist() == [False, True, False, True, False]


def test_earlier_rows_win_ties_and_nan_loses():
    centres, series = line(0, 1, 100, 101), np.zeros(4, dtype=int)
    assert keep_best(centres, series, 5.0).tolist() == [True, False, True, False]
    assert keep_best(centres, series, 5.0, np.array([np.nan, -1e9, 2, 2])).tolist() == [False, True, True, False]


@pytest.mark.parametrize("seed", range(3))
def test_kept_are_apart_and_removed_lie_near_a_better_one(seed):
    random = np.random.default_rng(seed)
    centres, series, quality = random.uniform(0, 300, (400, 3)), np.arange(400) % 2, random.normal(size=400)
    kept = keep_best(centres, series, 40.0, quality)
    for one in (0, 1):
        here, there = centres[kept & (series == one)], np.flatnonzero(~kept & (series == one))
        assert not cKDTree(here).query_pairs(40.0)
        for row in there:
            near = kept & (series == one) & (np.linalg.norm(centres - centres[row], axis=1) <= 40.0)
            assert quality[near].max() > quality[row]
    assert 0 < kept.sum() < 400


def test_neighbours_are_found_within_tilt_series_only():
    centres, series = line(0, 3, 4, 100), np.array([0, 1, 0, 1])
    pairs = pairs_within(centres, series, 50.0)
    assert [*zip(pairs.first.tolist(), pairs.second.tolist(), pairs.distance_angstrom.tolist(), strict=True)] == [(0, 2, 4.0), (2, 0, 4.0)]
    np.testing.assert_allclose(nearest_distance(centres, series), [4, 97, 4, 97])
    assert np.isinf(nearest_distance(centres[:2], series[:2])).all()


def test_relative_poses_do_not_depend_on_the_frame():
    from scipy.spatial.transform import Rotation

    rotation = Rotation.random(4, random_state=1).as_matrix()
    centres = np.random.default_rng(0).normal(0, 10, (4, 3))
    pairs = pairs_within(centres, np.zeros(4, dtype=int), 1e3)
    frame, shift = Rotation.random(random_state=2).as_matrix(), np.array([5.0, -3, 8])
    here = relative_poses(centres, rotation, pairs)
    there = relative_poses(centres @ frame.T + shift, frame @ rotation, pairs)
    np.testing.assert_allclose(here[0], there[0], atol=1e-9)
    np.testing.assert_allclose(here[1], there[1], atol=1e-9)
    back = centres[pairs.first] + np.einsum("nij,nj->ni", rotation[pairs.first], here[0])
    np.testing.assert_allclose(back, centres[pairs.second], atol=1e-9)

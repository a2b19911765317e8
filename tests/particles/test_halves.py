"""Half-sets: neighbours together, balanced, reproducible, also for lattices and near-empty tomograms."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from tomobayes.particles.halves import assign_halves, overlap_clusters


def crowd(n, extent, seed=0):
    return np.random.default_rng(seed).uniform(0, extent, (n, 3))


def pairs_across(centres, half, diameter):
    pairs = cKDTree(centres).query_pairs(diameter, output_type="ndarray")
    return np.mean(half[pairs[:, 0]] != half[pairs[:, 1]]) if len(pairs) else 0.0


@pytest.mark.parametrize("seed", range(5))
def test_no_neighbours_are_in_different_halves(seed):
    centres = crowd(300, 3000, seed)
    series = np.repeat([0, 1, 2], 100)
    half = assign_halves(centres, series, 250.0, seed)
    assert set(half) == {1, 2}
    for s in range(3):
        here = series == s
        assert len(cKDTree(centres[here]).query_pairs(250.0)) > 5
        assert pairs_across(centres[here], half[here], 250.0) == 0
        assert abs((half[here] == 1).sum() - 50) <= 3


def test_neighbours_in_other_tilt_series_do_not_count():
    centres = np.zeros((2, 3))
    assert sorted(assign_halves(centres, np.array([0, 1]), 100.0)) == [1, 2]
    assert len(set(assign_halves(centres, np.array([0, 0]), 100.0))) == 1


def test_halves_are_reproducible_and_depend_on_the_seed():
    centres, series = crowd(60, 3000), np.zeros(60, dtype=int)
    assert np.array_equal(assign_halves(centres, series, 200.0, 1), assign_halves(centres, series, 200.0, 1))
    assert not np.array_equal(assign_halves(centres, series, 200.0, 1), assign_halves(centres, series, 200.0, 2))


def lattice(*counts):
    return 70.0 * np.stack(np.meshgrid(*[np.arange(count) for count in counts], indexing="ij"), -1).reshape(-1, 3)


@pytest.mark.parametrize(("counts", "most"), [((12, 12, 1), 0.3), ((3, 48, 1), 0.15), ((6, 6, 6), 0.45)])
def test_a_lattice_becomes_patches_with_short_borders(counts, most):
    centres = lattice(*counts)
    half = assign_halves(centres, np.zeros(len(centres), dtype=int), 100.0)
    assert (half == 1).sum() == len(centres) // 2
    assert 0 < pairs_across(centres, half, 100.0) < most


def test_a_large_cluster_is_balanced_by_many_small_ones():
    centres = np.concatenate([lattice(10, 1, 1), 1e4 + 500 * lattice(10, 1, 1)])
    for seed in range(5):
        half = assign_halves(centres, np.zeros(20, dtype=int), 100.0, seed)
        assert (half[:10] == half[0]).all()
        assert (half[10:] == 3 - half[0]).all()


def test_lattice_and_free_particles_share_a_tomogram():
    centres = np.concatenate([lattice(10, 10, 1), 5000 + 10 * lattice(3, 3, 3)])
    half = assign_halves(centres, np.zeros(127, dtype=int), 100.0)
    assert abs((half == 1).sum() - 63) <= 1


@pytest.mark.parametrize(("n_per_series", "most"), [([0], 0), ([1], 1), ([1, 1, 1, 1], 0), ([2, 0, 1, 5], 1)])
def test_few_particles_are_balanced_overall(n_per_series, most):
    series = np.repeat(np.arange(len(n_per_series)), n_per_series)
    centres = 1000.0 * np.arange(3 * len(series)).reshape(-1, 3)
    half = assign_halves(centres, series, 100.0)
    assert half.shape == series.shape
    assert np.isin(half, [1, 2]).all()
    assert abs((half == 1).sum() - (half == 2).sum()) <= most


def test_clusters_are_chains_of_neighbours():
    centres = np.array([[0, 0, 0], [90, 0, 0], [180, 0, 0], [500, 0, 0]], dtype=float)
    labels = overlap_clusters(centres, 100.0)
    assert labels[0] == labels[1] == labels[2] != labels[3]


def test_duplicates_in_a_lattice_are_never_parted():
    once = lattice(14, 14, 1)
    random = np.random.default_rng(0)
    order = random.permutation(len(once))
    centres = np.concatenate([once, once[order] + random.normal(0, 1, once.shape)])
    half = assign_halves(centres, np.zeros(len(centres), dtype=int), 100.0)
    assert np.array_equal(half[order], half[len(once) :])
    assert (half == 1).sum() == len(once)
    parted = assign_halves(centres, np.zeros(len(centres), dtype=int), 100.0, duplicate_angstrom=0.0)
    assert (parted[order] != parted[len(once) :]).any()


def test_many_duplicates_of_one_particle_are_one_cluster():
    assert len(set(assign_halves(np.random.default_rng(0).normal(0, 1, (40, 3)), np.zeros(40, dtype=int), 100.0))) == 1

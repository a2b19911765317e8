"""Which particles are gathered, each once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from small_experiment import BOX, OPTICS, particles, positions, series
from tomobayes.imaging.gathering import Gatherer, Source, choose_engine, folds_for, portions, usable_particles
from tomobayes.model import Dataset

SOURCE = Source("series", BOX, 1.0, extract_box=BOX)


@pytest.fixture(scope="module")
def mixed() -> Dataset:
    """Two tilt series and two optics groups, 25 particles."""
    table = particles(positions(5, 34))
    random = np.random.default_rng(0)
    table = replace(table, tilt_series=random.integers(0, 2, 25), optics=random.integers(0, 2, 25), half=random.integers(1, 3, 25))
    return Dataset((series(224), replace(series(224), name="TS_02")), (OPTICS, OPTICS), table)


@pytest.mark.parametrize("folds", [1, 3])
def test_portions_hold_every_usable_particle_once(mixed, folds):
    usable = np.random.default_rng(1).random(25) > 0.2
    parts = portions(mixed, usable, largest=2, folds=folds)
    np.testing.assert_array_equal(np.sort(np.concatenate([part.particles for part in parts])), np.flatnonzero(usable))
    table = mixed.particles
    for part in parts:
        assert 0 < len(part.particles) <= 2
        assert (table.tilt_series[part.particles] == part.tilt_series).all() and (table.half[part.particles] == part.half).all()
        assert len(set(table.optics[part.particles])) == 1


def test_folds_are_of_equal_size(mixed):
    parts = portions(mixed, np.ones(25, dtype=bool), folds=4)
    for half in (1, 2):
        sizes = [sum(len(part.particles[part.rows_of(fold)]) for part in parts if part.half == half) for fold in range(4)]
        assert max(sizes) - min(sizes) <= 1 and sum(sizes) == (mixed.particles.half == half).sum()


def test_few_particles_need_folds_and_many_do_not():
    assert [folds_for(n) for n in (1, 4, 50, 999, 1000)] == [1, 2, 5, 5, 1]
    assert [folds_for(n, local=True) for n in (1, 4, 32, 33, 1000)] == [1, 4, 32, 5, 1]


def test_particles_need_enough_tilts_within_the_dose(noisy):
    tilts, dose = noisy.tilt_series[0].n_tilts, noisy.tilt_series[0].dose
    assert (
        usable_particles(noisy, replace(SOURCE, min_tilts=tilts)).tolist() == usable_particles(noisy, replace(SOURCE, min_tilts=1)).tolist()
    )
    within = int((dose <= 10).sum())
    assert usable_particles(noisy, replace(SOURCE, max_dose=10.0, min_tilts=within)).all()
    assert not usable_particles(noisy, replace(SOURCE, max_dose=10.0, min_tilts=within + 1)).any()


def test_particles_at_the_border_are_not_usable(noisy):
    table = noisy.particles
    place = table.position_angstrom.copy()
    place[2, 1], place[3, 1] = 6.0 * 58, 6.0 * 70  # half a box from the border is 64 px off the centre
    moved = noisy.with_particles(replace(table, position_angstrom=place))
    found = usable_particles(moved, replace(SOURCE, min_tilts=noisy.tilt_series[0].n_tilts // 2))
    assert found[[0, 1, 2, 4]].all() and not found[3]


def test_kept_statistics_are_those_that_are_cut_again(noisy):
    parts = portions(noisy, np.ones(9, dtype=bool), largest=3)
    kept, cut = (Gatherer(noisy, SOURCE, 10, budget_bytes=budget) for budget in (1e9, 0))
    for _ in range(2):
        for part in parts:
            a, b = kept(part), cut(part)
            assert torch.equal(a.data, b.data) and torch.equal(a.weight, b.weight)
    assert kept(parts[0]) is kept(parts[0]) and cut(parts[0]) is not cut(parts[0])


def test_engine_follows_what_the_particles_name(noisy):
    assert choose_engine(noisy) == "series"
    assert choose_engine(noisy.with_particles(replace(noisy.particles, stacks=object()))) == "stacks"
    assert choose_engine(noisy.with_particles(replace(noisy.particles, subtomograms=object()))) == "subtomograms"

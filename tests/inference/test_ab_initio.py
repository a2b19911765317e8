"""First maps: what each step looks at, what it keeps, and that they are of the particle."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tomobayes.fourier.volume import Sums
from tomobayes.geometry.pointgroups import point_group
from tomobayes.geometry.rotations import angular_distance_degrees, mean_rotation
from tomobayes.imaging.gathering import portions
from tomobayes.inference.abinitio.iteration import _blended, ab_initio, ab_initio_state
from tomobayes.inference.abinitio.schedule import deal_batches, step_of
from tomobayes.inference.abinitio.state import AbInitioSettings


def _settings(experiment, starts=1, symmetry="C1", batch=8) -> AbInitioSettings:
    images = replace(experiment.settings, sigma_rotation=float("inf"), group=point_group(symmetry))
    count = len(experiment.given)
    batches, held_out = deal_batches(np.ones(count, dtype=bool), np.zeros(count, dtype=np.int64), batch, starts > 1, 5)
    return AbInitioSettings(images, 1, 5, starts, batches, held_out, 8, 3, 2, 4, 7)


def test_batches_are_even_and_held_out_particles_come_from_all_of_them():
    usable, series = np.arange(300) % 10 > 0, np.arange(300) // 100
    batches, held_out = deal_batches(usable, series, 60, True, 0)
    assert (batches[~usable] == -1).all()
    assert not held_out[~usable].any()
    assert np.ptp(np.bincount(batches[usable])) <= 1
    assert np.bincount(batches[usable]).max() <= 60
    assert held_out.sum() == pytest.approx(270 / 8, abs=3)
    for of in (batches, series):
        shares = [held_out[usable & (of == one)].mean() for one in np.unique(of[usable])]
        assert min(shares) > 0.05
    assert not deal_batches(usable, series, 60, False, 0)[1].any()


@pytest.mark.parametrize(("starts", "symmetry"), [(1, "C1"), (3, "C1"), (2, "C6")])
def test_no_start_sees_what_judges_it(experiment, starts, symmetry):
    settings = _settings(experiment, starts, symmetry)
    steps = [step_of(iteration, settings) for iteration in range(settings.max_iterations)]
    judge = [p for p in range(16) if settings.held_out[p]]
    assert [one.stage for one in steps].count("judge") == (starts if starts > 1 else 0)
    assert sum(one.first for one in steps) == starts
    assert steps[-1].stage == "last"
    assert all(0 < one.gain <= 1 for one in steps if one.stage != "judge")
    for one in steps:
        seen = [p for p in range(16) if one.looks_at(p, settings)]
        assert seen
        if one.stage == "start":
            assert not set(seen) & set(judge)
        if one.stage == "judge":
            assert seen == judge
    assert {p for one in steps if one.stage == "all" for p in range(16) if one.looks_at(p, settings)} == set(range(16))


def test_the_last_of_several_starts_is_made_without_the_symmetry(experiment):
    assert [_settings(experiment, 3, "C6").begins_symmetric(start) for start in (1, 2, 3)] == [True, True, False]
    assert _settings(experiment, 1, "C6").begins_symmetric(1)
    assert not _settings(experiment, 3, "C1").begins_symmetric(1)


def test_the_running_mean_forgets_as_told():
    def sums(value: float) -> Sums:
        return Sums(torch.full((2, 2, 1), value, dtype=torch.complex64), torch.full((2, 2, 1), value), 4, 1)

    both = _blended({(1, 0): sums(4.0)}, {(1, 0): sums(1.0), (2, 0): sums(1.0)}, gain=0.25, scale=8.0)
    assert float(both[1, 0].weight[0, 0, 0]) == pytest.approx(0.75 * 4 + 0.25 * 8)
    assert float(both[2, 0].data[0, 0, 0].real) == pytest.approx(0.25 * 8)


def _found(experiment, settings):
    given = replace(experiment.given, rotation_particle=np.broadcast_to(np.eye(3), (16, 3, 3)))
    parts = [
        part
        for batch in range(settings.n_batches)
        for out in (False, True)
        if ((settings.batches == batch) & (settings.held_out == out)).any()
        for part in portions(experiment.dataset, (settings.batches == batch) & (settings.held_out == out))
    ]
    gather = experiment.gather
    *_, last = ab_initio(given, parts, gather, ab_initio_state(given, parts, gather, settings), settings)
    return last


def test_orientations_agree_with_the_truth_but_for_one_turn_of_the_map(experiment):
    settings = _settings(experiment)
    found = _found(experiment, settings)
    turns = found.rotation.mT @ torch.from_numpy(experiment.dataset.particles.rotation)
    near = angular_distance_degrees(turns[:, None], turns[None]) < 30
    mode = near[near.sum(1).argmax()].double()
    off = angular_distance_degrees(mean_rotation(turns, mode)[None], turns)
    assert float((off < 20).double().mean()) > 0.8
    assert found.history[-1].log_evidence > found.history[0].log_evidence + 1
    edge = settings.images.box * settings.images.pixel_size_angstrom
    assert found.history[-1].resolution_angstrom[0] >= edge / settings.finest_radius
    again = _found(experiment, settings)
    torch.testing.assert_close(found.references[0], again.references[0], rtol=0, atol=0)

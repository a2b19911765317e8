"""Refinement: halves and folds never look at each other's images, and poses and maps get better."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from small_experiment import OPTICS, phantom, recorded
from tomobayes.geometry.rotations import angular_distance_degrees, mean_rotation
from tomobayes.imaging.gathering import Portion
from tomobayes.imaging.observation import Statistics
from tomobayes.inference import halves
from tomobayes.inference.refinement import initial_state, iterate, refine
from tomobayes.maps.fsc import fsc
from tomobayes.model import Dataset


def _drowned(gather, victims: np.ndarray):
    """The same images, but those of some particles drowned in noise."""

    def changed(part: Portion) -> Statistics:
        statistics = gather(part)
        random = torch.Generator().manual_seed(0)
        noise = 100 * torch.randn(statistics.data.shape, dtype=torch.complex64, generator=random) * statistics.weight.sqrt()
        hit = torch.from_numpy(np.isin(part.particles, victims))[:, None]
        return replace(statistics, data=torch.where(hit, statistics.data + noise, statistics.data))

    return changed


@pytest.fixture(scope="module")
def started(experiment):
    return initial_state(experiment.given, experiment.parts(4), experiment.gather, experiment.settings, None)


@pytest.fixture(scope="module")
def once(experiment, started):
    return iterate(experiment.given, experiment.parts(4), experiment.gather, started, experiment.settings)


def test_a_half_never_sees_the_images_of_the_other(experiment, monkeypatch):
    """From the first noise spectra on; the FSC, which halves share by design, is held still."""
    monkeypatch.setattr(halves, "ssnr_from_fsc", lambda curve, fudge: torch.full_like(curve, 2.0))
    settings, parts = replace(experiment.settings, initial_lowpass=40.0), experiment.parts(4)
    second = np.flatnonzero(experiment.given.half == 2)
    ends = []
    for gather in (experiment.gather, _drowned(experiment.gather, second)):
        start = initial_state(experiment.given, parts, gather, settings, None)
        ends.append(iterate(experiment.given, parts, gather, start, settings))
    one, two = ends
    first = torch.from_numpy(experiment.given.half == 1)
    key = next(key for key in one.sigma2 if key[1] == 1)
    assert torch.equal(one.half_maps[0], two.half_maps[0]) and not torch.equal(one.half_maps[1], two.half_maps[1])
    assert torch.equal(one.rotation[first], two.rotation[first]) and not torch.equal(one.rotation[~first], two.rotation[~first])
    assert torch.equal(one.centre_angstrom[first], two.centre_angstrom[first])
    assert torch.equal(one.sigma2[key], two.sigma2[key]) and torch.equal(one.gain[key], two.gain[key])


def test_the_reference_of_a_fold_is_made_by_the_others(experiment, started, monkeypatch):
    """The same prior given, drowning a particle leaves its own fold's reference alone and ruins the rest."""
    monkeypatch.setattr(halves, "ssnr_from_fsc", lambda curve, fudge: torch.full_like(curve, 2.0))
    part = next(part for part in experiment.parts(4) if part.half == 1)
    images = (experiment.gather, _drowned(experiment.gather, part.particles[part.rows_of(2)][:1]))
    one, two = (
        iterate(experiment.given, experiment.parts(4), gather, started, experiment.settings).fold_references[0] for gather in images
    )
    change = [float((a - b).norm() / a.norm()) for a, b in zip(one, two, strict=True)]
    assert change[2] < 1e-3 and min(change[:2] + change[3:]) > 0.1


def test_the_same_images_give_the_same_bytes(experiment, started, once):
    again = iterate(experiment.given, experiment.parts(4), experiment.gather, started, experiment.settings)
    assert torch.equal(once.half_maps[0], again.half_maps[0]) and torch.equal(once.references[1], again.references[1])
    assert torch.equal(once.rotation, again.rotation) and once.history == again.history


def _errors(rotation: torch.Tensor, experiment) -> torch.Tensor:
    """Degrees off the truth, up to one turn of each half's own map."""
    truth, off = torch.from_numpy(experiment.dataset.particles.rotation), torch.zeros(len(rotation)).double()
    for half in (1, 2):
        rows = torch.from_numpy(experiment.given.half == half)
        common = mean_rotation(truth[rows].mT @ rotation[rows], torch.ones(int(rows.sum())).double())
        off[rows] = angular_distance_degrees(truth[rows] @ common, rotation[rows])
    return off


def test_refinement_finds_poses_and_ends(experiment):
    *_, last = refine(experiment.given, experiment.parts(4), experiment.gather, _start(experiment), experiment.settings)
    before, after = _errors(torch.from_numpy(experiment.given.rotation), experiment), _errors(last.rotation, experiment)
    assert last.converged and last.history[-1].phase == "final" and last.iteration <= 6
    assert after.median() < 0.75 * before.median()
    steps = [(record.angular_step, record.shift_step_angstrom) for record in last.history]
    assert steps == sorted(steps, reverse=True) and last.history[-1].sigma_shift_angstrom < 1
    merged = (last.half_maps[0] + last.half_maps[1]).numpy() * experiment.settings.mask
    assert fsc(merged, phantom(sigma=6.0).data)[2:7].min() > 0.9
    assert last.fsc is not None and float(last.fsc.corrected[2:6].min()) > 0.5


def test_blurred_tilts_are_found(experiment):
    """Three of seven tilts whose signal, not their noise, was blurred: both halves find that it falls off faster there."""
    one, blurred = experiment.dataset.tilt_series[0], np.array([0, 2, 5])
    b_factor = np.zeros(one.n_tilts)
    b_factor[blurred] = 2000.0
    images = recorded(Dataset((replace(one, b_factor=b_factor),), (OPTICS,), experiment.dataset.particles), phantom(sigma=6.0), sigma=0.4)
    as_told = replace(images, tilt_series=(replace(images.tilt_series[0], b_factor=0 * b_factor),))
    asked = replace(experiment, dataset=as_told)
    start = initial_state(asked.given, asked.parts(4), asked.gather, asked.settings, None)
    *_, last = refine(asked.given, asked.parts(4), asked.gather, start, replace(asked.settings, max_iterations=3))
    expected = b_factor / 4 / (asked.settings.box * asked.settings.pixel_size_angstrom) ** 2
    for falloff in last.falloff.values():
        found = falloff.numpy()
        assert found[blurred].min() > np.delete(found, blurred).max()
        contrast = found[blurred].mean() - np.delete(found, blurred).mean()
        assert contrast == pytest.approx(expected.max(), rel=0.4)


def _start(experiment):
    reference = torch.from_numpy(phantom(sigma=6.0).data)
    settings = replace(experiment.settings, initial_lowpass=40.0)
    return initial_state(experiment.given, experiment.parts(4), experiment.gather, settings, (5 * reference, 5 * reference))


def test_a_reference_is_brought_to_the_scale_of_the_images(experiment):
    state = _start(experiment)
    low = torch.from_numpy(phantom(sigma=6.0).data)
    for reference in state.references:
        assert float((reference * low).sum() / low.square().sum()) == pytest.approx(0.9, abs=0.35)
    assert len(state.fold_references[0]) == 4 and torch.equal(state.fold_references[0][3], state.references[0])

"""Posteriors are probabilities, sit at the truth, and are as wide as the errors they make."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from small_experiment import BOX, PIXEL, phantom
from tomobayes.fourier.slices import Accumulator
from tomobayes.fourier.volume import from_map
from tomobayes.geometry.rotations import angular_distance_degrees
from tomobayes.imaging.noise import precision, signal_free_sums, spectrum
from tomobayes.inference.expectation import expect
from tomobayes.inference.maximisation import backproject
from tomobayes.inference.priors import PosePrior
from tomobayes.inference.sampling import local_plan
from tomobayes.inference.scale import fit_scale
from tomobayes.inference.search import posteriors

RADIUS = BOX // 2 - 1
PLAN = local_plan(6.0, 1.5, 12.0, 1.0, 0.1, 2.0, RADIUS)


@pytest.fixture(scope="module")
def searched(experiment):
    """Statistics of half 1, and what a search from the given poses needs."""
    part = experiment.parts()[0]
    statistics = experiment.gather(part)
    weight = precision(statistics, spectrum(signal_free_sums(statistics)))
    given, rows = experiment.given, part.particles
    prior = PosePrior(
        rotation=torch.from_numpy(given.rotation[rows]),
        sigma_rotation=float("inf"),
        subtomogram=torch.from_numpy(given.rotation_subtomogram[rows]),
        tilt=torch.full((len(rows),), np.nan),
        sigma_tilt=float("inf"),
        centre_angstrom=torch.from_numpy(given.position_angstrom[rows]),
        sigma_shift_angstrom=6.0,
    )
    start = torch.from_numpy(given.rotation[rows]), torch.from_numpy(given.centre_angstrom[rows])
    return statistics, weight, from_map(torch.from_numpy(phantom(sigma=6.0).data), RADIUS), prior, start, rows


@pytest.fixture(scope="module")
def found(searched):
    statistics, weight, volume, prior, start, _ = searched
    accumulator = Accumulator(BOX, RADIUS)
    return (*expect(statistics, weight, volume, prior, PLAN, *start, [accumulator] * len(statistics.particles)), accumulator)


def test_posteriors_sum_to_one(searched):
    statistics, weight, volume, prior, start, _ = searched
    for posterior in posteriors(statistics, weight, volume, prior, PLAN, *start):
        assert float(posterior.probability.sum()) == pytest.approx(1, abs=1e-5)
        ratio = posterior.probability.flatten().log() - posterior.log_density.flatten()
        likely = posterior.probability.flatten() > 1e-6
        assert float(ratio[likely].max() - ratio[likely].min()) < 1e-2


def test_poses_are_found_within_their_widths(found, searched, experiment):
    estimates, rows = found[0], searched[-1]
    truth = experiment.dataset.particles
    before = angular_distance_degrees(searched[4][0], torch.from_numpy(truth.rotation[rows]))
    turned = angular_distance_degrees(estimates.rotation, torch.from_numpy(truth.rotation[rows]))
    assert turned.median() < 0.5 * before.median()
    in_widths = (turned / 3**0.5 / estimates.sigma_rotation).square().mean().sqrt()
    assert 0.5 < float(in_widths) < 2
    moved = (estimates.centre_angstrom - torch.from_numpy(truth.centre_angstrom[rows])) / estimates.sigma_shift_angstrom[:, None]
    assert 0.3 < float(moved.square().mean().sqrt()) < 2
    torch.testing.assert_close(estimates.rotation @ estimates.rotation.mT, torch.eye(3).double().expand(len(rows), 3, 3), atol=1e-5, rtol=0)


def test_noise_left_over_is_the_noise_that_was_added(found):
    """0.4²/2 per real component once the signal is taken away."""
    sigma2 = spectrum(found[1])
    assert float(sigma2[:, 3:RADIUS].mean()) == pytest.approx(0.4**2 / 2, rel=0.05)


def test_gain_sums_say_that_the_map_has_the_right_strength(found):
    sums = found[2]
    assert float(sums.agreement.sum() / sums.power.sum()) == pytest.approx(1, abs=0.05)


def test_what_is_accumulated_is_what_sharp_poses_insert(found, searched):
    """Spread over the posterior, weights stay whole and the map loses what its width blurs."""
    statistics, weight, *_ = searched
    sharp = Accumulator(BOX, RADIUS)
    backproject(sharp, statistics, weight, found[0].rotation, found[0].centre_angstrom)
    soft, hard = found[-1].sums(), sharp.sums()
    assert float(soft.weight.sum() / hard.weight.sum()) == pytest.approx(1, abs=1e-3)
    inner = slice(0, 10)
    c = soft.data.shape[0] // 2
    near = (slice(c - 8, c + 9), slice(c - 8, c + 9), inner)
    correlation = (soft.data[near].conj() * hard.data[near]).real.sum() / (
        soft.data[near].abs().square().sum() * hard.data[near].abs().square().sum()
    ).sqrt()
    assert correlation > 0.97


def test_scale_of_a_reference_is_found(searched):
    statistics, weight, _, prior, start, _ = searched
    dim = from_map(torch.from_numpy(phantom(sigma=6.0).data) / 7, RADIUS)
    assert fit_scale(statistics, weight, dim, prior, PLAN, *start, None) == pytest.approx(7, rel=0.2)


def test_an_empty_image_has_no_say_in_the_scale(searched):
    statistics, weight, volume, prior, start, _ = searched
    data, w = statistics.data.clone(), statistics.weight.clone()
    data[1], w[1] = 0, 0
    empty = replace(statistics, data=data, weight=w)
    scale = fit_scale(empty, weight, from_map(torch.from_numpy(phantom(sigma=6.0).data) / 7, RADIUS), prior, PLAN, *start, None)
    assert scale == pytest.approx(7, rel=0.2)
    found = expect(empty, weight, volume, prior, PLAN, *start, [Accumulator(BOX, RADIUS)] * len(empty.particles))[0]
    assert all(torch.isfinite(values).all() for values in vars(found).values())


def test_places_are_in_the_tomogram(found, searched):
    assert found[0].centre_angstrom.shape == (len(searched[-1]), 3)
    assert (found[0].centre_angstrom - searched[4][1]).abs().max() < 3 * PIXEL + 12

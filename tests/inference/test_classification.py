"""Several maps at given poses: memberships, maps without one's own noise, and one map outside the focus."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from small_experiment import BOX
from tomobayes.fourier.slices import extract_slices
from tomobayes.fourier.volume import from_map
from tomobayes.imaging.noise import precision
from tomobayes.inference.classification.given_poses import aligned, class_scores
from tomobayes.inference.classification.iteration import classify, classify_once, with_classes
from tomobayes.inference.classification.maximisation import difference_fsc
from tomobayes.inference.classification.seen import memberships
from tomobayes.inference.classification.starts import random_starts

LABELS = np.arange(16) % 4 // 2


def _truth() -> torch.Tensor:
    return torch.eye(2)[torch.from_numpy(LABELS)]


def test_scores_are_log_likelihoods(mixed):
    """Against Σ |D - W·V|² / W of the residuals: Gaussian noise of variance 2W·σ² has the same log likelihood up to a constant."""
    _, parts, gather, _, state = mixed
    statistics = gather(parts[0])
    rows = torch.from_numpy(parts[0].particles)
    weight = precision(statistics, state.sigma2[parts[0].tilt_series, parts[0].half])
    images = aligned(statistics, weight, state.rotation[rows], state.centre_angstrom[rows], 8)
    volumes = [from_map(one, 8) for one in (state.maps.maps[0], 0.5 * state.maps.maps[0])]
    slices = [extract_slices(one, images.rotation, images.points) for one in volumes]
    scores = class_scores(images, slice(None), slices)
    seen = images.weight > 1e-6
    for k, one in enumerate(slices):
        residual = (images.data - images.weight * one).abs().square() / images.weight.clamp_min(1e-6)
        empty = images.data.abs().square() / images.weight.clamp_min(1e-6)
        expected = (-0.5 * torch.where(seen, residual - empty, 0) * images.precision).sum(1)
        torch.testing.assert_close(scores[:, k].float(), expected, rtol=1e-3, atol=1e-2)


def test_memberships_weigh_likelihood_by_occupancy():
    scores, occupancy = torch.tensor([[0.0, 1.0], [500.0, 0.0]]).double(), torch.tensor([0.8, 0.2]).double()
    posterior, evidence = memberships(scores, occupancy)
    odds = 0.2 * np.e / (0.2 * np.e + 0.8)
    torch.testing.assert_close(posterior, torch.tensor([[1 - odds, odds], [1.0, 0.0]]).double())
    assert float(evidence[0]) == pytest.approx(np.log(0.8 + 0.2 * np.e))


def test_classes_stay_where_the_truth_is(mixed):
    dataset, parts, gather, settings, state = mixed
    *_, last = classify(dataset.particles, parts, gather, with_classes(state, _truth()), settings)
    assert (last.posterior.argmax(1).numpy() == LABELS).all()
    assert float(last.gain_nats.sum()) > 10
    torch.testing.assert_close(last.posterior.sum(1), torch.ones(16).double())


def test_a_particle_is_not_compared_with_itself(mixed):
    """Changing the images of one particle changes no reference of its own fold."""
    dataset, parts, gather, settings, state = mixed
    settings = replace(settings, images=replace(settings.images, tau2_fudge=1e9))  # no filter, which all images share

    def references(of):
        return classify_once(dataset.particles, parts, of, with_classes(state, _truth()), settings).maps.references

    row = int(parts[0].particles[0])
    fold = int(parts[0].folds[0])

    def changed(part):
        statistics = gather(part)
        mine = torch.from_numpy(part.particles == row)
        return replace(statistics, data=torch.where(mine[:, None], -3 * statistics.data, statistics.data))

    plain, other = references(gather), references(changed)
    half = parts[0].half - 1
    own = float((plain[half][fold][0] - other[half][fold][0]).norm())
    others = float((plain[half][1 - fold][0] - other[half][1 - fold][0]).norm())
    assert own < 1e-3 * others


def test_classes_share_one_map_outside_the_focus(mixed):
    dataset, parts, gather, settings, state = mixed
    focus = settings.focus * (np.arange(BOX) > BOX // 2)
    found = classify_once(dataset.particles, parts, gather, with_classes(state, _truth()), replace(settings, focus=focus)).maps.references[
        0
    ][0]
    beyond = torch.from_numpy(focus == 0)
    assert torch.equal(found[0][beyond], found[2][beyond])
    assert torch.equal(found[1][beyond], found[2][beyond])
    assert not torch.equal(found[0], found[1])


def test_equal_memberships_make_equal_maps(mixed):
    dataset, parts, gather, settings, state = mixed
    found = classify_once(dataset.particles, parts, gather, with_classes(state, torch.full((16, 2), 0.5)), settings).maps.maps
    torch.testing.assert_close(found[0], found[1])


def test_random_starts_are_reproducible(mixed):
    dataset, parts, gather, settings, state = mixed
    *_, one = random_starts(dataset.particles, parts, gather, state, settings, 2, seed=3)
    *_, two = random_starts(dataset.particles, parts, gather, state, settings, 2, seed=3)
    assert torch.equal(one.posterior, two.posterior)
    assert len(one.start.gain) == 2


def test_difference_fsc_of_noise_and_signal():
    random = np.random.default_rng(0)
    one, two = (random.normal(size=(24, 24, 24)).astype(np.float32) for _ in range(2))
    assert np.abs(difference_fsc(one, two)[4:]).max() < 0.2
    np.testing.assert_allclose(difference_fsc(one, one)[1:], 1, atol=1e-5)

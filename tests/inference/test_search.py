"""A search from coarse to fine against one that leaves nothing out."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from small_experiment import phantom
from tomobayes.compute.precision import coarse_products
from tomobayes.fourier.volume import from_map
from tomobayes.geometry.rotations import angular_distance_degrees
from tomobayes.imaging.noise import precision, signal_free_sums, spectrum
from tomobayes.inference import search
from tomobayes.inference.priors import PosePrior
from tomobayes.inference.sampling import Level, Plan, orientations, perturbed
from tomobayes.inference.search import posteriors

RADIUS = 10
PLAN = Plan((Level(30.0, 2.0, 6), Level(15.0, 1.0, RADIUS)), 180.0, 2.0)


@pytest.fixture(scope="module")
def searched(experiment):
    """Two particles, whose orientations nobody knows."""
    part = experiment.parts()[0]
    part = replace(part, particles=part.particles[:2], folds=part.folds[:2])
    statistics, given = experiment.gather(part), experiment.given
    rotation, centre = (torch.from_numpy(values[part.particles]) for values in (given.rotation, given.centre_angstrom))
    prior = PosePrior(rotation, math.inf, rotation, torch.full((2,), torch.nan), math.inf, centre, 6.0)
    weight = precision(statistics, spectrum(signal_free_sums(statistics)))
    volume = from_map(torch.from_numpy(phantom(sigma=6.0).data), RADIUS)
    return statistics, weight, volume, prior, PLAN, rotation, centre, orientations(1, np.eye(3)[None])


def test_what_coarse_levels_drop_is_no_more_than_they_say(searched, monkeypatch):
    found = list(posteriors(*searched))
    monkeypatch.setattr(search, "significant", lambda log_weight, fewest, most: log_weight.argsort(descending=True))
    exhaustive = list(posteriors(*searched))
    for some, everything in zip(found, exhaustive, strict=True):
        assert everything.discarded == pytest.approx(0, abs=1e-9)
        assert len(everything.rotations) > 10 * len(some.rotations)
        kept = math.exp(some.log_evidence - everything.log_evidence)
        assert 1 - kept <= max(some.discarded, 1 - 0.999**2) + 1e-3
        best = [one.rotations[one.probability.sum(0).argmax()] for one in (some, everything)]
        assert float(angular_distance_degrees(*best)) < 1e-2


def test_a_last_grid_holds_the_whole_posterior(experiment, monkeypatch):
    """Also where the level before saw it with cells four times as wide as it is: 1.3° and 0.07 pixels here."""
    part, table = experiment.parts()[0], experiment.dataset.particles
    statistics, count = experiment.gather(part), len(part.particles)
    rotation, centre = (torch.from_numpy(values[part.particles]) for values in (table.rotation, table.centre_angstrom))
    prior = PosePrior(rotation, math.inf, rotation, torch.full((count,), torch.nan), math.inf, centre, 6.0)
    weight = precision(statistics, spectrum(signal_free_sums(statistics)))
    plan = Plan((Level(5.0, 0.4, RADIUS), Level(2.5, 0.2, RADIUS)), 11.5, 0.92)
    asked = (statistics, weight, from_map(torch.from_numpy(phantom(sigma=6.0).data), RADIUS), prior, plan, rotation, centre)
    found = list(posteriors(*asked))
    monkeypatch.setattr(search, "significant", lambda log_weight, fewest, most: log_weight.argsort(descending=True))
    kept = [math.exp(some.log_evidence - every.log_evidence) for some, every in zip(found, posteriors(*asked), strict=True)]
    assert min(kept) > 0.998


def test_a_flat_posterior_is_said_to_be_cut(searched):
    """Images without signal cannot be searched coarsely, and the search says how much it dropped."""
    statistics = replace(searched[0], data=torch.zeros_like(searched[0].data), weight=1e-9 * searched[0].weight)
    assert all(one.discarded > 0.5 for one in posteriors(statistics, *searched[1:]))


def test_perturbed_grids_cover_as_well_and_differ():
    grid = orientations(1, np.eye(3)[None])
    first, second = (perturbed(grid, 30.0, seed) for seed in (0, 1))
    assert 1 < float(angular_distance_degrees(first[0].double(), second[0].double())) < 60
    apart = [torch.cdist(one.flatten(1), one.flatten(1)).fill_diagonal_(9).min() for one in (grid, first)]
    torch.testing.assert_close(apart[0], apart[1], rtol=0.0, atol=1e-5)


def test_coarse_products_end_where_they_began():
    before = torch.get_float32_matmul_precision()
    with pytest.raises(RuntimeError), coarse_products():
        assert torch.get_float32_matmul_precision() == "medium"
        raise RuntimeError
    assert torch.get_float32_matmul_precision() == before

"""Several maps: particles find their classes whatever the seed, and none where there are none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from class_oracle import told_by_true_maps
from tomobayes.heterogeneity.linear_start import subspace_start
from tomobayes.imaging.gathering import Gatherer, Portion, Source, portions
from tomobayes.inference.classification.iteration import classify, consensus, with_classes
from tomobayes.inference.classification.state import ClassSettings, ClassState
from tomobayes.inference.reconstruction import Gather
from tomobayes.inference.state import Settings
from tomobayes.maps.masks import sphere_mask
from tomobayes.model import Particles
from toy_heterogeneity import BOX, DIAMETER, PIXEL, toy, true_maps


def agreement(found: np.ndarray, truth: np.ndarray) -> float:
    """Share of the particles in their class, after the best match of the classes' names."""
    size = 1 + max(found.max(), truth.max())
    table = np.zeros((size, size))
    np.add.at(table, (found, truth), 1)
    return float(table[linear_sum_assignment(-table)].sum() / len(found))


@dataclass(frozen=True)
class Toy:
    """A set of the toy's particles, with one map of them all."""

    labels: np.ndarray
    particles: Particles
    parts: list[Portion]
    gather: Gather
    settings: ClassSettings
    together: ClassState

    def classified(self, seed: int) -> ClassState:
        """The last state of a classification from scratch."""
        *_, last = classify(self.particles, self.parts, self.gather, self.started(seed), self.settings)
        return last

    def started(self, seed: int) -> ClassState:
        return subspace_start(self.parts, self.gather, self.together, self.settings, seed)

    def accuracy(self, state: ClassState) -> float:
        return agreement(state.posterior.argmax(1).numpy(), self.labels)


@pytest.fixture(scope="module")
def toys(shared: Path) -> Callable[..., Toy]:
    """Makes sets of the toy, each once."""

    @cache
    def make(states: str = "DE", first_tilts: int | None = None, missing: int = 0) -> Toy:
        torch.set_num_threads(1)
        data, labels = toy(shared, states, first_tilts, missing)
        mask = sphere_mask(BOX, DIAMETER / PIXEL, 3)
        settings = ClassSettings(Settings(BOX, PIXEL, DIAMETER, np.eye(3)[None], mask, max_iterations=8), 2, mask)
        parts = portions(data, np.ones(len(labels), dtype=bool), folds=5)
        gather = Gatherer(data, Source("stacks", BOX, 1.0), settings.images.largest_radius)
        return Toy(labels, data.particles, parts, gather, settings, consensus(data.particles, parts, gather, settings))

    return make


def test_states_d_and_e_from_scratch(toys, claims):
    """Ten seeds on 72 + 72 particles of 8 to 10 images each (SNR 0.056): how many classify at least 98 % as they are."""
    one = toys()
    found = [one.accuracy(one.classified(seed)) for seed in range(10)]
    *_, oracle = classify(
        one.particles, one.parts, one.gather, with_classes(one.together, torch.eye(2)[torch.from_numpy(one.labels)]), one.settings
    )
    random = torch.randint(2, (len(one.labels),), generator=torch.Generator().manual_seed(0))
    claims.measured(
        "seeds of 10 with accuracy of at least 0.98", sum(accuracy >= 0.98 for accuracy in found), at_least=9, oracle=10, null=0
    )
    claims.measured("worst accuracy", min(found), at_least=0.96, oracle=one.accuracy(oracle), null=agreement(random.numpy(), one.labels))


@pytest.mark.parametrize("states", ["D", "E"])
def test_nothing_is_found_where_all_are_alike(toys, claims, states):
    """72 particles of one state: held-out gain of two classes, and of the subspace they start from, in nats per hundred particles."""
    alike, mixed = toys(states), toys()
    state, other = alike.classified(0), mixed.started(0)
    assert state.start is not None
    assert other.start is not None
    share = 100 / len(alike.labels)
    claims.measured("directions in which particles differ", state.start.rank, at_most=0, oracle=0, null=other.start.rank)
    claims.measured("gain of a subspace (nats per 100)", share * state.start.gain[-1], at_most=1, null=other.start.gain[-1] / 1.44)
    claims.measured("gain of two classes (nats per 100)", share * float(state.gain_nats.sum()), at_most=1)


@pytest.mark.parametrize(("tilts", "expected"), [(1, 0.82), (2, 0.96), (4, 0.99), (8, 1.0)])
def test_more_tilts_tell_more(shared, claims, tilts, expected):
    """Accuracy of the true maps by the first images of each particle, against an independent prototype's."""
    data, labels = toy(shared, first_tilts=tilts)
    told = told_by_true_maps(data, Source("stacks", BOX, 1.0), true_maps(shared))
    claims.measured(f"accuracy with {tilts} tilts", float((told == labels).mean()), at_least=expected - 0.03, null=0.5)


def test_missing_tilts(toys, shared, claims):
    """As from scratch, with two of the 8 to 10 images of every particle missing at random."""
    whole, less = toys(), toys(missing=2)
    of_whole = whole.accuracy(whole.classified(0))
    data, labels = toy(shared, missing=2)
    oracle = float((told_by_true_maps(data, Source("stacks", BOX, 1.0), true_maps(shared)) == labels).mean())
    started = less.started(0)
    claims.measured("accuracy of the first classes", less.accuracy(started), oracle=oracle, null=0.5)
    *_, last = classify(less.particles, less.parts, less.gather, started, less.settings)
    claims.measured("accuracy", less.accuracy(last), at_least=of_whole - 0.02, oracle=oracle, null=0.5)

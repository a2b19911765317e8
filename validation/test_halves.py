"""Half-sets share nothing before the FSC couples them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from tomobayes.compute.executors import InProcess
from tomobayes.formats.relion import read_dataset
from tomobayes.geometry.pointgroups import point_group
from tomobayes.imaging.gathering import Gatherer, Source, portions, usable_particles
from tomobayes.inference.halves import by_half
from tomobayes.inference.iteration import Expectation, found_together
from tomobayes.inference.maximisation import solve
from tomobayes.inference.refinement import Settings, initial_state
from tomobayes.maps.masks import sphere_mask


class _Shuffled:
    """Gives the particles of half 2 each other's images."""

    def __init__(self, gather):
        self._gather = gather

    def __call__(self, part):
        statistics = self._gather(part)
        if part.half == 1:
            return statistics
        order = np.random.default_rng(0).permutation(len(part.particles))
        return replace(statistics, data=statistics.data[order], weight=statistics.weight[order])


def _maps(expectation, parts):
    """Both halves' maps by their own images alone: what the FSC of the two is first taken of."""
    found = InProcess().map_reduce(expectation, parts, found_together).result
    return [solve(sum(folds[1:], start=folds[0]), None) for folds in by_half(found.sums, 2)]


def test_shuffling_half_two_leaves_half_one(shared, claims):
    """Bytes of half 1's map that change in one iteration when the images of half 2 are shuffled (two threads)."""
    torch.set_num_threads(2)
    data = read_dataset(shared / "data/simulated/ribosome/optimisation_set.star")
    source = Source("series", 24, 4.0)
    usable = usable_particles(data, source) & (np.arange(len(data.particles)) % 5 < 2)
    parts = portions(data, usable, folds=2)
    settings = Settings(24, 16.0, 270.0, point_group("C1"), sphere_mask(24, 270 / 16), sigma_rotation=4.0, offset_range=16.0)
    gather = Gatherer(data, source, settings.largest_radius)
    start = initial_state(data.particles, parts, gather, settings, None)
    plain = _maps(Expectation(data.particles, gather, settings, start), parts)
    shuffled = _maps(Expectation(data.particles, _Shuffled(gather), settings, start), parts)
    changed = [int((a.numpy().view(np.uint8) != b.numpy().view(np.uint8)).sum()) for a, b in zip(plain, shuffled, strict=True)]
    claims.measured("bytes of half 1's map that changed", changed[0], at_most=0, null=changed[1])
    assert changed[1] > 0

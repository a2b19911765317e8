"""Half-sets share nothing before the FSC couples them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from tomobayes.formats.relion import read_dataset
from tomobayes.geometry.pointgroups import point_group
from tomobayes.imaging.gathering import Gatherer, Source, portions, usable_particles
from tomobayes.inference.refinement import Settings, initial_state, iterate
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
    plain = iterate(data.particles, parts, gather, start, settings)
    shuffled = iterate(data.particles, parts, _Shuffled(gather), start, settings)
    changed = [
        int((a.numpy().view(np.uint8) != b.numpy().view(np.uint8)).sum()) for a, b in zip(plain.half_maps, shuffled.half_maps, strict=True)
    ]
    claims.measured("bytes of half 1's map that changed", changed[0], at_most=0, null=changed[1])
    assert changed[1] > 0

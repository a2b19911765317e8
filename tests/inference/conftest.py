"""Sixteen particles in noise, whose poses are nearly known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from small_experiment import BOX, OPTICS, PIXEL, Recorded, particles, phantom, positions, recorded, series
from tomobayes.imaging.gathering import Gatherer, Portion, Source, portions
from tomobayes.inference.classification.iteration import consensus
from tomobayes.inference.classification.state import ClassSettings
from tomobayes.inference.state import Settings
from tomobayes.maps.masks import sphere_mask
from tomobayes.model import Dataset, Map, Particles
from tomobayes.simulation.images import clean_images


@dataclass(frozen=True)
class Experiment:
    """What a refinement is given, and the truth."""

    dataset: Dataset
    given: Particles
    settings: Settings

    @property
    def gather(self) -> Gatherer:
        return Gatherer(self.dataset, Source("series", BOX, 1.0, extract_box=BOX), BOX // 2 - 1)

    def parts(self, folds: int = 1) -> list[Portion]:
        return portions(self.dataset, np.ones(len(self.given), dtype=bool), folds=folds)


@pytest.fixture(scope="session")
def experiment() -> Experiment:
    """Poses are off by 3° and 4 Å in each component; neighbours stay apart at every tilt."""
    table = particles(positions(4, 42))
    dataset = recorded(Dataset((series(216, step=15.0, reach=45.0),), (OPTICS,), table), phantom(sigma=6.0), sigma=0.4)
    random = np.random.default_rng(7)
    turn = Rotation.from_rotvec(np.deg2rad(random.normal(0, 3, (16, 3)))).as_matrix()
    given = replace(table, rotation_particle=table.rotation_particle @ turn, origin_angstrom=random.normal(0, 4, (16, 3)))
    settings = Settings(
        box=BOX,
        pixel_size_angstrom=PIXEL,
        particle_diameter=130.0,
        group=np.eye(3)[None],
        mask=sphere_mask(BOX, 130.0 / PIXEL),
        sigma_rotation=4.0,
        offset_range=16.0,
        offset_sigma=5.0,
        max_iterations=6,
    )
    return Experiment(dataset, given, settings)


@pytest.fixture(scope="session")
def mixed():
    """Sixteen particles at known poses; every second pair lacks the density at x > 0."""
    table = replace(particles(positions(4, 42)), class_number=1 + np.arange(16) % 4 // 2)
    one = series(216, step=15.0, reach=45.0)
    whole = phantom(sigma=6.0)
    part = Map(whole.data * (np.arange(BOX) < BOX // 2 + 1), PIXEL)
    dataset = Dataset((one,), (OPTICS,), table)
    noise = np.random.default_rng(0).normal(0, 0.5, (one.n_tilts, 216, 216)).astype(np.float32)
    images = -(noise + np.stack(list(clean_images(dataset, 0, [whole, part]))))
    dataset = replace(dataset, tilt_series=(replace(one, images=Recorded(images)),))
    mask = sphere_mask(BOX, 130.0 / PIXEL)
    settings = ClassSettings(Settings(BOX, PIXEL, 130.0, np.eye(3)[None], mask, max_iterations=4), 2, mask)
    parts = portions(dataset, np.ones(16, dtype=bool), folds=2)
    gather = Gatherer(dataset, Source("series", BOX, 1.0, extract_box=BOX), BOX // 2 - 1)
    return dataset, parts, gather, settings, consensus(table, parts, gather, settings)

"""A small tilt series whose images are made with known optics, and its map: what the tests of CTF refinement look at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from small_experiment import OPTICS, particles, phantom, positions, recorded, series
from tomobayes.compute.executors import InProcess
from tomobayes.model import Dataset, TiltSeries
from tomobayes.tiltseries.boxes import Cutter
from tomobayes.tiltseries.ctf_refinement import CtfRefinement, CtfSettings, finished, refined_series
from tomobayes.tiltseries.references import References, from_half_maps

PIXEL, BOX, SIZE, DIAMETER = 4.0, 48, 256, 120.0
MAP = phantom(BOX, PIXEL, sigma=4.0)


def scene(tilts: int = 21, columns: int = 6) -> Dataset:
    """The truth, without images."""
    one = series(SIZE, defocus=22000.0, step=100.0 / (tilts - 1), reach=50.0, pixel=PIXEL)
    return Dataset((one,), (OPTICS,), particles(positions(columns, 32, PIXEL), seed=2))


def changed(dataset: Dataset, **fields: NDArray[np.float64]) -> Dataset:
    """The data set with other values of its tilt series' fields."""
    return replace(dataset, tilt_series=(replace(dataset.tilt_series[0], **fields),))


def imaged(truth: Dataset, told: Dataset, sigma: float, seed: int = 0) -> Dataset:
    """What is told, with images of the truth."""
    images = recorded(truth, MAP, sigma, seed).tilt_series[0].images
    return replace(told, tilt_series=(replace(told.tilt_series[0], images=images),))


def references(dataset: Dataset) -> References:
    """The true map for everyone."""
    return from_half_maps((MAP.data, MAP.data), np.ones_like(MAP.data), PIXEL, len(dataset.particles))


def refined(dataset: Dataset, **settings: object) -> CtfRefinement:
    """The data set's optics refined with the true map."""
    plan = CtfSettings(DIAMETER, **settings)
    usable = np.ones(len(dataset.particles), dtype=bool)
    return finished(dataset, refined_series(Cutter(dataset), usable, references(dataset), plan, InProcess())[0], plan)


def first(refinement: CtfRefinement) -> TiltSeries:
    """Its tilt series."""
    return refinement.dataset.tilt_series[0]

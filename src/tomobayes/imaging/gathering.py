"""Which images feed the statistics, in which portions, and how long they are kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tomobayes.imaging.crops import crop_plan, delocalisation_angstrom
from tomobayes.imaging.observation import Statistics, from_stacks, from_subtomograms, from_tilt_images
from tomobayes.imaging.views import coarsest_pixel, views_of
from tomobayes.model import Dataset, TiltSeries

__all__ = [
    "Engine",
    "Gatherer",
    "Portion",
    "Source",
    "choose_engine",
    "coarsest_pixel",
    "folds_for",
    "portions",
    "rows_of",
    "usable_particles",
]

Engine = Literal["series", "stacks", "subtomograms"]
"""Where the images come from: crops of tilt images on the fly, stored 2D stacks, or stored pseudo-subtomograms."""


@dataclass(frozen=True)
class Source:
    """How the images of a data set are turned into statistics.

    Parameters
    ----------
    box, binning : edge in binned pixels; binned over unbinned pixel size, of the coarsest tilt images where there are several
    extract_box : binned edge of the box in which the CTF is applied; None: from the defocus
    max_dose : e/Å², None for no limit; min_tilts : particles seen in fewer tilts are left out
    """

    engine: Engine
    box: int
    binning: float
    extract_box: int | None = None
    max_dose: float | None = None
    min_tilts: int = 1

    def binning_of(self, dataset: Dataset, series: TiltSeries) -> float:
        """Binned over unbinned pixel size of one of the tilt series."""
        return self.binning * coarsest_pixel(dataset) / series.pixel_size_angstrom


@dataclass(frozen=True)
class Portion:
    """Particles that are gathered together: one tilt series, one optics group, one half-set.

    Parameters
    ----------
    optics : index of the optics group
    particles : (P,) rows of the dataset, those of one fold next to each other; folds : (P,) the fold of each, ascending
    """

    tilt_series: int
    optics: int
    half: int
    particles: NDArray[np.int64]
    folds: NDArray[np.int64]

    def rows_of(self, fold: int) -> slice:
        """Where the particles of a fold are."""
        first, after = np.searchsorted(self.folds, [fold, fold + 1]).tolist()
        return slice(first, after)


def choose_engine(dataset: Dataset) -> Engine:
    """The engine follows the input: stored stacks or subtomograms where the particles name them, else tilt images."""
    if dataset.particles.subtomograms is not None:
        return "subtomograms"
    return "stacks" if dataset.particles.stacks is not None else "series"


def usable_particles(dataset: Dataset, source: Source) -> NDArray[np.bool_]:
    """(P,) which particles are seen, whole box inside the image and dose within the limit, in at least ``min_tilts`` tilts."""
    usable = np.ones(len(dataset.particles), dtype=bool)
    if source.engine == "subtomograms":
        return usable
    for rows in _by_series(dataset):
        series = dataset.tilt_series[int(dataset.particles.tilt_series[rows[0]])]
        pixels = 0.5 * source.box * source.binning_of(dataset, series) if source.engine == "series" else 0.0
        seen = views_of(dataset, rows, half_width_px=pixels, max_dose=source.max_dose).visible.sum(1).numpy()
        usable[rows] = seen >= source.min_tilts
    return usable


def _by_series(dataset: Dataset) -> list[NDArray[np.int64]]:
    table = dataset.particles
    keys = np.stack([table.tilt_series, table.optics], 1)
    return [np.flatnonzero((keys == key).all(1)) for key in np.unique(keys, axis=0)]


def portions(dataset: Dataset, usable: NDArray[np.bool_], largest: int = 256, folds: int = 1) -> list[Portion]:
    """Split the usable particles by tilt series, optics group and half-set, and those into portions of at most ``largest``.

    The particles of a half-set are dealt to ``folds`` folds in turn, so that each fold can be compared with a map of the others.
    """
    table = dataset.particles
    fold = np.zeros(len(table), dtype=np.int64)
    for half in np.unique(table.half):
        members = np.flatnonzero((table.half == half) & usable)
        fold[members] = np.arange(len(members)) % folds
    found = []
    for rows in _by_series(dataset):
        for half in np.unique(table.half[rows[usable[rows]]]).tolist():
            chosen = rows[(table.half[rows] == half) & usable[rows]]
            for piece in np.array_split(chosen, -(-len(chosen) // largest)):
                ordered = piece[np.argsort(fold[piece], kind="stable")]
                found.append(Portion(int(table.tilt_series[rows[0]]), int(table.optics[rows[0]]), half, ordered, fold[ordered]))
    return sorted(found, key=lambda part: part.half)


def folds_for(particles_per_half: int, local: bool = False) -> int:
    """How many folds a half-set needs so that no particle is compared with its own noise.

    A particle's share of its own reference falls with their number; from a thousand on it is too small to hold a pose in place.
    A reference lacks its fold, which the smallest sets can spare least: where they are searched locally (in a global search the
    particles of a fold share their projections) each particle is a fold of its own.
    """
    if particles_per_half >= 1000:
        return 1
    return max(1, particles_per_half if local and particles_per_half <= 32 else min(5, particles_per_half // 2))


class Gatherer:
    """Statistics of portions, kept in memory while they fit into a budget and cut again from the images where they do not."""

    def __init__(self, dataset: Dataset, source: Source, radius: int, budget_bytes: float = 4e9):
        self._dataset, self._source, self._radius = dataset, source, radius
        self._budget = budget_bytes
        self._kept: dict[bytes, Statistics] = {}

    def __call__(self, portion: Portion) -> Statistics:
        key = portion.particles.tobytes()
        if key in self._kept:
            return self._kept[key]
        statistics = gather(self._dataset, portion.particles, self._source, self._radius)
        size = sum(kept.nbytes for kept in (statistics.data, statistics.weight, statistics.multiplicity) if kept is not None)
        if size <= self._budget:
            self._budget -= size
            self._kept[key] = statistics
        return statistics


def rows_of(statistics: Statistics, rows: slice) -> Statistics:
    """The statistics of some of the particles; their images are shared, not copied."""
    multiplicity = None if statistics.multiplicity is None else statistics.multiplicity[rows]
    names = ("particles", "data", "weight", "frame", "anchor_angstrom")
    return replace(statistics, multiplicity=multiplicity, **{name: getattr(statistics, name)[rows] for name in names})


def gather(dataset: Dataset, particles: NDArray[np.int64], source: Source, radius: int) -> Statistics:
    """Statistics of particles of one tilt series and optics group up to a Fourier radius."""
    if source.engine == "stacks":
        return from_stacks(dataset, particles, radius, source.max_dose)
    if source.engine == "subtomograms":
        return from_subtomograms(dataset, particles, radius)
    series = dataset.tilt_series[int(dataset.particles.tilt_series[particles[0]])]
    coarsest = coarsest_pixel(dataset)
    pixel = coarsest * source.binning
    reach = delocalisation_angstrom(views_of(dataset, particles), source.box * pixel / radius)
    crop = crop_plan(source.box, source.binning_of(dataset, series), source.extract_box, reach, series.pixel_size_angstrom)
    statistics = from_tilt_images(dataset, particles, crop, radius, source.max_dose, pixel)
    # The grey value of a map is what a density adds to an unbinned pixel along one; it must be the same length for all images.
    grey = coarsest / series.pixel_size_angstrom
    return statistics if grey == 1 else replace(statistics, data=statistics.data * grey)

"""What jobs that take one tilt series after the other will need, told before they start."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tomobayes.compute.threads import use_threads
from tomobayes.fourier.volume import half_extent
from tomobayes.jobs.compared import Compared
from tomobayes.jobs.memory import CELL_BYTES, PROCESS_BYTES, Crew, MemoryPlan, available_bytes, free_bytes
from tomobayes.jobs.parameters import Align, RefineCtf
from tomobayes.tiltseries.boxes import PORTION_BYTES, SAMPLE_BYTES, cut_holding
from tomobayes.tiltseries.motion import most_modes
from tomobayes.tiltseries.placement import RIGID
from tomobayes.tiltseries.tables import table_points

__all__ = ["Fitted", "series_crew", "series_plan"]

REMEDY = "use fewer workers (--workers) or threads (--j), or split the tilt series with the most particles"
CHAIN_COPIES, CORNER_COPIES = 4, 3
"""Of the information about a tilt series that are alive at a time: of what tilts share with positions, and of positions alone."""
LOOK_UP_BYTES = 600
"""Of one particle in one tilt, while its table is read."""


@dataclass(frozen=True)
class Fitted:
    """What an alignment fits: displacements within a reach, motion or none, and so many coefficients of deformation."""

    reach_angstrom: float
    motion: bool
    coefficients: int

    def bytes(self, particles: int, tilts: int, finest_frequency: float) -> float:
        """Of the tables of a tilt series, and of the information about its parameters (`tiltseries.chain`)."""
        pairs = particles * tilts
        tables = 2 * 4 * pairs * table_points(finest_frequency, self.reach_angstrom) ** 2
        member = RIGID + self.coefficients + (3 * min(particles, most_modes(particles)) if self.motion else 0)
        border = 3 * particles + self.coefficients
        chain = CHAIN_COPIES * tilts * member * (member + border) + CORNER_COPIES * border**2
        return tables + 8 * chain + LOOK_UP_BYTES * pairs


def series_crew(parameters: Align | RefineCtf) -> Crew:
    """Who will do the work. Workers of this machine share its cores unless told otherwise, those of a cluster have one each."""
    if parameters.scheduler is not None:
        return Crew(parameters.j or 1, 1, elsewhere=True)
    if parameters.workers is not None:
        return Crew(parameters.j or max(1, use_threads(None) // parameters.workers), parameters.workers)
    return Crew(use_threads(parameters.j))


def series_plan(parameters: Align | RefineCtf, compared: Compared, reach_px: int, folds: int, fitted: Fitted | None) -> MemoryPlan:
    """What the work takes at its worst moment, the tilt series with the most particles.

    Parameters
    ----------
    reach_px : Fourier pixels of the half-maps up to which images are compared at the most
    folds : of each half-set, where half-maps are rebuilt
    fitted : where tilt images are aligned
    """
    crew, first = series_crew(parameters), compared.halves[0]
    extent = first.box * first.pixel_size_angstrom
    loads = list(_loads(compared, extent, reach_px / extent, parameters))
    cells = (2 * half_extent(reach_px) + 1) ** 2 * (half_extent(reach_px) + 1)
    maps = 4 * 4 * first.box**3 + 2 * folds * cells * CELL_BYTES["transform"]
    making = cells * (2 * folds * CELL_BYTES["sum"] + CELL_BYTES["accumulator"] * (crew.threads + 1))
    fitting = max((0.0 if fitted is None else fitted.bytes(count, tilts, reach_px / extent)) for count, tilts, _ in loads)
    portion = max(max(min(PORTION_BYTES, count * one), one) for count, one in ((c, SAMPLE_BYTES * t * s) for c, t, s in loads))
    task = maps + portion + max(making, fitting)
    return MemoryPlan(
        crew=crew,
        portion=max(count for count, _, _ in loads),
        statistics=sum(8.0 * count * tilts * samples for count, tilts, samples in loads),
        leader=PROCESS_BYTES + maps + (2 * making if crew.workers else task),
        worker=PROCESS_BYTES + task,
        available=available_bytes(),
        cache=parameters.cache_bytes,
        disk=0.0,
        free=free_bytes(parameters.o),
        iteration_seconds=0.0,
        remedy=REMEDY,
    )


def _loads(compared: Compared, extent: float, finest: float, parameters: Align | RefineCtf) -> Iterator[tuple[int, int, int]]:
    """Particles, tilts and samples of an image, of every tilt series."""
    dataset, usable = compared.experiment.dataset, compared.experiment.usable
    for index in np.unique(dataset.particles.tilt_series[usable]).tolist():
        rows = np.flatnonzero(usable & (dataset.particles.tilt_series == index))
        series = dataset.tilt_series[index]
        cut = cut_holding(dataset, rows, extent, finest, parameters.particle_diameter, parameters.max_dose)
        yield len(rows), series.n_tilts, int(0.5 * math.pi * (finest * cut.edge * series.pixel_size_angstrom) ** 2) + 1

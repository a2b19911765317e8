"""What a job will need, told before it starts: memory of its worst moment, disk, and time of its longest iteration."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tomobayes.fourier.volume import half_extent
from tomobayes.jobs.experiment import Experiment
from tomobayes.jobs.log import duration
from tomobayes.model import BadInput, Problem

__all__ = ["Crew", "MemoryPlan", "available_bytes", "gigabytes", "memory_plan"]

PROCESS_BYTES = 4.4e8
"""A process that has compiled its kernels and holds no data yet."""
SOLVING_BYTES, MOST_MAPS = 190, 4
"""Per voxel of a map while it is solved for (its normal equations, and the steps on twice its box), and how many are at a time."""
PORTION_BYTES, MOST_PARTICLES = 5e8, 64
"""Bounds on the particles that are worked on together."""
CELL_BYTES = {"sum": 14, "accumulator": 16, "transform": 8}
"""Per cell of the oversampled half transform: Σb and Σw (with what the allocator loses), one accumulator, one reference."""
SEARCH_BYTES_PER_SAMPLE = 1900
"""Candidate slices of one particle and what comparing them needs, per Fourier sample of the particle."""
SHARED_BYTES = 1.92e8
"""Largest array of a search over one grid for many particles, which is cut into batches of this size; a few live together."""
SHARED_SHIFTS, SHARED_RESOLUTION = 81, 40.0
"""Shifts and resolution (Å) of such a search, about."""
SEARCH_SECONDS, SEARCH_SECONDS_PER_SAMPLE = 0.04, 3e-6
"""Core-seconds of one particle's expectation, and what every Fourier sample adds; rough figures, of a machine of 2024."""
ROW_BYTES = 700
"""Of one particle in a STAR file."""


@dataclass(frozen=True)
class Crew:
    """Who works: ``workers`` processes of ``threads`` threads (0: the job's own process alone), on this machine or elsewhere."""

    threads: int
    workers: int = 0
    elsewhere: bool = False

    @property
    def cores(self) -> int:
        """That compute at a time."""
        return self.threads * max(1, self.workers)

    @property
    def together(self) -> int:
        """Maps that the job's own process solves for at a time, on the cores of workers of this machine, which wait meanwhile."""
        return 1 if self.elsewhere else min(max(1, self.workers), MOST_MAPS)


@dataclass(frozen=True)
class MemoryPlan:
    """What a job takes, in bytes and seconds.

    Parameters
    ----------
    crew : who works
    portion : particles that are worked on together
    statistics : of all particles; kept where they fit, else cut again from the images in every iteration
    leader, worker : what the job's own process and each worker cannot do without
    available : memory of this machine; cache : most that kept statistics may take, None for what is to spare
    disk, free : what the job's folder will hold at most, and what its disk has left
    iteration_seconds : of the longest iteration
    remedy : what to do where memory is too small
    """

    crew: Crew
    portion: int
    statistics: float
    leader: float
    worker: float
    available: float
    cache: float | None
    disk: float
    free: float
    iteration_seconds: float
    remedy: str = "make --box smaller, --bin larger, or use fewer workers or threads (--j)"

    @property
    def least(self) -> float:
        """What this machine must have."""
        return self.leader + (0 if self.crew.elsewhere else self.crew.workers * self.worker)

    @property
    def budget(self) -> float:
        """For statistics that are kept, of all processes together."""
        spare = max(0.0, 0.8 * (self.available - self.least))
        return spare if self.cache is None else self.cache if self.crew.elsewhere else min(self.cache, spare)

    @property
    def share(self) -> float:
        """Of the budget, each process's."""
        return self.budget / max(1, self.crew.workers)

    @property
    def peak(self) -> float:
        """What this machine will be asked for."""
        return self.least + (0 if self.crew.elsewhere else min(self.statistics, self.budget))

    @property
    def sentences(self) -> Iterator[str]:
        """The plan in words."""
        keeps = "kept" if self.statistics <= self.budget else f"partly gathered anew in each iteration ({gigabytes(self.budget)} kept)"
        each = f" ({gigabytes(self.worker)} in each worker)" if self.crew.workers else ""
        needed = f"memory: about {gigabytes(self.peak)} of {gigabytes(self.available)}{each}"
        yield f"{needed}; image statistics ({gigabytes(self.statistics)}) {keeps}"
        if self.disk:
            yield f"disk: at most about {gigabytes(self.disk)} of {gigabytes(self.free)}"
        if self.iteration_seconds:
            cores = f"{self.crew.cores} core{'s' * (self.crew.cores > 1)}"
            yield f"time: very roughly {duration(self.iteration_seconds)} for the longest iteration on {cores}"

    def check(self) -> None:
        """Refuse a job that cannot finish."""
        problems = []
        if self.least > self.available:
            what = f"this needs about {gigabytes(self.least)} of memory, and {gigabytes(self.available)} are available"
            problems.append(Problem(None, "", what, remedy=self.remedy))
        if self.disk > self.free:
            what = f"this needs about {gigabytes(self.disk)} of disk, and {gigabytes(self.free)} are free"
            problems.append(
                Problem(None, "", what, remedy="make room, write elsewhere with --o, or keep fewer iterations (--keep-iterations)")
            )
        if problems:
            raise BadInput(problems)


def memory_plan(
    experiment: Experiment,
    crew: Crew,
    *,
    folds: int = 1,
    classes: int = 1,
    iterations: int = 0,
    everywhere: bool = True,
    keep: int = 0,
    cache: float | None = None,
    out: Path | None = None,
) -> MemoryPlan:
    """What a refinement of ``iterations`` takes at the box's full resolution, or a reconstruction, which has none.

    Parameters
    ----------
    folds : of each half-set; everywhere : whether the first search is over all orientations
    classes : maps that every particle is compared with; several of them, with one that they have in common
    keep : iterations whose maps and checkpoints are kept
    out : the job's folder, if it is decided
    """
    count, box = int(experiment.usable.sum()), experiment.source.box
    samples = _samples(experiment, box // 2 - 1)
    per_particle = samples * (16 if experiment.source.engine == "subtomograms" else 12)
    portion = int(min(max(PORTION_BYTES / per_particle, 1), MOST_PARTICLES, _largest_group(experiment)))
    cells = _cells(box // 2 - 1)
    common = int(classes > 1)
    sums, search = CELL_BYTES["sum"] * cells * folds * classes, iterations > 0
    state = 4 * box**3 * (5 * classes + (2 * folds * (classes + common) if folds > 1 else 0)) if search else 0
    accumulating = classes * cells * (CELL_BYTES["accumulator"] * (crew.threads + 1) + CELL_BYTES["sum"])
    task = CELL_BYTES["sum"] * cells * classes * min(folds, portion) + accumulating + 3 * portion * per_particle
    if search:  # several classes may be aligned by a part of what they have in common
        task += CELL_BYTES["transform"] * cells * folds * (classes + 2 * common) + SEARCH_BYTES_PER_SAMPLE * samples
    if search and everywhere:
        coarse = _samples(experiment, min(box // 2 - 1, round(box * experiment.pixel_size_angstrom / SHARED_RESOLUTION)))
        task += SHARED_BYTES + min(16 * portion * SHARED_SHIFTS * coarse, 2 * SHARED_BYTES)
    task += _subtracted_bytes(experiment)
    solving = CELL_BYTES["sum"] * cells * ((2 + classes) if folds > 1 else 1) + SOLVING_BYTES * box**3 * crew.together + state
    return MemoryPlan(
        crew=crew,
        portion=portion,
        statistics=count * per_particle,
        leader=PROCESS_BYTES + 2 * sums + state + max(solving, sums if crew.workers else task),
        worker=PROCESS_BYTES + state + task,
        available=available_bytes(),
        cache=cache,
        disk=keep * (state + 8 * box**3) + 12 * box**3 + (iterations + 1) * ROW_BYTES * len(experiment.usable),
        free=free_bytes(out),
        iteration_seconds=count * (SEARCH_SECONDS + samples * SEARCH_SECONDS_PER_SAMPLE) / crew.cores if search else 0,
    )


def _largest_group(experiment: Experiment) -> int:
    """Most particles of one tilt series and half-set."""
    particles, usable = experiment.dataset.particles, experiment.usable
    _, members = np.unique(np.stack([particles.tilt_series[usable], particles.half[usable]]), axis=1, return_counts=True)
    return int(members.max())


def _subtracted_bytes(experiment: Experiment) -> float:
    """Of maps that are subtracted from images, and their transforms."""
    subtraction = experiment.dataset.subtraction
    if subtraction is None:
        return 0
    box = subtraction.maps[0].box
    return 2 * (4 * box**3 + CELL_BYTES["transform"] * _cells(box // 2 - 1))


def _cells(radius: int) -> int:
    """Of the oversampled half transform."""
    extent = half_extent(radius)
    return (2 * extent + 1) ** 2 * (extent + 1)


def _samples(experiment: Experiment, radius: int) -> float:
    """Fourier samples of one particle: half a disc in every tilt, or half a ball."""
    if experiment.source.engine == "subtomograms":
        return 2 / 3 * math.pi * radius**3
    return math.pi / 2 * radius**2 * max(series.n_tilts for series in experiment.dataset.tilt_series)


def available_bytes() -> float:
    """Memory this process may still take: what the system has left, or what its control group allows."""
    limits = [_system_bytes()]
    try:
        limit, used = (Path("/sys/fs/cgroup", name).read_text().strip() for name in ("memory.max", "memory.current"))
        limits += [] if limit == "max" else [float(limit) - float(used)]
    except OSError:
        pass
    return min(limits)


def free_bytes(folder: Path | None) -> float:
    """Free space of the disk that a folder is on, or will be."""
    place = (folder or Path()).resolve()
    while not place.exists():
        place = place.parent
    return float(shutil.disk_usage(place).free)


def _system_bytes() -> float:
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        return 1024 * float(lines["MemAvailable"].split()[0])
    except (OSError, KeyError):
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def gigabytes(count: float) -> str:
    """A size in words."""
    if count < 1e8:
        return f"{count / 1e6:.0f} MB"
    return f"{count / 1e9:.{2 if count < 1e10 else 0}f} GB"

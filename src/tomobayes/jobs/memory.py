"""How much memory a job will need, told before it starts."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

from tomobayes.fourier.volume import PADDING, half_extent
from tomobayes.imaging.gathering import folds_for
from tomobayes.jobs.experiment import Experiment
from tomobayes.model import BadInput, Problem

__all__ = ["MemoryPlan", "available_bytes", "memory_plan"]

PORTION_BYTES = 5e8
MOST_PARTICLES = 256
CANDIDATES = 256
"""Poses of one particle that a local search compares at once: 32 orientations kept, split in 8."""

SHARED_SEARCH_BYTES = 8e8
"""Arrays of a search over one grid for many particles, which is cut into batches of about this size."""


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes, for the worst moment of a job.

    Parameters
    ----------
    statistics : of all particles; kept where they fit, else cut again from the images in every iteration
    portion : particles whose statistics are gathered together
    least : what the job cannot do without
    """

    statistics: float
    portion: int
    least: float
    available: float

    @property
    def budget(self) -> float:
        """For statistics that are kept."""
        return max(0.0, 0.8 * (self.available - self.least))

    @property
    def sentence(self) -> str:
        """The plan in words."""
        keeps = "kept" if self.statistics <= self.budget else "partly gathered anew in each iteration"
        total = self.least + min(self.statistics, self.budget)
        needed = f"memory: about {_gigabytes(total)} of {_gigabytes(self.available)}"
        return f"{needed}; image statistics ({_gigabytes(self.statistics)}) {keeps}"

    def check(self) -> None:
        """Refuse a job that cannot finish."""
        if self.least > self.available:
            what = f"this needs about {_gigabytes(self.least)} of memory, and {_gigabytes(self.available)} are available"
            raise BadInput(Problem(None, "", what, remedy="make --box smaller, --bin larger, or use fewer threads (--j)"))


def memory_plan(experiment: Experiment, threads: int, *, search: bool) -> MemoryPlan:
    """Memory of a reconstruction, or of a refinement (``search``), to the box's full resolution."""
    box, count = experiment.source.box, int(experiment.usable.sum())
    radius = box // 2 - 1
    samples = _samples(experiment, radius)
    per_particle = samples * (16 if experiment.source.engine == "subtomograms" else 12)
    portion = int(min(max(PORTION_BYTES / per_particle, 1), MOST_PARTICLES, count))
    cells = (2 * half_extent(radius) + 1) ** 2 * (half_extent(radius) + 1)
    padded = (PADDING * box) ** 3
    kept = 12 * cells * 2 * (folds_for(count // 2) if search else 1)
    accumulators = 16 * cells * (threads + 1) + 12 * cells
    transforms = 24 * padded
    posterior = max(40 * CANDIDATES * samples, SHARED_SEARCH_BYTES) if search else 0
    least = max(accumulators, transforms) + kept + 3 * portion * per_particle + posterior + 4e8
    return MemoryPlan(count * per_particle, portion, least, available_bytes())


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


def _system_bytes() -> float:
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        return 1024 * float(lines["MemAvailable"].split()[0])
    except (OSError, KeyError):
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.0f} MB"

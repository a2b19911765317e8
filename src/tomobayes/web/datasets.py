"""The particles and tilt series that a job leaves, read once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.exceptions import HTTPException
from starlette.requests import Request

from tomobayes.model import Dataset, TiltSeries
from tomobayes.project import Job
from tomobayes.web.desk import at, integer, job_of, the_desk
from tomobayes.web.table_numbers import floats

__all__ = ["Data", "around", "data_of", "looks_of", "series_of", "set_of"]

_SET = "TomoOptimisationSet"
TILT_TABLE, STACK, IMAGE = "rlnTomoTiltSeriesStarFile", "rlnTomoTiltSeriesName", "rlnMicrographName"
"""Columns with the names of files: of a tilt series, its table and its images in one stack, or else of a tilt its image."""


@dataclass(frozen=True, eq=False)
class Data:
    """A data set as it was when its ``files``, tables and tilt images, had a certain ``version``."""

    files: tuple[Path, ...]
    version: str
    dataset: Dataset

    @cached_property
    def numbers(self) -> Mapping[str, NDArray[np.float64]]:
        """The particles' columns of numbers."""
        return floats(self.dataset.particles.columns)


def set_of(job: Job) -> str | None:
    """The optimisation set that a job leaves, None where there is none."""
    return next((node.name for node in job.outputs if node.kind.startswith(_SET)), None)


def looks_of(job: Job) -> list[tuple[str, str]]:
    """Pages on which one looks at what a job leaves: how they are called, and where they are."""
    pages = {"Tilt series": "series", "Particles": "montage", "In the tomogram": "tomogram"}
    return [] if set_of(job) is None else [(label, at(job.name, page)) for label, page in pages.items()]


def data_of(request: Request) -> Data:
    """The data set of the job that a path names; a job without one is refused, files that cannot be read are bad input."""
    job, project = job_of(request), the_desk(request).project
    name = set_of(job)
    if name is None:
        raise HTTPException(404, "This job leaves no particles with tilt series.")
    source = project / name
    version = _version(_tables(project, source))
    data = _read(project, source, version)
    if data.version != _version(data.files):  # images or tables of tilt series, which one knows of only after reading
        _read.cache_clear()
        data = _read(project, source, version)
    return data


def series_of(request: Request, data: Data) -> tuple[int, TiltSeries]:
    """The tilt series that the query names by its place in the list, by default the first."""
    every = data.dataset.tilt_series
    index = integer(request, "series", 0, len(every) - 1, 0)
    return index, every[index]


def around(request: Request, data: Data, index: int) -> dict[str, Any]:
    """What every page about one tilt series shows beside it: its job, the other looks at it, and the other series."""
    every = data.dataset.tilt_series
    counts = np.bincount(data.dataset.particles.tilt_series, minlength=len(every)).tolist()
    job = job_of(request)
    return {"job": job, "looks": looks_of(job), "every": list(zip(every, counts, strict=True)), "index": index, "series": every[index]}


@lru_cache(maxsize=3)
def _read(project: Path, source: Path, version: str) -> Data:
    from tomobayes.formats.relion import read_dataset

    dataset = read_dataset(source, root=project, require_images=False)
    files = (*_tables(project, source), *dict.fromkeys(_of_series(project, source, dataset)))
    return Data(files, _version(files), dataset)


def _tables(project: Path, source: Path) -> tuple[Path, ...]:
    """The tables of a set, but for those of single tilt series."""
    from tomobayes.formats.relion import read_optimisation_set

    members = read_optimisation_set(source, project)
    return tuple(path for path in (source, members.particles, members.tomograms, members.trajectories) if path is not None)


def _of_series(project: Path, source: Path, dataset: Dataset) -> Iterator[Path]:
    """Tables and images of tilt series, also those that are not there."""
    from tomobayes.formats.paths import Folders
    from tomobayes.formats.relion import read_optimisation_set

    folders = Folders(read_optimisation_set(source, project).tomograms or source, project)
    for series in dataset.tilt_series:
        if table := series.globals_.get(TILT_TABLE):
            yield folders.expected(table)
        stack = series.globals_.get(STACK)
        for name in [stack] if stack else series.columns.get(IMAGE, ()):
            yield project / name.rpartition("@")[2]


def _version(files: Iterable[Path]) -> str:
    """Changes with any of the files."""
    return hashlib.blake2b(" ".join(str(_modified(path)) for path in files).encode(), digest_size=8).hexdigest()


def _modified(path: Path) -> int:
    """When a file was written, 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0

"""The particles and tilt series that a job leaves, read once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request

from tomobayes.model import Dataset, TiltSeries
from tomobayes.project import Job
from tomobayes.web.desk import at, integer, job_of, the_desk

__all__ = ["Data", "data_of", "looks_of", "series_of", "set_of"]

_SET = "TomoOptimisationSet"


@dataclass(frozen=True, eq=False)
class Data:
    """A data set as it was when its files had a certain ``version``; ``source`` is its optimisation set."""

    source: Path
    version: str
    dataset: Dataset


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
    found = project / name
    return _read(project, found, _version(project, found))


def series_of(request: Request, data: Data) -> tuple[int, TiltSeries]:
    """The tilt series that the query names by its place in the list, by default the first."""
    every = data.dataset.tilt_series
    index = integer(request, "series", 0, len(every) - 1, 0)
    return index, every[index]


def _version(project: Path, source: Path) -> str:
    """Changes with the files of a set."""
    from tomobayes.formats.relion import read_optimisation_set

    members = read_optimisation_set(source, project)
    files = (source, members.particles, members.tomograms, members.trajectories)
    return "-".join(f"{path.stat().st_mtime_ns:x}" for path in files if path is not None and path.exists())


@lru_cache(maxsize=3)
def _read(project: Path, source: Path, version: str) -> Data:
    from tomobayes.formats.relion import read_dataset

    return Data(source, version, read_dataset(source, root=project, require_images=False))

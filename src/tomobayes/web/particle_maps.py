"""What a job and those that fed it know of the particle: the maps that show it, and its diameter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from starlette.requests import Request

from tomobayes.project import Job
from tomobayes.web.desk import job_of, jobs_of, number, the_desk
from tomobayes.web.inputs import upstream
from tomobayes.web.relion_jobs import relion_options

__all__ = ["diameter_of", "maps_of"]

_MAP, _HALF = "DensityMap.mrc", "halfmap"
USUAL_DIAMETER = 200.0
"""Å; what circles begin with where no job was told the particle's."""


def diameter_of(request: Request) -> float:
    """Diameter (Å) of the particles: what the query says, else the job or the nearest that fed it."""
    told = next((known for job in _line(request) if (known := _told_diameter(job)) is not None), USUAL_DIAMETER)
    return number(request, "diameter", 1, 100_000, told)


def maps_of(request: Request) -> dict[str, Path]:
    """Maps that the particles may be compared with, of the job and of those that fed it, the nearest first."""
    project = the_desk(request).project
    named = (node.name for job in _line(request) for node in job.outputs if node.kind.startswith(_MAP) and _HALF not in node.kind)
    return {name: project / name for name in dict.fromkeys(named) if (project / name).is_file()}


def _told_diameter(job: Job) -> float | None:
    """What a job, ours or RELION's, was told of the particle's diameter (Å)."""
    options = {name: value for name, value, _ in relion_options(job)} if job.record is None else job.record.parameters
    try:
        return float(str(options.get("particle_diameter", "")))
    except ValueError:
        return None


def _line(request: Request) -> Sequence[Job]:
    return upstream(job_of(request), {job.name: job for job in jobs_of(request)})

"""The views of a job: what it shows of its result, iteration by iteration, what it said, what was asked of it, what it left.

Each of `TABS` is one view. It names the template that draws it and gives that its content; its ``marks`` tell when it is stale.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from tomobayes.jobs.parameters import JobParameters
from tomobayes.project import Job
from tomobayes.report import Report, drawn_sections
from tomobayes.web.cards import image_address, report_of
from tomobayes.web.data_view import data_view
from tomobayes.web.desk import integer
from tomobayes.web.iterations import iterations_of, sections_of
from tomobayes.web.parameters_of import PARAMETERS_OF
from tomobayes.web.particle_columns import has_particles
from tomobayes.web.pick_page import pick_view
from tomobayes.web.relion_jobs import map_sections, relion_options
from tomobayes.web.volume_page import has_maps, map_view

__all__ = ["TABS", "Tab"]

LOG_NAMES = ("run.log", "run.out", "run.err")
LOG_BYTES = 100_000
MOST_FILES = 400


@dataclass(frozen=True)
class Tab:
    """One view of a job.

    Parameters
    ----------
    key, label : in addresses, and as one reads it
    template : what draws it
    content : what the template is given, of a job and of what the address asks for
    shown : which jobs have it
    marks : files whose change makes it stale
    script : module in ``static/`` that works on it; such a view stays as it is until it is opened anew, for a swap would undo what one did
    """

    key: str
    label: str
    template: str
    content: Callable[[Job, Request], Mapping[str, Any]]
    shown: Callable[[Job], bool] = lambda job: True
    marks: tuple[str, ...] = ()
    script: str = ""


def results(job: Job, request: Request) -> Mapping[str, Any]:
    """The job's report as it stands."""
    report = report_of(job)
    if job.record is None:
        return {
            "report": report or Report(job.type),
            "sections": drawn_sections([*(report.sections if report else ()), *map_sections(job)]),
        }
    return {"report": report, "sections": () if report is None else drawn_sections(report.sections, image_address(job))}


def iterations(job: Job, request: Request) -> Mapping[str, Any]:
    """What changed from iteration to iteration, and the maps of one of them: by default the last whose maps are there."""
    every = iterations_of(job.folder)
    with_maps = [one for one in every if one.maps]
    number = integer(request, "iteration", 0, 100_000, with_maps[-1].number if with_maps else every[-1].number if every else 0)
    shown = next((one for one in every if one.number == number), None)
    if shown is None:
        raise HTTPException(404, "There is no such iteration.")
    return {"numbers": [one.number for one in with_maps], "number": number, "sections": drawn_sections(sections_of(every, shown))}


def log(job: Job, request: Request) -> Mapping[str, Any]:
    """The end of what the job said."""
    return {"logs": [(name, _tail(job.folder / name)) for name in LOG_NAMES if (job.folder / name).is_file()]}


def settings(job: Job, request: Request) -> Mapping[str, Any]:
    """What was asked of the job, with what each option means."""
    if job.record is None:
        return {"rows": relion_options(job)}
    parameters = PARAMETERS_OF.get(job.record.verb)
    fields = {} if parameters is None else parameters.model_fields
    rows = [
        (JobParameters.option(name), value, (fields[name].description or "") if name in fields else "")
        for name, value in job.record.parameters.items()
    ]
    return {"rows": rows}


def files(job: Job, request: Request) -> Mapping[str, Any]:
    """What the job left, those first that other jobs may take."""
    kinds = {Path(node.name).name: node.kind for node in job.outputs}
    found = [(entry.name, entry.stat()) for entry in os.scandir(job.folder) if entry.is_file() and not entry.name.startswith(".")]
    rows = [(name, kinds.get(name, ""), info.st_size, info.st_mtime) for name, info in found]
    rows.sort(key=lambda row: (not row[1], row[0]))
    more = max(0, len(rows) - MOST_FILES)
    return {"rows": rows[:MOST_FILES], "more": more, "has_maps": has_maps(job), "has_particles": has_particles(job)}


TABS = (
    Tab("results", "Results", "results.html", results, marks=("report.json",)),
    Tab("iterations", "Iterations", "iterations.html", iterations, lambda job: bool(iterations_of(job.folder)), (".",)),
    Tab("map", "3D map", "volume.html", map_view, has_maps, script="viewer.js"),
    Tab("pick", "Select", "pick.html", pick_view, has_particles, script="pick.js"),
    Tab("data", "Distributions", "sections.html", data_view, has_particles),
    Tab("log", "Log", "log.html", log, marks=LOG_NAMES),
    Tab("settings", "Settings", "settings.html", settings),
    Tab("files", "Files", "files.html", files, marks=(".",)),
)


def _tail(path: Path) -> str:
    """The end of a file, from the beginning of a line on."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - LOG_BYTES))
        text = file.read().decode("utf-8", errors="replace")
    return text if size <= LOG_BYTES else text.split("\n", 1)[-1]

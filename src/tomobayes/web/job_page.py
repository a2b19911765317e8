"""One job: what it shows of its result, what it said, what was asked of it and what it left; parts are swapped while it runs.

Each of `TABS` is one view. A view names the template that draws it and gives that its content; its ``marks`` tell when it is stale.
"""

from __future__ import annotations

import hashlib
import os
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tomobayes.jobs.parameters import JobParameters
from tomobayes.project import Job, Status, checkpoints, holder, request_abort, throw_away
from tomobayes.report import Report, drawn_sections
from tomobayes.web.cards import image_address, report_of, running_of
from tomobayes.web.desk import at, integer, job_of, jobs_of, page, the_desk, unchanged
from tomobayes.web.inputs import FOLLOWERS
from tomobayes.web.iterations import iterations_of, sections_of
from tomobayes.web.parameters_of import PARAMETERS_OF
from tomobayes.web.relion_jobs import map_sections, relion_options

__all__ = ["ROUTES", "TABS", "Tab"]

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
    """

    key: str
    label: str
    template: str
    content: Callable[[Job, Request], Mapping[str, Any]]
    shown: Callable[[Job], bool] = lambda job: True
    marks: tuple[str, ...] = ()


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
    return {"rows": rows[:MOST_FILES], "more": max(0, len(rows) - MOST_FILES)}


TABS = (
    Tab("results", "Results", "results.html", results, marks=("report.json",)),
    Tab("iterations", "Iterations", "iterations.html", iterations, lambda job: bool(iterations_of(job.folder)), (".",)),
    Tab("log", "Log", "log.html", log, marks=LOG_NAMES),
    Tab("settings", "Settings", "settings.html", settings),
    Tab("files", "Files", "files.html", files, marks=(".",)),
)


def job(request: Request) -> Response:
    """The page of a job."""
    found = job_of(request)
    return page(request, "job.html", **_view(request, found))


def live(request: Request) -> Response:
    """The part of that page that changes, unless the browser has seen it as it is."""
    found = job_of(request)
    view = _view(request, found, drawn=False)
    if view["seen"] == request.query_params.get("seen"):
        return unchanged()
    return page(request, "live.html", **_view(request, found))


def stop(request: Request) -> Response:
    """Ask a job to stop after its iteration, or at once."""
    found = job_of(request)
    if found.status is not Status.RUNNING:
        raise HTTPException(409, "This job is not running.")
    if request.query_params.get("when") == "now":
        _interrupt(found)
    else:
        request_abort(found.folder)
    return RedirectResponse(at(found.name, "job"), status_code=303)


def delete(request: Request) -> Response:
    """Move a job to the trash."""
    desk = the_desk(request)
    throw_away(desk.project, job_of(request))
    return RedirectResponse("/", status_code=303)


def _interrupt(job: Job) -> None:
    """End the process of a job as the terminal does; it marks the job as stopped."""
    process = holder(job.folder)
    if process is None:
        raise HTTPException(409, "This job is not running here.")
    if process.host != socket.gethostname():
        raise HTTPException(409, f"This job runs on {process.host}: stop it there, or after its iteration.")
    os.kill(process.pid, signal.SIGTERM)


def _view(request: Request, job: Job, drawn: bool = True) -> dict[str, Any]:
    tabs = [tab for tab in TABS if tab.shown(job)]
    key = request.query_params.get("tab", tabs[0].key)
    tab = next((tab for tab in tabs if tab.key == key), None)
    if tab is None:
        raise HTTPException(404, "There is no such view.")
    kept = urlencode([pair for pair in request.query_params.multi_items() if pair[0] not in ("seen", "tab")])
    view: dict[str, Any] = {"job": job, "tabs": tabs, "tab": tab, "seen": _seen(job, tab), "kept": f"&{kept}" if kept else ""}
    if not drawn:
        return view
    used = [other for other in jobs_of(request) if job.name in other.inputs]
    verb = "" if job.record is None else job.record.verb
    parameters = PARAMETERS_OF.get(verb)
    continuable = job.status not in (Status.RUNNING, Status.SCHEDULED) and parameters is not None
    return view | {
        "running": running_of(job),
        "users": used,
        "followers": FOLLOWERS.get(verb, ()) if job.status is Status.SUCCEEDED else (),
        "can_continue": continuable and (job.status is not Status.SUCCEEDED or _goes_back(parameters, job)),
        "can_clone": parameters is not None,
        "has_checkpoints": bool(checkpoints(job.folder)),
        **tab.content(job, request),
    }


def _goes_back(parameters: Any, job: Job) -> bool:
    return "from_iteration" in parameters.model_fields and bool(checkpoints(job.folder))


def _seen(job: Job, tab: Tab) -> str:
    """Changes whenever what is shown changes."""
    marks = [job.status.value, tab.key]
    for name in ("progress.json", "RELION_JOB_ABORT_NOW", *tab.marks):
        path = job.folder / name
        marks.append(str(path.stat().st_mtime_ns if path.exists() else 0))
    return hashlib.blake2b(" ".join(marks).encode(), digest_size=8).hexdigest()


def _tail(path: Path) -> str:
    """The end of a file, from the beginning of a line on."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - LOG_BYTES))
        text = file.read().decode("utf-8", errors="replace")
    return text if size <= LOG_BYTES else text.split("\n", 1)[-1]


ROUTES = [
    Route("/job/{name:path}", job),
    Route("/live/{name:path}", live),
    Route("/stop/{name:path}", stop, methods=["POST"]),
    Route("/delete/{name:path}", delete, methods=["POST"]),
]

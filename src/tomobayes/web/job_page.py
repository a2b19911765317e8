"""One job: its views, of which the one on show is swapped while the job runs, and what can be done to it."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
from typing import Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tomobayes.project import Job, Status, abort_requested, checkpoints, holder, request_abort, throw_away
from tomobayes.web.cards import running_of
from tomobayes.web.desk import at, job_of, jobs_of, page, the_desk, unchanged
from tomobayes.web.inputs import FOLLOWERS
from tomobayes.web.job_views import TABS, Tab
from tomobayes.web.parameters_of import PARAMETERS_OF

__all__ = ["ROUTES"]


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
        "stops_between": parameters is None or "max_iter" in parameters.model_fields,
        "stopping": abort_requested(job.folder),
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


ROUTES = [
    Route("/job/{name:path}", job),
    Route("/live/{name:path}", live),
    Route("/stop/{name:path}", stop, methods=["POST"]),
    Route("/delete/{name:path}", delete, methods=["POST"]),
]

"""One job: its views, of which the one on show is swapped while the job runs, and what can be done to it."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tomobayes.project import Job, Status, abort_requested, checkpoints, holder, request_abort, throw_away
from tomobayes.web.cards import running_of
from tomobayes.web.datasets import looks_of
from tomobayes.web.desk import at, job_of, jobs_of, page, the_desk, unchanged
from tomobayes.web.inputs import FOLLOWERS
from tomobayes.web.job_views import TABS, Tab
from tomobayes.web.parameters_of import PARAMETERS_OF

__all__ = ["ROUTES"]

HEAD_MARKS = ("progress.json", "RELION_JOB_ABORT_NOW")


def job(request: Request) -> Response:
    """The page of a job."""
    found, tab = job_of(request), _tab(request)
    return page(request, "job.html", **_head(request, found, tab) | _view(request, found, tab))


def head(request: Request) -> Response:
    """The upper part of that page, how the job is and what can be done to it, unless the browser has seen it as it is."""
    found, tab = job_of(request), _tab(request)
    if _marked(found, HEAD_MARKS) == request.query_params.get("seen"):
        return unchanged()
    return page(request, "job_head.html", **_head(request, found, tab))


def view(request: Request) -> Response:
    """The view on show, unless the browser has seen it as it is."""
    found, tab = job_of(request), _tab(request)
    if _marked(found, tab.marks) == request.query_params.get("seen"):
        return unchanged()
    return page(request, "job_view.html", **_view(request, found, tab))


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


def _tab(request: Request) -> Tab:
    """The view that the address asks for, by default the first of the job."""
    shown = [tab for tab in TABS if tab.shown(job_of(request))]
    key = request.query_params.get("tab", shown[0].key)
    tab = next((tab for tab in shown if tab.key == key), None)
    if tab is None:
        raise HTTPException(404, "There is no such view.")
    return tab


def _head(request: Request, job: Job, tab: Tab) -> dict[str, Any]:
    verb = "" if job.record is None else job.record.verb
    parameters = PARAMETERS_OF.get(verb)
    ended = job.status not in (Status.RUNNING, Status.SCHEDULED) and parameters is not None
    return {
        "job": job,
        "tab": tab,
        "tabs": [other for other in TABS if other.shown(job)],
        "looks": looks_of(job),
        "head_seen": _marked(job, HEAD_MARKS),
        "running": running_of(job),
        "stops_between": parameters is None or "max_iter" in parameters.model_fields,
        "stopping": abort_requested(job.folder),
        "users": [other for other in jobs_of(request) if job.name in other.inputs],
        "followers": FOLLOWERS.get(verb, ()) if job.status is Status.SUCCEEDED else (),
        "can_continue": ended and (job.status is not Status.SUCCEEDED or _goes_back(parameters, job)),
        "can_clone": parameters is not None,
    }


def _view(request: Request, job: Job, tab: Tab) -> dict[str, Any]:
    kept = urlencode([pair for pair in request.query_params.multi_items() if pair[0] not in ("seen", "tab")])
    content = tab.content(job, request)
    running = job.status is Status.RUNNING
    return {
        "job": job,
        "tab": tab,
        "view_seen": _marked(job, tab.marks),
        "kept": f"&{kept}" if kept else "",
        "is_running": running,
        **content,
    }


def _goes_back(parameters: Any, job: Job) -> bool:
    return "from_iteration" in parameters.model_fields and bool(checkpoints(job.folder))


def _marked(job: Job, marks: Iterable[str]) -> str:
    """Changes whenever one of the files does that are named, or the job's state."""
    words = [job.status.value]
    for name in marks:
        path = job.folder / name
        words.append(str(path.stat().st_mtime_ns if path.exists() else 0))
    return hashlib.blake2b(" ".join(words).encode(), digest_size=8).hexdigest()


ROUTES = [
    Route("/job/{name:path}", job),
    Route("/head/{name:path}", head),
    Route("/view/{name:path}", view),
    Route("/stop/{name:path}", stop, methods=["POST"]),
    Route("/delete/{name:path}", delete, methods=["POST"]),
]

"""What every page needs: the project, the templates, and answers to requests that make no sense."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from tomobayes.jobs.log import duration
from tomobayes.project import Job, list_jobs
from tomobayes.report import templates
from tomobayes.web.access import Access

__all__ = ["Desk", "at", "integer", "job_of", "jobs_of", "number", "page", "the_desk", "unchanged"]


@dataclass(frozen=True)
class Desk:
    """One project on show; ``project`` is an absolute path."""

    project: Path
    pages: Environment
    access: Access

    @classmethod
    def of(cls, project: Path, access: Access) -> Desk:
        """The desk of the project in a folder."""
        pages = templates(PackageLoader("tomobayes.web", "templates"))
        pages.filters |= {"at": at, "size": _size, "duration": duration}
        return cls(project.resolve(), pages, access)


def the_desk(request: Request) -> Desk:
    """The desk that a request is put to."""
    desk: Desk = request.app.state.desk
    return desk


def page(request: Request, template: str, status: int = 200, headers: dict[str, str] | None = None, **content: Any) -> HTMLResponse:
    """A page, or a part of one, filled in."""
    desk = the_desk(request)
    text = desk.pages.get_template(template).render(desk=desk, path=request.url.path, **content)
    return HTMLResponse(text, status, {"Cache-Control": "no-store", **(headers or {})})


def unchanged() -> Response:
    """The answer to those who have seen all there is."""
    return Response(status_code=204)


def jobs_of(request: Request) -> tuple[Job, ...]:
    """The jobs of the project, as they are during this request."""
    if not hasattr(request.state, "jobs"):
        request.state.jobs = list_jobs(the_desk(request).project)
    jobs: tuple[Job, ...] = request.state.jobs
    return jobs


def job_of(request: Request) -> Job:
    """The job that a path names; anything else than a job of the project is not found."""
    name = request.path_params["name"].rstrip("/")
    job = next((job for job in jobs_of(request) if job.name == name), None)
    if job is None:
        raise HTTPException(404, "This project has no such job.")
    return job


def integer(request: Request, name: str, low: int, high: int, default: int) -> int:
    """A whole number of the query; one out of range, or something else, is refused."""
    text = _asked(request, name, r"-?\d{1,18}", low, high, "a whole number")
    return default if text is None else int(text)


def number(request: Request, name: str, low: float, high: float, default: float) -> float:
    """A number of the query; one out of range, or something else, is refused."""
    text = _asked(request, name, r"-?\d+(\.\d*)?", low, high, "a number")
    return default if text is None else float(text)


def _asked(request: Request, name: str, form: str, low: float, high: float, what: str) -> str | None:
    text = request.query_params.get(name)
    if text is not None and (re.fullmatch(form, text, re.ASCII) is None or not low <= float(text) <= high):
        raise HTTPException(400, f"{name} must be {what} from {low:.15g} to {high:.15g}.")
    return text


def at(name: str, *parts: str) -> str:
    """An address of something that belongs to a job: ``at("Refine3D/job004", "log")`` is ``/log/Refine3D/job004``."""
    return "/" + quote("/".join([*parts, name]))


def _size(count: float) -> str:
    """Bytes as one says them."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"

"""All pages together, behind the guard."""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from tomobayes.model import BadInput
from tomobayes.web import (
    chimerax_page,
    data_page,
    files,
    form_page,
    graph_page,
    job_page,
    montage_page,
    pick_page,
    project_page,
    series_page,
    tomogram_page,
    volume_page,
)
from tomobayes.web.access import Access, Guard
from tomobayes.web.desk import Desk, page

__all__ = ["application"]

PAGES = (
    project_page,
    graph_page,
    data_page,
    form_page,
    job_page,
    volume_page,
    pick_page,
    series_page,
    montage_page,
    tomogram_page,
    chimerax_page,
    files,
)


def application(project: Path, access: Access) -> Starlette:
    """The application that shows the project in a folder to those whom ``access`` admits."""
    static = Mount("/static", StaticFiles(packages=[("tomobayes.web", "static")]))
    app = Starlette(
        routes=[*(route for module in PAGES for route in module.ROUTES), static],
        middleware=[Middleware(Guard, access=access)],
        exception_handlers={HTTPException: _refused, BadInput: _bad_input},
    )
    app.state.desk = Desk.of(project, access)
    return app


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return page(request, "error.html", error.status_code, sentences=[error.detail])


async def _bad_input(request: Request, error: Exception) -> Response:
    assert isinstance(error, BadInput)
    return page(request, "error.html", 400, sentences=[str(problem) for problem in error.problems])

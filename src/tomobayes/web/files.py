"""Files of jobs, as they are."""

from __future__ import annotations

from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from tomobayes.web.desk import the_desk

__all__ = ["ROUTES", "inside"]

_TEXT = {".star", ".log", ".toml", ".out", ".err", ".txt", ".json"}


def inside(project: Path, path: str) -> Path:
    """A file of the project by its path from there; anything outside, also by way of links or ``..``, and hidden files are refused."""
    if "\0" in path:
        raise HTTPException(400, "This is no path.")
    found = (project / path).resolve()
    if not found.is_relative_to(project):
        raise HTTPException(403, "This file is not in the project.")
    if any(part.startswith(".") for part in found.relative_to(project).parts) or not found.is_file():
        raise HTTPException(404, "There is no such file.")
    return found


def file(request: Request) -> Response:
    """One file; text is shown, reports are pages, everything else is downloaded."""
    path = inside(the_desk(request).project, request.path_params["path"])
    kind = "text/plain; charset=utf-8" if path.suffix in _TEXT else None
    shown = kind or path.suffix in (".html", ".png")
    headers = {"Cache-Control": "no-cache"}
    return FileResponse(
        path, media_type=kind, filename=path.name, content_disposition_type="inline" if shown else "attachment", headers=headers
    )


ROUTES = [Route("/files/{path:path}", file)]

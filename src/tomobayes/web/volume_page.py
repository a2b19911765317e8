"""Maps in three dimensions: the view of a job in which they are turned, and their voxels."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tomobayes.formats.mrc_header import read_header
from tomobayes.model import BadInput
from tomobayes.project import Job
from tomobayes.report import ColourScale
from tomobayes.web.desk import at, integer, jobs_of, the_desk
from tomobayes.web.files import inside
from tomobayes.web.volumes import VolumeFile, kind_of, packed, volumes_of

__all__ = ["ROUTES", "has_maps", "map_view"]

LARGEST = 1024
"""Edge of the largest box that is shown."""


def has_maps(job: Job) -> bool:
    """Whether a job has left a map that can be turned: tomograms and local resolutions alone are none."""
    return any(one.kind != "resolution" for one in volumes_of(job))


def map_view(job: Job, request: Request) -> Mapping[str, Any]:
    """The maps of a job to choose from, and what of the whole project may colour or surround them."""
    own = volumes_of(job)
    shown = [one for one in own if one.kind != "resolution"]
    groups = [(_heading(number), list(group)) for number, group in groupby(shown, key=lambda one: one.iteration)]
    frames = {one.frame for one in shown}
    around = [(kind_of(name), name, path) for name, path in _outputs(request) if path.parent != job.folder and _fits(path, frames)]
    around = [(one.kind, one.path.name, one.path) for one in own if one.kind != "density"] + around
    return {
        "groups": groups,
        "address": lambda one: _address(request, one.path),
        "colourings": [(name, _address(request, path)) for kind, name, path in around if kind == "resolution"],
        "masks": [(name, _address(request, path)) for kind, name, path in around if kind == "mask"],
        "colours": json.dumps(list(ColourScale("", "", 0, 1).bar.colours)),
        "starts_coloured": any(one.kind == "resolution" for one in own),
    }


def volume(request: Request) -> Response:
    """The voxels of a map, z slowest, as whole numbers of 16 bits, and in the header X-Volume what they mean."""
    path = inside(the_desk(request).project, request.path_params["path"])
    if path.suffix != ".mrc":
        raise HTTPException(400, "This is no map.")
    shape = read_header(path).shape  # before anything is read: a tomogram or a stack of images takes many gigabytes
    if len(set(shape)) > 1 or max(shape) > LARGEST:
        raise HTTPException(400, f"This is no map: a cube of at most {LARGEST} voxels along an edge.")
    found = packed(path, smooth=integer(request, "smooth", 0, 1, 1) == 1)
    about = {
        "box": len(found.codes),
        "step": found.step_angstrom,
        "ofBox": found.box,
        "low": found.low,
        "high": found.high,
        "mean": found.mean,
        "deviation": found.deviation,
        "level": found.level,
    }
    headers = {"X-Volume": json.dumps(about), "Cache-Control": "no-cache"}
    return Response(found.codes.tobytes(), media_type="application/octet-stream", headers=headers)


def _heading(iteration: int | None) -> str:
    return "Result" if iteration is None else f"Iteration {iteration}"


def _outputs(request: Request) -> Iterator[tuple[str, Path]]:
    """Local resolutions and masks that jobs of the project hand on, the newest job first."""
    project = the_desk(request).project
    for job in reversed(jobs_of(request)):
        yield from ((node.name, project / node.name) for node in job.outputs if kind_of(node.name) != "density")


def _fits(path: Path, frames: set[str]) -> bool:
    """Whether a map lies on the voxels of one of those shown."""
    try:
        header = read_header(path)
    except BadInput:
        return False
    return VolumeFile(path, header.shape[0], header.pixel_size_angstrom, "", None).frame in frames


def _address(request: Request, path: Path) -> str:
    return at(str(path.relative_to(the_desk(request).project)), "volume")


ROUTES = [Route("/volume/{path:path}", volume)]

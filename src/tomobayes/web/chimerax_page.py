"""A job's maps as a script for ChimeraX."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tomobayes.formats.chimerax_maps import Colouring, OpenedMap, map_script
from tomobayes.project import Job
from tomobayes.report import ColourScale
from tomobayes.web.desk import job_of
from tomobayes.web.volumes import Volume, VolumeFile, packed, volumes_of

__all__ = ["ROUTES"]

MOST_MAPS = 8


def script(request: Request) -> Response:
    """The maps that a job ends with, or else those of its last iteration; half-maps are opened and hidden. Masks, where there is no map."""
    job = job_of(request)
    every = volumes_of(job)
    kind = "density" if any(one.kind == "density" for one in every) else "mask"
    found = [one for one in every if one.kind == kind]
    maps = [one for one in found if one.iteration == found[0].iteration][:MOST_MAPS]
    if not maps:
        raise HTTPException(404, "This job has no maps.")
    opened = [OpenedMap(one.path, packed(one.path, smooth=kind == "density").level, _is_whole(one)) for one in maps]
    resolution = next((one for one in every if one.kind == "resolution" and one.frame == maps[0].frame), None)
    lines = map_script(opened, None if resolution is None else _colouring(resolution.path, maps[0].path))
    headers = {"Content-Disposition": f'attachment; filename="{_name(job)}.cxc"'}
    return PlainTextResponse("\n".join(lines) + "\n", headers=headers)


def _is_whole(map_: VolumeFile) -> bool:
    return "half" not in map_.path.name


def _colouring(resolution: Path, density: Path) -> Colouring:
    """From the 2nd to the 98th percentile of the places where the map is dense."""
    found, where = packed(resolution, smooth=False), packed(density, smooth=True)
    dense = _values(where) > where.level
    values = _values(found)
    low, high = np.percentile(values[dense] if dense.any() else values, [2, 98])
    return Colouring(resolution, float(low), float(max(high, low + 0.1)), ColourScale("", "", 0, 1).bar.colours)


def _values(volume: Volume) -> np.ndarray:
    return volume.low + volume.codes * ((volume.high - volume.low) / 65535)


def _name(job: Job) -> str:
    """The job's, in letters that headers of answers may have."""
    return re.sub(r"[^A-Za-z0-9]", "_", job.name)


ROUTES = [Route("/chimerax/{name:path}", script)]

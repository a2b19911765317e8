"""Particles in the tomogram: where they are, which way they point, coloured by any column."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tomobayes.model import Particles
from tomobayes.web.datasets import around, data_of, series_of
from tomobayes.web.desk import job_of, jobs_of, page
from tomobayes.web.particle_maps import diameter_of

__all__ = ["ROUTES"]

KINDS = 8
"""A column with at most so many values is shown by kind, another by a scale."""
SAMPLE = 1000
MAP_BACK = "map-back"


def tomogram(request: Request) -> Response:
    """The page of one tomogram."""
    job, data = job_of(request), data_of(request)
    index, series = series_of(request, data)
    columns = data.dataset.particles.columns
    colour = request.query_params.get("colour", "rlnClassNumber" if "rlnClassNumber" in columns else "")
    _check(colour, data.dataset.particles)
    return page(
        request,
        "tomogram.html",
        **around(request, data, index),
        size=_size(series.tomogram_size, series.pixel_size_angstrom),
        columns=list(columns),
        colour=colour,
        diameter=diameter_of(request),
        version=data.version,
        mapped=[other for other in jobs_of(request) if job.name in other.inputs and other.type == MAP_BACK],
    )


def placed(request: Request) -> Response:
    """Number, name, place (Å from the tomogram's centre), z axis and value of all particles of one tilt series."""
    data = data_of(request)
    index, series = series_of(request, data)
    colour = request.query_params.get("colour", "")
    table = data.dataset.particles
    _check(colour, table)
    rows = np.flatnonzero(table.tilt_series == index)
    found: dict[str, Any] = {
        "number": (rows + 1).tolist(),
        "name": table.name[rows].tolist(),
        "place": np.round(table.centre_angstrom[rows], 3).tolist(),
        "axis": np.round(table.rotation[rows, :, 2], 5).tolist(),
        "size": _size(series.tomogram_size, series.pixel_size_angstrom),
    }
    return JSONResponse(found | _values(table.columns[colour], rows) if colour else found)


def _check(colour: str, particles: Particles) -> None:
    if colour and colour not in particles.columns:
        raise HTTPException(400, "The particles have no such column.")


def _size(tomogram_size: tuple[int, int, int], pixel_size_angstrom: float) -> list[float]:
    """Edges of the tomogram in Å."""
    return [edge * pixel_size_angstrom for edge in tomogram_size]


def _values(column: NDArray[np.str_], rows: NDArray[np.int64]) -> dict[str, Any]:
    """What particles are coloured by: ``kinds`` and which of them each is, or numbers with where most of all particles' lie.

    Nothing where there is neither: text of many kinds, or no finite number.
    """
    few = np.unique(column[:: 1 + len(column) // SAMPLE])  # text is slow to sort
    kinds = np.unique(column) if len(few) <= KINDS else few
    if len(kinds) <= KINDS:
        return {"kinds": kinds.tolist(), "value": np.searchsorted(kinds, column[rows]).tolist()}
    try:
        numbers = column.astype(np.float64)
    except ValueError:
        return {}
    finite = numbers[np.isfinite(numbers)]
    if not len(finite):
        return {}
    low, high = np.percentile(finite, [2, 98])
    known = [value if np.isfinite(value) else None for value in numbers[rows].tolist()]
    return {"value": known, "low": float(low), "high": float(high)}


ROUTES = [Route("/tomogram/{name:path}", tomogram), Route("/placed/{name:path}", placed)]

"""Particles as one tilt image shows them, each beside the projection of a map at its pose."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tomobayes.model import Dataset
from tomobayes.web.datasets import data_of, looks_of
from tomobayes.web.desk import integer, job_of, number, page
from tomobayes.web.particle_maps import diameter_of, maps_of
from tomobayes.web.particle_panels import OWN_CLASS, Panel, Shown, class_maps, panels_of

__all__ = ["ROUTES"]

Int = NDArray[np.int64]

AT_A_TIME = 24
LOWPASS_ANGSTROM = 30.0


def montage(request: Request) -> Response:
    """One page of particles."""
    job, dataset, maps = job_of(request), data_of(request).dataset, maps_of(request)
    names = [*([OWN_CLASS] if class_maps(dataset, maps) else []), *maps]
    series = integer(request, "series", -1, len(dataset.tilt_series) - 1, -1)
    column, down = _column(request, dataset), bool(integer(request, "down", 0, 1, 0))
    shown, rows = _shown(request, dataset, names), _sorted(dataset, series, column, down)
    pages = max(1, -(-len(rows) // AT_A_TIME))
    at = integer(request, "page", 0, 10**7, 0)
    if at >= pages:
        raise HTTPException(404, "There are not so many particles.")
    some = rows[at * AT_A_TIME : (at + 1) * AT_A_TIME]
    why = _missing(dataset, some, maps)
    return page(
        request,
        "montage.html",
        job=job,
        looks=looks_of(job),
        every=dataset.tilt_series,
        series=series,
        exposures=_exposures(dataset),
        columns=list(dataset.particles.columns),
        sorted_by=column,
        down=down,
        maps=names,
        shown=shown,
        first=at * AT_A_TIME + 1,
        count=len(rows),
        at_page=at,
        pages=pages,
        why=why,
        panels=[] if why else _panels(dataset, some, shown, maps),
        same=urlencode([pair for pair in request.query_params.multi_items() if pair[0] != "page"]),
        may_be_recorded=dataset.particles.stacks is None or not dataset.particles.stacks.premultiplied,
    )


def _column(request: Request, dataset: Dataset) -> str:
    """The column to sort by, "" for the order of the file."""
    column = request.query_params.get("sort", "")
    if column and column not in dataset.particles.columns:
        raise HTTPException(400, "The particles have no such column.")
    return column


def _shown(request: Request, dataset: Dataset, names: list[str]) -> Shown:
    name = request.query_params.get("map", names[0] if names else "")
    if name not in (names or [""]):
        raise HTTPException(400, "This map is none of the job's or of those that fed it.")
    return Shown(
        exposure=integer(request, "exposure", 0, _exposures(dataset) - 1, 0),
        map_name=name,
        lowpass_angstrom=number(request, "lowpass", 1, 10_000, LOWPASS_ANGSTROM),
        diameter_angstrom=diameter_of(request),
        recorded=bool(integer(request, "recorded", 0, 1, 0)),
    )


def _exposures(dataset: Dataset) -> int:
    return max(series.n_tilts for series in dataset.tilt_series)


def _sorted(dataset: Dataset, series: int, column: str, down: bool) -> Int:
    """Rows of the particles of a tilt series (-1: of all) in the order asked for; text is sorted as text, numbers as numbers."""
    table = dataset.particles
    rows = np.arange(len(table)) if series < 0 else np.flatnonzero(table.tilt_series == series)
    if not column:
        return rows[::-1] if down else rows
    values: NDArray[np.generic] = table.columns[column][rows]
    with suppress(ValueError):
        values = values.astype(np.float64)
    order = np.argsort(values, kind="stable")
    return rows[order[::-1] if down else order]


def _missing(dataset: Dataset, rows: Int, maps: Mapping[str, Path]) -> str:
    """Why nothing can be shown, "" where something can."""
    if not len(rows):
        return "There are no particles here."
    if not maps:
        return "Neither this job nor those that fed it left a map to project."
    series = {int(index) for index in dataset.particles.tilt_series[rows]}
    if dataset.particles.stacks is None and any(dataset.tilt_series[index].images is None for index in series):
        return "The tilt images are not at hand."
    return ""


def _panels(dataset: Dataset, rows: Int, shown: Shown, maps: Mapping[str, Path]) -> list[Panel]:
    try:
        return panels_of(dataset, rows, shown, maps)
    except ValueError as error:
        raise HTTPException(400, f"{str(error).capitalize()}.") from None


ROUTES = [Route("/montage/{name:path}", montage)]

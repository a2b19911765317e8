"""Particles as one tilt image shows them, each beside the projection of a map at its pose."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tomobayes.model import Dataset, Map
from tomobayes.report import format_number
from tomobayes.report.pictures import to_grey, to_png
from tomobayes.web.datasets import data_of, diameter_of, looks_of, maps_of
from tomobayes.web.desk import integer, job_of, number, page

if TYPE_CHECKING:
    from tomobayes.imaging.pairs import Pairs

__all__ = ["ROUTES"]

Int = NDArray[np.int64]

AT_A_TIME = 24
LARGEST_PX = 128
LOWPASS_ANGSTROM = 30.0
SPREAD = 3.0
"""Grey values reach so many standard deviations to either side of the mean."""
_TOLD = {
    "rlnAngleRot": "rot", "rlnAngleTilt": "tilt", "rlnAnglePsi": "psi", "rlnClassNumber": "class", "rlnRandomSubset": "half",
    "rlnLogLikeliContribution": "log L", "rlnMaxValueProbDistribution": "max P",
}  # fmt: skip
"""Columns told of every particle, where its file has them."""


@dataclass(frozen=True)
class Panel:
    """One particle: its row from 1, its name, its image as the page of tilt series knows it, the pictures as data, what is told of it."""

    number: int
    name: str
    image: str
    recorded: str
    predicted: str
    correlation: float
    told: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Asked:
    """What the query asks for.

    Parameters
    ----------
    series : place of a tilt series in the list, -1 for all of them
    exposure : which image of a series, from 0 in the order in which they were taken
    sort, down : column to sort by ("" for the order of the file), and whether the largest comes first
    map_name : of the map that is projected, "" where there is none
    recorded : whether images are shown as recorded, not multiplied by the CTF
    """

    series: int
    exposure: int
    sort: str
    down: bool
    page: int
    map_name: str
    lowpass_angstrom: float
    diameter_angstrom: float
    recorded: bool


def montage(request: Request) -> Response:
    """One page of particles."""
    job, dataset, maps = job_of(request), data_of(request).dataset, maps_of(request)
    asked = _asked(request, dataset, maps)
    rows = _sorted(dataset, asked)
    pages = max(1, -(-len(rows) // AT_A_TIME))
    if asked.page >= pages:
        raise HTTPException(404, "There are not so many particles.")
    shown = rows[asked.page * AT_A_TIME : (asked.page + 1) * AT_A_TIME]
    why = _missing(dataset, shown, maps)
    return page(
        request,
        "montage.html",
        job=job,
        looks=looks_of(job),
        asked=asked,
        every=dataset.tilt_series,
        exposures=max(series.n_tilts for series in dataset.tilt_series),
        columns=list(dataset.particles.columns),
        maps=list(maps),
        count=len(rows),
        pages=pages,
        why=why,
        panels=[] if why else _panels(dataset, shown, asked, maps),
        same=urlencode([pair for pair in request.query_params.multi_items() if pair[0] != "page"]),
        may_be_recorded=dataset.particles.stacks is None or not dataset.particles.stacks.premultiplied,
    )


def _asked(request: Request, dataset: Dataset, maps: Mapping[str, Path]) -> Asked:
    sort, map_name = request.query_params.get("sort", ""), request.query_params.get("map", next(iter(maps), ""))
    if sort and sort not in dataset.particles.columns:
        raise HTTPException(400, "The particles have no such column.")
    if map_name and map_name not in maps:
        raise HTTPException(400, "This map is none of the job's or of those that fed it.")
    return Asked(
        series=integer(request, "series", -1, len(dataset.tilt_series) - 1, -1),
        exposure=integer(request, "exposure", 0, max(series.n_tilts for series in dataset.tilt_series) - 1, 0),
        sort=sort,
        down=bool(integer(request, "down", 0, 1, 0)),
        page=integer(request, "page", 0, 10**7, 0),
        map_name=map_name,
        lowpass_angstrom=number(request, "lowpass", 1, 10_000, LOWPASS_ANGSTROM),
        diameter_angstrom=diameter_of(request),
        recorded=bool(integer(request, "recorded", 0, 1, 0)),
    )


def _sorted(dataset: Dataset, asked: Asked) -> Int:
    """Rows of the particles that are asked for, in the order asked for; text is sorted as text, numbers as numbers."""
    table = dataset.particles
    rows = np.arange(len(table)) if asked.series < 0 else np.flatnonzero(table.tilt_series == asked.series)
    if not asked.sort:
        return rows[::-1] if asked.down else rows
    values: NDArray[np.generic] = table.columns[asked.sort][rows]
    with suppress(ValueError):
        values = values.astype(np.float64)
    order = np.argsort(values, kind="stable")
    return rows[order[::-1] if asked.down else order]


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


def _panels(dataset: Dataset, rows: Int, asked: Asked, maps: Mapping[str, Path]) -> list[Panel]:
    from tomobayes.imaging.pairs import pairs_in
    from tomobayes.particles.rows import with_rows

    path, tilts = maps[asked.map_name], _tilts(dataset, rows, asked.exposure)
    few, places = dataset, rows
    if dataset.particles.stacks is None:  # what is done to all particles of a set is then not done to a million of them
        few, places = with_rows(dataset, rows), np.arange(len(rows))
    options = {"lowpass_angstrom": asked.lowpass_angstrom, "diameter_angstrom": asked.diameter_angstrom}
    try:
        pairs = pairs_in(few, places, tilts, _map(path, path.stat().st_mtime_ns), **options, modulated=not asked.recorded)
    except ValueError as error:
        raise HTTPException(400, f"{str(error).capitalize()}.") from None
    return [_panel(dataset, row, tilt, pairs, place) for place, (row, tilt) in enumerate(zip(rows.tolist(), tilts.tolist(), strict=True))]


def _tilts(dataset: Dataset, rows: Int, exposure: int) -> Int:
    """(P,) the tilt in which each particle is shown; series with fewer exposures show their last."""
    order = {}
    for index in set(dataset.particles.tilt_series[rows].tolist()):
        by_dose = np.argsort(dataset.tilt_series[index].dose, kind="stable")
        order[index] = int(by_dose[min(exposure, len(by_dose) - 1)])
    return np.array([order[index] for index in dataset.particles.tilt_series[rows].tolist()], dtype=np.int64)


def _panel(dataset: Dataset, row: int, tilt: int, pairs: Pairs, place: int) -> Panel:
    table = dataset.particles
    told = [(label, _short(str(table.columns[column][row]))) for column, label in _TOLD.items() if column in table.columns]
    recorded, predicted = (_picture(images[place]) for images in (pairs.recorded, pairs.predicted))
    image = urlencode({"series": int(table.tilt_series[row]), "tilt": tilt})
    return Panel(row + 1, str(table.name[row]), image, recorded, predicted, float(pairs.correlation[place]), told)


def _short(cell: str) -> str:
    """A cell of the particle file as one reads it."""
    try:
        return format_number(float(cell), 4)
    except ValueError:
        return cell


def _picture(image: NDArray[np.float32]) -> str:
    from tomobayes.imaging.reduced import reduced

    small = reduced(image, LARGEST_PX)[0]
    middle, spread = float(small.mean()), SPREAD * float(small.std())
    return "data:image/png;base64," + base64.b64encode(to_png(to_grey(small, middle - spread, middle + spread))).decode()


@lru_cache(maxsize=4)
def _map(path: Path, modified: int) -> Map:
    from tomobayes.formats.mrc import read_map

    return read_map(path)


ROUTES = [Route("/montage/{name:path}", montage)]

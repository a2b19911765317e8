"""Tilt series: one image after the other, with the particles where the geometry puts them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tomobayes.model import TiltSeries
from tomobayes.report.figures import tilt_angle_degrees
from tomobayes.web.datasets import Data, around, data_of, series_of
from tomobayes.web.desk import integer, number, page
from tomobayes.web.particle_maps import diameter_of
from tomobayes.web.tilt_pictures import Look, extent, picture

__all__ = ["ROUTES"]

LOWPASS_ANGSTROM, PERCENT = 0.0, 0.5
KEEP = {"Cache-Control": "private, max-age=86400"}
"""Addresses of pictures and places name the version of the data, so a browser may keep what it has."""


@dataclass(frozen=True)
class TiltRow:
    """One line of the table of tilts; ``rank`` is its place in the order of exposure, from 1."""

    tilt: int
    rank: int
    angle_degrees: float
    dose: float
    defocus_u_um: float
    defocus_v_um: float
    astigmatism_degrees: float
    scale: float
    shift_x_angstrom: float
    shift_y_angstrom: float
    seen: int
    left_out: bool


def series_page(request: Request) -> Response:
    """The page of a job's tilt series, one of them opened at one of its images: by default the least tilted."""
    data = data_of(request)
    index, series = series_of(request, data)
    tilt = integer(request, "tilt", 0, series.n_tilts - 1, int(np.abs(tilt_angle_degrees(series)).argmin()))
    return page(
        request,
        "series.html",
        **around(request, data, index),
        tilt=tilt,
        rows=_rows(data, index, diameter_of(request)),
        shown=extent(series),
        diameter=diameter_of(request),
        look=_look(request),
        version=data.version,
    )


def tilt_picture(request: Request) -> Response:
    """One tilt image."""
    data = data_of(request)
    index, series = series_of(request, data)
    image = picture(data, index, integer(request, "tilt", 0, series.n_tilts - 1, 0), _look(request))
    if image is None:
        raise HTTPException(404, "The images of this tilt series are not at hand.")
    return Response(image, media_type="image/jpeg", headers=KEEP)


def places(request: Request) -> Response:
    """Number, name, place (x, y in pixels of the image), defocus (µm) and visibility of all particles in one image."""
    from tomobayes.imaging.seen import seen_in

    data = data_of(request)
    index, series = series_of(request, data)
    radius = diameter_of(request) / 2 / series.pixel_size_angstrom
    seen = seen_in(data.dataset, index, integer(request, "tilt", 0, series.n_tilts - 1, 0), radius)
    found: dict[str, Any] = {"number": (seen.particles + 1).tolist(), "name": data.dataset.particles.name[seen.particles].tolist()}
    if seen.position_px is not None:
        found |= {axis: np.round(seen.position_px[:, at], 7).tolist() for at, axis in enumerate("xy")}
    found |= {"defocus": np.round(seen.defocus_angstrom / 1e4, 5).tolist(), "visible": seen.visible.tolist()}
    return JSONResponse(found, headers=KEEP)


def _look(request: Request) -> Look:
    return Look(number(request, "lowpass", 0, 10_000, LOWPASS_ANGSTROM), number(request, "percent", 0, 20, PERCENT))


def _rows(data: Data, index: int, diameter_angstrom: float) -> list[TiltRow]:
    from tomobayes.imaging.seen import times_seen

    series = data.dataset.tilt_series[index]
    seen = times_seen(data.dataset, index, diameter_angstrom / 2 / series.pixel_size_angstrom)
    return [_row(series, tilt, int(seen[tilt])) for tilt in np.argsort(tilt_angle_degrees(series)).tolist()]


def _row(series: TiltSeries, tilt: int, seen: int) -> TiltRow:
    rank = np.argsort(np.argsort(series.dose, kind="stable"), kind="stable")
    return TiltRow(
        tilt,
        int(rank[tilt]) + 1,
        round(float(tilt_angle_degrees(series)[tilt]), 2) + 0.0,  # + 0.0: no "-0.00"
        float(series.dose[tilt]),
        float(series.defocus_u_angstrom[tilt]) / 1e4,
        float(series.defocus_v_angstrom[tilt]) / 1e4,
        float(np.degrees(series.astigmatism_radians[tilt])),
        float(series.scale[tilt]),
        float(series.shift_angstrom[tilt, 0]),
        float(series.shift_angstrom[tilt, 1]),
        seen,
        bool(series.scale[tilt] == 0),
    )


ROUTES = [
    Route("/series/{name:path}", series_page),
    Route("/tilt/{name:path}", tilt_picture),
    Route("/places/{name:path}", places),
]

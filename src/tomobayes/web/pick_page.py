"""Particles chosen by hand: with a lasso over two columns, or by the maps of their classes; both end in a job of ``select``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tomobayes.project import Job
from tomobayes.report import Section, Slices, drawn_sections
from tomobayes.web.desk import job_of, page, the_desk
from tomobayes.web.iterations import iterations_of, map_items
from tomobayes.web.particle_columns import CLASS, number_columns

__all__ = ["ROUTES", "pick_view"]

FIRST_LOOK = (
    ("rlnMaxValueProbDistribution", "rlnLogLikeliContribution"),
    ("tomobayesSigmaAngle", "tomobayesSigmaOriginAngst"),
    ("rlnCenteredCoordinateXAngst", "rlnCenteredCoordinateYAngst"),
    ("rlnCoordinateX", "rlnCoordinateY"),
)
"""Pairs of columns of which the first that is there, and not everywhere the same, is drawn at first."""


@dataclass(frozen=True)
class ClassCard:
    """One class: how many particles it has, and what its map looks like, as SVG markup."""

    number: int
    particles: int
    share: float
    pictures: tuple[str, ...]


def pick_view(job: Job, request: Request) -> Mapping[str, Any]:
    """Nothing but the job: the page asks for columns and classes itself, for they may take a moment."""
    return {}


def columns(request: Request) -> Response:
    """Without a query, which columns there are and which to begin with; else the values of two of them, one after the other."""
    found = number_columns(job_of(request), the_desk(request).project)
    asked = [request.query_params.get(axis) for axis in ("x", "y")]
    if asked == [None, None]:
        various = [label for label, values in found.items() if len(values) and np.ptp(values) > 0]
        first = next((pair for pair in FIRST_LOOK if set(pair) <= set(various)), tuple(various + list(found))[:2])
        return JSONResponse({"labels": list(found), "first": first, "particles": len(next(iter(found.values()), ()))})
    if any(label not in found for label in asked):
        raise HTTPException(400, "The particles have no such column of numbers.")
    values = np.concatenate([found[label] for label in asked if label is not None]).astype("<f8")
    return Response(values.tobytes(), media_type="application/octet-stream", headers={"Cache-Control": "no-store"})


def classes(request: Request) -> Response:
    """The classes of a job's particles as cards; nothing where there is but one."""
    job = job_of(request)
    found = number_columns(job, the_desk(request).project)
    cards = list(_cards(job, found[CLASS].astype(np.int64))) if CLASS in found else []
    return page(request, "classes.html", job=job, cards=cards if len(cards) > 1 else [])


def _cards(job: Job, of_particles: np.ndarray) -> Iterator[ClassCard]:
    last = next((one.maps for one in reversed(iterations_of(job.folder)) if one.maps), ())
    for number, count in zip(*np.unique(of_particles, return_counts=True), strict=True):
        candidates = [job.folder / f"run_class{number:03d}.mrc", *(path for path in last if path.stem.endswith(f"_class{number:03d}"))]
        path = next((path for path in candidates if path.is_file()), None)
        yield ClassCard(int(number), int(count), float(count / len(of_particles)), _pictures(path))


def _pictures(path: Path | None) -> tuple[str, ...]:
    """The middle slice of a map and its projection, both along z."""
    items = () if path is None else map_items(path)
    seen = [item for item in items if isinstance(item, Slices)]
    one_each = [Slices(item.title, item.name, {"xy": item.images["xy"]}, item.pixel_size_angstrom) for item in seen]
    return tuple(markup for drawn in drawn_sections([Section("", one_each)])[0].items for _, markup in drawn.panels)


ROUTES = [Route("/columns/{name:path}", columns), Route("/classes/{name:path}", classes)]

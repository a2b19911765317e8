"""The project: its jobs as cards, the newest first."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tomobayes.project import Job, list_jobs
from tomobayes.web.cards import card_of
from tomobayes.web.desk import integer, job_of, page, the_desk, unchanged
from tomobayes.web.launches import Launch, forget, launches

__all__ = ["ROUTES"]

AT_A_TIME = 40
"""Cards that are made at once; more come as one scrolls to them."""


def project(request: Request) -> Response:
    """The page of the project."""
    desk = the_desk(request)
    jobs, begun = list_jobs(desk.project)[::-1], launches(desk.project)
    return page(request, "project.html", seen=_signature(jobs, begun), count=len(jobs), launches=begun, **_cards(jobs, 0))


def more_cards(request: Request) -> Response:
    """Further cards, from a place in the list on."""
    start = integer(request, "start", 0, 10**6, 0)
    return page(request, "cards.html", **_cards(list_jobs(the_desk(request).project)[::-1], start))


def one_card(request: Request) -> Response:
    """A card anew, while its job runs."""
    return page(request, "card.html", card=card_of(job_of(request)))


def news(request: Request) -> Response:
    """Has the browser load the project anew where there are other jobs, or jobs in another state, than it has seen."""
    project = the_desk(request).project
    if _signature(list_jobs(project)[::-1], launches(project)) == request.query_params.get("seen"):
        return unchanged()
    return Response(headers={"HX-Refresh": "true"})


def dismiss(request: Request) -> Response:
    """Forget a start that came to nothing."""
    if not forget(the_desk(request).project, request.path_params["key"]):
        raise HTTPException(404, "There is no such start.")
    return Response(headers={"HX-Redirect": "/"})


def elsewhere(request: Request) -> Response:
    """A link that lets another browser in, once."""
    token = the_desk(request).access.new_token()
    return page(request, "elsewhere.html", link=f"{request.url.scheme}://{request.url.netloc}/?token={token}")


def _cards(jobs: Sequence[Job], start: int) -> dict[str, Any]:
    shown = jobs[start : start + AT_A_TIME]
    return {"cards": [card_of(job) for job in shown], "following": start + AT_A_TIME if start + AT_A_TIME < len(jobs) else None}


def _signature(jobs: Sequence[Job], begun: Sequence[Launch]) -> str:
    """Which jobs there are, and in what state."""
    words = [f"{job.name} {job.status.value}" for job in jobs] + [f"{launch.key} {launch.running}" for launch in begun]
    return hashlib.blake2b("\n".join(words).encode(), digest_size=8).hexdigest()


ROUTES = [
    Route("/", project),
    Route("/cards", more_cards),
    Route("/card/{name:path}", one_card),
    Route("/news", news),
    Route("/starts/{key}/dismiss", dismiss, methods=["POST"]),
    Route("/elsewhere", elsewhere, methods=["POST"]),
]

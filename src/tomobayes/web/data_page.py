"""What there is to look at: jobs that leave particles with tilt series, the newest first."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tomobayes.web.datasets import looks_of
from tomobayes.web.desk import jobs_of, page

__all__ = ["ROUTES"]


def sets(request: Request) -> Response:
    """The page of all data sets of the project."""
    return page(request, "data.html", rows=[(job, looks) for job in reversed(jobs_of(request)) if (looks := looks_of(job))])


ROUTES = [Route("/data", sets)]

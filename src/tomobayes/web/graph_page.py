"""The graph of what fed what."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tomobayes.project import list_jobs
from tomobayes.report import Box, draw_graph
from tomobayes.web.desk import at, page, the_desk

__all__ = ["ROUTES"]


def graph(request: Request) -> Response:
    """The page of the graph."""
    jobs = list_jobs(the_desk(request).project)
    boxes = [
        Box(job.name, job.alias or job.type, f"{job.name} · {job.status.value}", job.status.name.lower(), job.inputs, at(job.name, "job"))
        for job in jobs
    ]
    return page(request, "graph.html", count=len(jobs), graph=draw_graph(boxes))


ROUTES = [Route("/graph", graph)]

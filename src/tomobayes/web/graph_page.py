"""The graph of what fed what."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tomobayes.project import list_jobs
from tomobayes.web.desk import page, the_desk
from tomobayes.web.graph import draw_graph

__all__ = ["ROUTES"]


def graph(request: Request) -> Response:
    """The page of the graph."""
    jobs = list_jobs(the_desk(request).project)
    return page(request, "graph.html", count=len(jobs), graph=draw_graph(jobs))


ROUTES = [Route("/graph", graph)]

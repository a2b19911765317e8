"""Which job fed which, drawn from left to right: a job stands one column to the right of the last job it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tomobayes.project import Job
from tomobayes.report.svg import Canvas, add, canvas, text, titled, to_text
from tomobayes.web.desk import at

__all__ = ["Place", "draw_graph", "places_of"]

BOX, GAP = (190.0, 46.0), (64.0, 18.0)
MARGIN = 12.0


@dataclass(frozen=True)
class Place:
    """Column and row of a job."""

    column: int
    row: int


def places_of(jobs: Sequence[Job]) -> dict[str, Place]:
    """Where each job stands: jobs are placed beside what feeds them, in the order in which they were made where that leaves a choice."""
    depth: dict[str, int] = {}
    inputs = {job.name: [name for name in job.inputs if name != job.name] for job in jobs}
    for job in jobs:
        _deepen(job.name, inputs, depth)
    columns: dict[int, list[str]] = {}
    for job in jobs:
        columns.setdefault(depth[job.name], []).append(job.name)
    places: dict[str, Place] = {}
    for column in sorted(columns):
        taken: set[int] = set()
        for name in sorted(columns[column], key=lambda name: _wanted(name, inputs, places)):
            row = round(_wanted(name, inputs, places))
            while row in taken:
                row += 1
            taken.add(row)
            places[name] = Place(column, row)
    return places


def draw_graph(jobs: Sequence[Job]) -> str:
    """The graph as SVG markup; each job is a link to its page."""
    places = places_of(jobs)
    width = MARGIN * 2 + (1 + max((place.column for place in places.values()), default=0)) * (BOX[0] + GAP[0]) - GAP[0]
    height = MARGIN * 2 + (1 + max((place.row for place in places.values()), default=0)) * (BOX[1] + GAP[1]) - GAP[1]
    drawing = canvas(width, height, "Which job fed which")
    drawing.set("style", f"width:{width:.0f}px")
    for job in jobs:
        for name in job.inputs:
            if name in places:
                _draw_edge(drawing, places[name], places[job.name])
    for job in jobs:
        _draw_job(drawing, job, places[job.name])
    return to_text(drawing)


def _deepen(name: str, inputs: Mapping[str, Sequence[str]], depth: dict[str, int]) -> None:
    """Find the column of a job after those of its inputs, without recursion: chains of hundreds of jobs are common."""
    stack = [name]
    while stack:
        last = stack[-1]
        open_inputs = [other for other in inputs.get(last, ()) if other not in depth and other not in stack]
        if open_inputs:
            stack += open_inputs
            continue
        depth[last] = 1 + max((depth.get(other, -1) for other in inputs.get(last, ())), default=-1)
        stack.pop()


def _wanted(name: str, inputs: Mapping[str, Sequence[str]], places: Mapping[str, Place]) -> float:
    """The mean row of a job's inputs."""
    rows = [places[other].row for other in inputs[name] if other in places]
    return sum(rows) / len(rows) if rows else 0.0


def _corner(place: Place) -> tuple[float, float]:
    return MARGIN + place.column * (BOX[0] + GAP[0]), MARGIN + place.row * (BOX[1] + GAP[1])


def _draw_edge(drawing: Canvas, start: Place, end: Place) -> None:
    x1, y1 = _corner(start)
    x2, y2 = _corner(end)
    x1, y1, y2 = x1 + BOX[0], y1 + BOX[1] / 2, y2 + BOX[1] / 2
    bend = max(GAP[0] / 2, (x2 - x1) / 2)
    path = f"M{x1:.0f},{y1:.0f} C{x1 + bend:.0f},{y1:.0f} {x2 - bend:.0f},{y2:.0f} {x2:.0f},{y2:.0f}"
    add(drawing, "path", "edge", d=path)


def _draw_job(drawing: Canvas, job: Job, place: Place) -> None:
    x, y = _corner(place)
    link = add(drawing, "a", f"node {job.status.name.lower()}", href=at(job.name, "job"))
    add(link, "rect", "box", x=x, y=y, width=BOX[0], height=BOX[1], rx=7)
    add(link, "rect", "light", x=x, y=y + 8, width=4, height=BOX[1] - 16, rx=2)
    text(link, _short(job.alias or job.type), x + 16, y + 20, "node-name")
    text(link, f"{_short(job.name)} · {job.status.value}", x + 16, y + 37, "node-about")
    titled(link, f"{job.name}, {job.status.value}")


def _short(words: str, at_most: int = 24) -> str:
    return words if len(words) <= at_most else words[: at_most - 1] + "…"

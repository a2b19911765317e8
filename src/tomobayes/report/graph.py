"""What fed what, drawn from left to right: a box stands one column to the right of the last one it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from tomobayes.report.svg import Canvas, add, canvas, text, titled, to_text

__all__ = ["Box", "Place", "draw_graph", "places_of"]

Key = str | tuple[str, int]

SIZE, GAP = (190.0, 46.0), (64.0, 18.0)
MARGIN = 12.0


@dataclass(frozen=True)
class Box:
    """One box of the graph.

    Parameters
    ----------
    name : identifies it
    title, about : its two lines
    state : CSS class that colours it
    inputs : names of those that feed it
    href : where a click leads
    """

    name: str
    title: str
    about: str
    state: str
    inputs: Sequence[str]
    href: str


@dataclass(frozen=True)
class Place:
    """Column and row of a box."""

    column: int
    row: int


def places_of(boxes: Sequence[Box]) -> dict[Key, Place]:
    """Where each box stands: beside what feeds it, in the given order where that leaves a choice.

    Lines that pass a column have a place of their own there, lest they run behind its boxes: (name of the box they come from, column).
    """
    inputs = {box.name: [name for name in box.inputs if name != box.name] for box in boxes}
    depth: dict[str, int] = {}
    columns: dict[int, list[Key]] = {}
    for box in boxes:
        _deepen(box.name, inputs, depth)
        columns.setdefault(depth[box.name], []).append(box.name)
    for source, last in _farthest(inputs, depth).items():
        for column in range(depth[source] + 1, last):
            columns.setdefault(column, []).append((source, column))
    places: dict[Key, Place] = {}
    for column in sorted(columns):
        wanted = {key: _wanted(inputs[key] if isinstance(key, str) else [_before(key, depth)], places) for key in columns[column]}
        taken: set[int] = set()
        for key in sorted(wanted, key=lambda key: (not isinstance(key, str), wanted[key])):
            row = next(row for row in count(round(wanted[key])) if row not in taken)
            taken.add(row)
            places[key] = Place(column, row)
    return places


def draw_graph(boxes: Sequence[Box]) -> str:
    """The graph as SVG markup; each box is a link."""
    places = places_of(boxes)
    columns, rows = (1 + max((getattr(place, axis) for place in places.values()), default=0) for axis in ("column", "row"))
    width, height = (2 * MARGIN + n * (size + gap) - gap for n, size, gap in zip((columns, rows), SIZE, GAP, strict=True))
    drawing = canvas(width, height, "What fed what")
    drawing.set("style", f"width:{width:.0f}px")
    for box in boxes:
        for name in box.inputs:
            if name in places:
                _draw_edge(drawing, name, box.name, places)
    for box in boxes:
        _draw_box(drawing, box, places[box.name])
    return to_text(drawing)


def _deepen(name: str, inputs: Mapping[str, Sequence[str]], depth: dict[str, int]) -> None:
    """Find the column of a box after those of its inputs; without recursion, for chains may be long."""
    stack = [name]
    while stack:
        last = stack[-1]
        open_inputs = [other for other in inputs.get(last, ()) if other not in depth and other not in stack]
        if open_inputs:
            stack += open_inputs
            continue
        depth[last] = 1 + max((depth.get(other, -1) for other in inputs.get(last, ())), default=-1)
        stack.pop()


def _farthest(inputs: Mapping[str, Sequence[str]], depth: Mapping[str, int]) -> dict[str, int]:
    """The last column that each box feeds."""
    last: dict[str, int] = {}
    for name, sources in inputs.items():
        for source in sources:
            if source in depth:
                last[source] = max(last.get(source, 0), depth[name])
    return last


def _before(key: tuple[str, int], depth: Mapping[str, int]) -> Key:
    """What a line comes from when it passes a column: its place in the column before, or its box."""
    source, column = key
    return source if depth[source] == column - 1 else (source, column - 1)


def _wanted(inputs: Sequence[Key], places: Mapping[Key, Place]) -> float:
    """The mean row of what feeds a box."""
    rows = [places[other].row for other in inputs if other in places]
    return sum(rows) / len(rows) if rows else 0.0


def _corner(place: Place) -> tuple[float, float]:
    return MARGIN + place.column * (SIZE[0] + GAP[0]), MARGIN + place.row * (SIZE[1] + GAP[1])


def _draw_edge(drawing: Canvas, source: str, target: str, places: Mapping[Key, Place]) -> None:
    """A line from box to box that bends between columns only."""
    passed = [places[source, column] for column in range(places[source].column + 1, places[target].column)]
    corners = [_corner(place) for place in (places[source], *passed, places[target])]
    y = corners[0][1] + SIZE[1] / 2
    path = f"M{corners[0][0] + SIZE[0]:.0f},{y:.0f}"
    for at, (x, top) in enumerate(corners[1:], start=1):
        middle, below = x - GAP[0] / 2, top + SIZE[1] / 2
        path += f" C{middle:.0f},{y:.0f} {middle:.0f},{below:.0f} {x:.0f},{below:.0f}"
        path += f" H{x + SIZE[0]:.0f}" if at < len(corners) - 1 else ""
        y = below
    add(drawing, "path", "edge", d=path)


def _draw_box(drawing: Canvas, box: Box, place: Place) -> None:
    x, y = _corner(place)
    link = add(drawing, "a", f"node {box.state}", href=box.href)
    add(link, "rect", "box", x=x, y=y, width=SIZE[0], height=SIZE[1], rx=7)
    add(link, "rect", "light", x=x, y=y + 8, width=4, height=SIZE[1] - 16, rx=2)
    text(link, _short(box.title), x + 16, y + 20, "node-name")
    text(link, _short(box.about), x + 16, y + 37, "node-about")
    titled(link, f"{box.title}, {box.about}")


def _short(words: str, at_most: int = 26) -> str:
    return words if len(words) <= at_most else words[: at_most - 1] + "…"

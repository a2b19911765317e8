"""The sphere of directions on a flat page: Hammer's equal-area projection, as SVG."""

from __future__ import annotations

import math

from tomobayes.report.content import Directions
from tomobayes.report.svg import Canvas, add, canvas, text, titled, to_text

__all__ = ["draw_directions", "hammer"]

SCALE = 100.0
WIDTH, HEIGHT = 640.0, 352.0
CENTRE_X, CENTRE_Y = WIDTH / 2, 168.0
N_SHADES = 9


def hammer(longitude: float, latitude: float) -> tuple[float, float]:
    """Hammer's projection of a point (radians): x within ±2√2, y within ±√2, areas kept."""
    scale = math.sqrt(2 / (1 + math.cos(latitude) * math.cos(longitude / 2)))
    return 2 * scale * math.cos(latitude) * math.sin(longitude / 2), scale * math.sin(latitude)


def draw_directions(directions: Directions) -> str:
    """The counts as shades on the sphere, z up, with a scale."""
    drawing = canvas(WIDTH, HEIGHT, directions.title)
    n_rows, n_columns = directions.counts.shape
    highest = max(int(directions.counts.max(initial=0)), 1)
    add(drawing, "ellipse", "globe", cx=CENTRE_X, cy=CENTRE_Y, rx=2 * math.sqrt(2) * SCALE, ry=math.sqrt(2) * SCALE)
    for row in range(n_rows):
        for column in range(n_columns):
            count = int(directions.counts[row, column])
            if count:
                cell = add(drawing, "polygon", _shade(count, highest), points=_outline(row, column, n_rows, n_columns))
                titled(cell, _words(row, column, n_rows, n_columns, count))
    _draw_graticule(drawing)
    _draw_scale(drawing, highest)
    return to_text(drawing)


def _shade(count: int, highest: int) -> str:
    return f"shade h{math.ceil(N_SHADES * count / highest)}"


def _latitude(row: float, n_rows: int) -> float:
    """Latitude of the upper edge of a row: rows are equally high in cos(tilt) = sin(latitude)."""
    return math.asin(max(-1.0, 1 - 2 * row / n_rows))


def _place(longitude: float, latitude: float) -> str:
    x, y = hammer(longitude, latitude)
    return f"{CENTRE_X + SCALE * x:.1f},{CENTRE_Y - SCALE * y:.1f}"


def _outline(row: int, column: int, n_rows: int, n_columns: int) -> str:
    left, right = (math.pi * (2 * edge / n_columns - 1) for edge in (column, column + 1))
    upper, lower = _latitude(row, n_rows), _latitude(row + 1, n_rows)
    middle = (left + right) / 2
    corners = [(left, upper), (middle, upper), (right, upper), (right, lower), (middle, lower), (left, lower)]
    return " ".join(_place(*corner) for corner in corners)


def _words(row: int, column: int, n_rows: int, n_columns: int, count: int) -> str:
    tilts = [90 - math.degrees(_latitude(edge, n_rows)) for edge in (row, row + 1)]
    rots = [360 * edge / n_columns - 180 for edge in (column, column + 1)]
    particles = "particle" if count == 1 else "particles"
    return f"{count} {particles}: rot {rots[0]:.0f} to {rots[1]:.0f}°, tilt {tilts[0]:.0f} to {tilts[1]:.0f}°".replace("-", "−")


def _draw_graticule(drawing: Canvas) -> None:
    for degrees in range(-120, 121, 60):
        line = [(math.radians(degrees), math.radians(latitude)) for latitude in range(-90, 91, 6)]
        add(drawing, "polyline", "graticule", points=" ".join(_place(*point) for point in line))
    for degrees in (-45, 0, 45):
        line = [(math.radians(longitude), math.radians(degrees)) for longitude in range(-180, 181, 6)]
        add(drawing, "polyline", "graticule", points=" ".join(_place(*point) for point in line))
    text(drawing, "tilt 0°", CENTRE_X, 12, "tick-label", "middle")
    text(drawing, "tilt 180°", CENTRE_X, 2 * CENTRE_Y - 3, "tick-label", "middle")
    for degrees, anchor in ((-180, "end"), (180, "start")):
        x, y = (float(part) for part in _place(math.radians(degrees), 0.0).split(","))
        text(drawing, f"{degrees}°".replace("-", "−"), x + (-2 if anchor == "end" else 2), y + 4, "tick-label", anchor)


def _draw_scale(drawing: Canvas, highest: int) -> None:
    width, x, y = 14.0, CENTRE_X - N_SHADES * 7.0, HEIGHT - 11
    text(drawing, "1", x - 6, y + 9, "tick-label", "end")
    for shade in range(1, N_SHADES + 1):
        add(drawing, "rect", f"shade h{shade}", x=x + (shade - 1) * width, y=y, width=width, height=9)
    text(drawing, f"{highest} particles per cell", x + N_SHADES * width + 6, y + 9, "tick-label")

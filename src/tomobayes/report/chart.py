"""Curves, points and bars over a pair of axes, as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tomobayes.report.content import Axis, Chart, Series
from tomobayes.report.svg import Canvas, add, canvas, text, titled, to_text
from tomobayes.report.ticks import format_number, nice_range, nice_ticks, resolution_ticks

__all__ = ["N_COLOURS", "draw_chart"]

N_COLOURS = 6
WIDTH, HEIGHT = 640.0, 330.0
LEFT, RIGHT, TOP, BOTTOM = 64.0, 16.0, 14.0, 48.0
TICK_SEPARATION = 46.0
FEW_POINTS = 30


@dataclass(frozen=True)
class Plane:
    """The mapping from the data's ranges to the drawing's points."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float

    def x(self, value: float) -> float:
        """Horizontal place of a value."""
        return LEFT + (value - self.x_low) / (self.x_high - self.x_low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Vertical place of a value; values beyond the axis stay on its edge."""
        share = min(max((value - self.y_low) / (self.y_high - self.y_low), 0.0), 1.0)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def draw_chart(chart: Chart) -> str:
    """The chart as SVG markup; colours come from the page, by class."""
    drawing = canvas(WIDTH, HEIGHT, chart.title)
    plane = _plane(chart)
    _draw_x_axis(drawing, plane, chart.x)
    _draw_y_axis(drawing, plane, chart.y)
    for level in chart.levels:
        height = plane.y(level.value)
        add(drawing, "line", "level", x1=LEFT, x2=WIDTH - RIGHT, y1=height, y2=height)
        text(drawing, level.label, WIDTH - RIGHT - 4, height - 5, "level-label", "end")
    for index, series in enumerate(chart.series):
        group = add(drawing, "g", f"series c{index % N_COLOURS + 1}")
        _draw_series(group, plane, chart, series)
    return to_text(drawing)


def _plane(chart: Chart) -> Plane:
    x_low, x_high = _range(chart.x, [value for series in chart.series for value in series.x])
    bars = any(series.style == "bars" for series in chart.series)
    heights = [value for series in chart.series for value in series.y] + [level.value for level in chart.levels]
    y_low, y_high = nice_range(*_range(chart.y, [*heights, 0.0] if bars else heights), at_most=5)
    return Plane(x_low, x_high, y_low if chart.y.low is None else chart.y.low, y_high if chart.y.high is None else chart.y.high)


def _range(axis: Axis, values: Sequence[float]) -> tuple[float, float]:
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low = min(finite) if axis.low is None else axis.low
    high = max(finite) if axis.high is None else axis.high
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _draw_x_axis(drawing: Canvas, plane: Plane, axis: Axis) -> None:
    base = HEIGHT - BOTTOM
    if axis.scale == "resolution":
        separation = TICK_SEPARATION / (WIDTH - LEFT - RIGHT) * (plane.x_high - plane.x_low)
        ticks = [(value, format_number(1 / value)) for value in resolution_ticks(plane.x_low, plane.x_high, separation)]
    else:
        values = nice_ticks(plane.x_low, plane.x_high, 9)
        ticks = [(value, format_number(value)) for value in values if axis.scale == "linear" or value == round(value)]
    for value, label in ticks:
        add(drawing, "line", "tick", x1=plane.x(value), x2=plane.x(value), y1=base, y2=base + 5)
        text(drawing, label, plane.x(value), base + 19, "tick-label", "middle")
    add(drawing, "line", "axis", x1=LEFT, x2=WIDTH - RIGHT, y1=base, y2=base)
    text(drawing, _with_unit(axis), (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "axis-label", "middle")


def _draw_y_axis(drawing: Canvas, plane: Plane, axis: Axis) -> None:
    for value in nice_ticks(plane.y_low, plane.y_high, 7):
        add(drawing, "line", "grid", x1=LEFT, x2=WIDTH - RIGHT, y1=plane.y(value), y2=plane.y(value))
        text(drawing, format_number(value), LEFT - 9, plane.y(value) + 4, "tick-label", "end")
    text(drawing, _with_unit(axis), 15, (TOP + HEIGHT - BOTTOM) / 2, "axis-label", "middle", turn=-90)


def _draw_series(group: Canvas, plane: Plane, chart: Chart, series: Series) -> None:
    if series.style == "bars":
        _draw_bars(group, plane, chart, series)
        return
    few = len(series.x) <= FEW_POINTS
    for run in _runs(series):
        if series.style == "line":
            add(group, "polyline", "curve", points=" ".join(f"{plane.x(x):.2f},{plane.y(y):.2f}" for x, y in run))
        for x, y in run:
            kind, radius = ("dot", 3) if series.style == "points" or few else ("hover", 5)
            titled(add(group, "circle", kind, cx=plane.x(x), cy=plane.y(y), r=radius), _words(chart, series, x, y))


def _draw_bars(group: Canvas, plane: Plane, chart: Chart, series: Series) -> None:
    steps = [b - a for a, b in zip(series.x, series.x[1:], strict=False)]
    width = (plane.x(plane.x_low + min(steps)) - LEFT if steps else 40.0) * 0.94
    for x, y in zip(series.x, series.y, strict=True):
        top, base = plane.y(y), plane.y(0.0)
        bar = add(group, "rect", "bar", x=plane.x(x) - width / 2, width=width, y=min(top, base), height=abs(base - top))
        titled(bar, _words(chart, series, x, y))


def _runs(series: Series) -> Iterator[list[tuple[float, float]]]:
    """The stretches of a series between its gaps."""
    run: list[tuple[float, float]] = []
    for x, y in zip(series.x, series.y, strict=True):
        if math.isfinite(x) and math.isfinite(y):
            run.append((x, y))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _words(chart: Chart, series: Series, x: float, y: float) -> str:
    if chart.x.scale == "resolution":
        place = f"{format_number(1 / x)} Å" if x > 0 else "∞"
    else:
        place = f"{chart.x.label.lower()} {format_number(x)}{_space(chart.x.unit)}"
    return f"{series.label}: {format_number(y)}{_space(chart.y.unit)} at {place}"


def _with_unit(axis: Axis) -> str:
    return f"{axis.label} ({axis.unit})" if axis.unit else axis.label


def _space(unit: str) -> str:
    return f" {unit}" if unit and unit != "°" else unit

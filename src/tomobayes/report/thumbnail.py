"""A chart in the size of a stamp: its curves and levels, without a word."""

from __future__ import annotations

import math

from tomobayes.report.chart import N_COLOURS
from tomobayes.report.content import Chart
from tomobayes.report.svg import add, canvas, to_text

__all__ = ["draw_thumbnail"]

WIDTH, HEIGHT = 120.0, 72.0


def draw_thumbnail(chart: Chart) -> str:
    """Curves of a chart as SVG markup; points and bars are drawn as curves as well."""
    drawing = canvas(WIDTH, HEIGHT, chart.title)
    points = [(x, y) for series in chart.series for x, y in zip(series.x, series.y, strict=True) if math.isfinite(x) and math.isfinite(y)]
    if not points:
        return to_text(drawing)
    x_low, x_high = min(x for x, _ in points), max(x for x, _ in points)
    y_low, y_high = (
        chart.y.low if chart.y.low is not None else min(y for _, y in points),
        chart.y.high if chart.y.high is not None else max(y for _, y in points),
    )

    def place(x: float, y: float) -> str:
        across = (x - x_low) / (x_high - x_low or 1.0)
        up = min(max((y - y_low) / (y_high - y_low or 1.0), 0.0), 1.0)
        return f"{2 + across * (WIDTH - 4):.1f},{HEIGHT - 2 - up * (HEIGHT - 4):.1f}"

    for level in chart.levels:
        add(drawing, "polyline", "level", points=f"{place(x_low, level.value)} {place(x_high, level.value)}")
    for index, series in enumerate(chart.series):
        path = " ".join(place(x, y) for x, y in zip(series.x, series.y, strict=True) if math.isfinite(x) and math.isfinite(y))
        add(drawing, "polyline", f"curve c{index % N_COLOURS + 1}", points=path)
    return to_text(drawing)

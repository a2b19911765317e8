"""What a job shows of its result: typed content, drawn as one page without any other file."""

from tomobayes.report.colours import ColourScale, coloured_slices, coloured_surfaces
from tomobayes.report.content import Axis, Chart, Directions, Fact, Finding, Item, Level, Report, Section, Series, Slices, Table, Text
from tomobayes.report.figures import (
    defocus_chart,
    directions_of,
    dose_chart,
    fsc_chart,
    histogram_chart,
    images_of,
    iteration_chart,
    slices_of,
)
from tomobayes.report.ticks import format_number
from tomobayes.report.write import render, write_report

__all__ = [
    "Axis",
    "Chart",
    "ColourScale",
    "Directions",
    "Fact",
    "Finding",
    "Item",
    "Level",
    "Report",
    "Section",
    "Series",
    "Slices",
    "Table",
    "Text",
    "coloured_slices",
    "coloured_surfaces",
    "defocus_chart",
    "directions_of",
    "dose_chart",
    "format_number",
    "fsc_chart",
    "histogram_chart",
    "images_of",
    "iteration_chart",
    "render",
    "slices_of",
    "write_report",
]

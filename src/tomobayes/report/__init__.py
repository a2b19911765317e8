"""What a job shows of its result: typed content, drawn as one page without any other file."""

from tomobayes.report.colours import ColourScale, coloured_slices, coloured_surfaces
from tomobayes.report.content import (
    Axis,
    Chart,
    Directions,
    Fact,
    Finding,
    Item,
    Level,
    Report,
    Section,
    Series,
    Slices,
    Table,
    Text,
    image_name,
)
from tomobayes.report.draw import Address, DrawnSection, drawn_sections, templates, theme_script
from tomobayes.report.figures import (
    directions_of,
    fsc_chart,
    histogram_chart,
    images_of,
    iteration_chart,
    projections_of,
    slices_of,
)
from tomobayes.report.graph import Box, draw_graph
from tomobayes.report.read import read_report
from tomobayes.report.thumbnail import draw_thumbnail
from tomobayes.report.ticks import format_number
from tomobayes.report.tilt_charts import defocus_chart, defocus_histogram, dose_chart, scale_chart, shift_charts
from tomobayes.report.write import render, write_report

__all__ = [
    "Address",
    "Axis",
    "Box",
    "Chart",
    "ColourScale",
    "Directions",
    "DrawnSection",
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
    "defocus_histogram",
    "directions_of",
    "dose_chart",
    "draw_graph",
    "draw_thumbnail",
    "drawn_sections",
    "format_number",
    "fsc_chart",
    "histogram_chart",
    "image_name",
    "images_of",
    "iteration_chart",
    "projections_of",
    "read_report",
    "render",
    "scale_chart",
    "shift_charts",
    "slices_of",
    "templates",
    "theme_script",
    "write_report",
]

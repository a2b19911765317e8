"""Images of maps: PNG bytes, panels with a scale bar for the page, and what their colours mean."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tomobayes.report.content import ColourBar, Slices
from tomobayes.report.svg import add, canvas, text, to_text
from tomobayes.report.ticks import format_number, nice_ticks

__all__ = ["draw_colour_bar", "draw_panels", "to_grey", "to_png"]

SIZE = 300.0
_BAR_LENGTHS = (10, 20, 50, 100, 200, 500, 1000, 2000)


def to_grey(image: NDArray[np.floating], low: float, high: float) -> NDArray[np.uint8]:
    """Grey values 0-255 between two density values; first row at the bottom, as maps are looked at."""
    span = high - low if high > low else 1.0
    scaled = np.clip((np.nan_to_num(image[::-1]) - low) / span, 0.0, 1.0)
    grey: NDArray[np.uint8] = np.round(255 * scaled).astype(np.uint8)
    return grey


def to_png(image: NDArray[np.uint8]) -> bytes:
    """A grey (height, width) or coloured (height, width, 3) image as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def draw_colour_bar(bar: ColourBar) -> str:
    """The colours from left to right with some of their values, as SVG markup."""
    width, height, margin, top = 560.0, 42.0, 24.0, 4.0
    drawing = canvas(width, height, f"{bar.label}, {bar.unit}")
    gradient = add(drawing, "linearGradient", id=f"colours-{len(bar.colours)}")
    for index, colour in enumerate(bar.colours):
        add(gradient, "stop", offset=index / (len(bar.colours) - 1), stop_color=colour)
    add(drawing, "rect", x=margin, y=top, width=width - 2 * margin, height=13, rx=2, fill=f"url(#colours-{len(bar.colours)})")
    for value in nice_ticks(bar.low, bar.high, 7):
        x = margin + (width - 2 * margin) * (value - bar.low) / max(bar.high - bar.low, 1e-9)
        add(drawing, "line", "tick", x1=x, x2=x, y1=top + 13, y2=top + 18)
        text(drawing, f"{format_number(value)} {bar.unit}", x, top + 32, "tick-label", "middle")
    return to_text(drawing)


def draw_panels(slices: Slices, address: Callable[[Slices, str], str] | None = None) -> list[tuple[str, str]]:
    """(label, SVG markup) of each image, with a scale bar; without ``address``, which says where they are, images are put into the page."""
    panels = []
    for label, image in slices.images.items():
        href = "data:image/png;base64," + base64.b64encode(to_png(image)).decode() if address is None else address(slices, label)
        panels.append((label, _panel(image, href, f"{slices.title}, {label}", slices.pixel_size_angstrom)))
    return panels


def _panel(image: NDArray[np.uint8], href: str, label: str, pixel_size_angstrom: float) -> str:
    height = SIZE * image.shape[0] / image.shape[1]
    drawing = canvas(SIZE, height, label)
    add(drawing, "image", href=href, x=0, y=0, width=SIZE, height=height)
    edge = image.shape[1] * pixel_size_angstrom
    length = max((length for length in _BAR_LENGTHS if length <= edge / 3), default=_BAR_LENGTHS[0])
    width = SIZE * length / edge
    add(drawing, "line", "scale-bar", x1=14, x2=14 + width, y1=height - 14, y2=height - 14)
    text(drawing, f"{length} Å", 14 + width / 2, height - 21, "scale-label", "middle")
    return to_text(drawing)

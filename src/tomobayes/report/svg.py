"""Small tools to draw with: SVG elements as trees, so that no label can break the page."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement, tostring

__all__ = ["Canvas", "add", "canvas", "text", "titled", "to_text"]

Canvas = Element


def canvas(width: float, height: float, label: str) -> Canvas:
    """An empty drawing that scales with its container; ``label`` is read out by screen readers."""
    return Element("svg", {"viewBox": f"0 0 {_number(width)} {_number(height)}", "role": "img", "aria-label": label})


def add(parent: Element, name: str, kind: str = "", **attributes: float | str) -> Element:
    """Add one element; ``kind`` is its CSS class, and ``_`` in attribute names stands for ``-``."""
    given: Mapping[str, float | str] = {"class": kind, **attributes} if kind else attributes
    return SubElement(parent, name, {key.replace("_", "-"): _number(value) for key, value in given.items()})


def text(parent: Element, content: str, x: float, y: float, kind: str = "", anchor: str = "start", turn: float = 0) -> Element:
    """Add a line of text at (x, y), turned by ``turn`` degrees about that point."""
    rotation = {"transform": f"rotate({_number(turn)} {_number(x)} {_number(y)})"} if turn else {}
    element = add(parent, "text", kind, x=x, y=y, text_anchor=anchor, **rotation)
    element.text = content
    return element


def titled(element: Element, content: str) -> Element:
    """Give an element the words that appear when the pointer rests on it."""
    SubElement(element, "title").text = content
    return element


def to_text(drawing: Canvas) -> str:
    """The drawing as markup to put into a page."""
    return tostring(drawing, encoding="unicode")


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")

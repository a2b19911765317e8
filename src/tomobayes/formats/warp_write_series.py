"""Tilt series into XML files as Warp reads them: in the file they came from, only what differs is written anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tomobayes.formats.warp_grids import CubicGrid, LinearGrid
from tomobayes.formats.warp_tilt_series import WarpTiltSeries, parse_tilt_series
from tomobayes.formats.xml_document import Edit, XmlDocument, document_from_text, escape, inserted, quoted, with_attribute, with_text

__all__ = ["warp_document", "write_warp_tilt_series"]

EMPTY = (
    '<?xml version="1.0" encoding="utf-8"?>\n<TiltSeries DataDirectory="" AreAnglesInverted="False" PlaneNormal="0, 0, 1" LevelAngleX="0"'
    ' LevelAngleY="0" Bfactor="0" Weight="1" MagnificationCorrection="1, 0, 0, 1" UnselectFilter="False" UnselectManual=""'
    ' CTFResolutionEstimate="0">\n</TiltSeries>'
)


def write_warp_tilt_series(path: Path | str, series: WarpTiltSeries) -> None:
    """Write the XML file of a tilt series, atomically."""
    warp_document(series).write(path)


def warp_document(series: WarpTiltSeries) -> XmlDocument:
    """The file of a tilt series.

    Elements and attributes that mean what they meant, and all that this program does not know, stay as they were written.
    """
    document = series.document or document_from_text(EMPTY)
    before = _as_it_was(series)
    new: list[str] = []
    edits = [*_vector_edits(document, before, series, new), *_grid_edits(document, before, series, new)]
    for tag, then, now in (("OptionsCTF", before.options, series.options), ("CTF", before.ctf, series.ctf)):
        edits += _parameter_edits(document, tag, then, now, new)
    attributes = {name: text for name, text in _attributes(series).items() if text != _attributes(before)[name]}
    if attributes:
        edits.append(with_attribute(document, document.root, attributes))
    if new:
        edits.append(inserted(document.root, "".join(f"\t{element}\n" for element in new)))
    return document.edited(edits)


def _as_it_was(series: WarpTiltSeries) -> WarpTiltSeries:
    """What the file says that the series was read from, or a file that says nothing of as many tilts."""
    if series.document is not None:
        return parse_tilt_series(series.document, Path(f"{series.name}.xml"))
    count = series.n_tilts
    nothing, names = np.zeros(count), np.full(count, "")
    return WarpTiltSeries(series.name, nothing, nothing, np.full(count, True), nothing, np.zeros((count, 2)), names, nothing)


def _vectors(series: WarpTiltSeries) -> dict[str, NDArray[np.generic]]:
    return {
        "Angles": series.angle_degrees,
        "Dose": series.dose,
        "UseTilt": series.is_used,
        "AxisAngle": series.axis_angle_degrees,
        "AxisOffsetX": series.axis_offset_angstrom[:, 0],
        "AxisOffsetY": series.axis_offset_angstrom[:, 1],
        "MoviePath": series.movie_paths,
        "FOVFraction": series.field_of_view,
    }


def _vector_edits(document: XmlDocument, before: WarpTiltSeries, series: WarpTiltSeries, new: list[str]) -> Iterator[Edit]:
    then = _vectors(before)
    for tag, values in _vectors(series).items():
        is_known = series.document is not None and np.array_equal(then[tag], values)
        if is_known or not any(str(value) for value in values.tolist()):
            continue
        element = document.root.find(tag)
        text = "\n".join(_text(value) for value in values.tolist())
        if element is not None:
            yield with_text(document, element, text)
        else:
            new.append(f"<{tag}>{escape(text)}</{tag}>")


def _parameter_edits(document: XmlDocument, tag: str, then: Mapping[str, str], now: Mapping[str, str], new: list[str]) -> Iterator[Edit]:
    section = document.root.find(tag)
    changed = {name: value for name, value in now.items() if then.get(name) != value}
    if not changed:
        return
    if section is None:
        new.append(f"<{tag}>\n{''.join(_parameter(name, value) for name, value in changed.items())}\t</{tag}>")
        return
    for element in section.children:
        name = element.attributes.get("Name", "")
        if name in changed:
            yield with_attribute(document, element, {"Value": changed.pop(name)})
    if changed:
        yield inserted(section, "".join(_parameter(name, value) for name, value in changed.items()))


def _parameter(name: str, value: str) -> str:
    return f"\t\t<Param Name={quoted(name)} Value={quoted(value)} />\n"


def _grid_edits(document: XmlDocument, before: WarpTiltSeries, series: WarpTiltSeries, new: list[str]) -> Iterator[Edit]:
    then: dict[str, CubicGrid | LinearGrid] = {**before.cubic, **before.linear}
    now: dict[str, CubicGrid | LinearGrid] = {**series.cubic, **series.linear}
    for tag, grid in now.items():
        if tag in then and _same(then[tag], grid):
            continue
        element = document.root.find(tag)
        if element is None:
            new.append(_grid(tag, grid))
        else:
            yield Edit(*element.whole(document.data), _grid(tag, grid))


def _same(first: CubicGrid | LinearGrid, second: CubicGrid | LinearGrid) -> bool:
    return np.array_equal(first.values, second.values) and getattr(first, "margins", None) == getattr(second, "margins", None)


def _grid(tag: str, grid: CubicGrid | LinearGrid) -> str:
    """The element of a grid, nodes with x fastest."""
    shape = grid.values.shape[::-1]
    sizes = dict(zip(("Width", "Height", "Depth", "Duration"), shape, strict=False))
    margins = dict(zip(("MarginX", "MarginY", "MarginZ"), grid.margins, strict=True)) if isinstance(grid, CubicGrid) else {}
    opening = "".join(f' {name}="{_text(value)}"' for name, value in {**sizes, **margins}.items())
    nodes = []
    for place in np.ndindex(*grid.values.shape):
        at = "".join(f' {axis}="{index}"' for axis, index in zip("XYZW", place[::-1], strict=False))
        nodes.append(f'\t\t<Node{at} Value="{_text(float(grid.values[place]))}" />\n')
    return f"<{tag}{opening}>\n{''.join(nodes)}\t</{tag}>"


def _attributes(series: WarpTiltSeries) -> dict[str, str]:
    """Those of the root that are typed; sizes that nobody knows are not written."""
    (m11, m12), (m21, m22) = series.magnification
    return {
        "AreAnglesInverted": _text(series.is_inverted),
        "LevelAngleX": _text(series.level_degrees[0]),
        "LevelAngleY": _text(series.level_degrees[1]),
        "Bfactor": _text(series.b_factor),
        "Weight": _text(series.weight),
        "MagnificationCorrection": _list((m11, m21, m12, m22)),
        "ImageDimensionsAngstrom": _list(series.image_angstrom or ()),
        "VolumeDimensionsAngstrom": _list(series.volume_angstrom or ()),
    }


def _list(values: ArrayLike) -> str:
    return ", ".join(_text(value) for value in np.asarray(values).tolist())


def _text(value: object) -> str:
    """Nine digits, more than the single precision that Warp computes with; whole numbers and words as they are."""
    return f"{value:.9g}" if isinstance(value, float) else str(value)

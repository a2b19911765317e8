"""Tilt series as Warp 1, WarpTools and M describe them: one XML file each, with all of its grids."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.warp_grids import CubicGrid, LinearGrid, constant_grid
from tomobayes.formats.xml_document import Element, XmlDocument, read_xml
from tomobayes.model import BadInput, Problem

__all__ = ["CUBIC_GRIDS", "LINEAR_GRIDS", "WarpTiltSeries", "parse_tilt_series", "read_warp_tilt_series"]

Float = NDArray[np.float64]
Read = TypeVar("Read")

CUBIC_GRIDS = {
    "GridCTF": 0.0,
    "GridCTFDefocusDelta": 0.0,
    "GridCTFDefocusAngle": 0.0,
    "GridCTFPhase": 0.0,
    "GridMovementX": 0.0,
    "GridMovementY": 0.0,
    "GridAngleX": 0.0,
    "GridAngleY": 0.0,
    "GridAngleZ": 0.0,
    "GridDoseBfacs": 0.0,
    "GridDoseBfacsDelta": 0.0,
    "GridDoseBfacsAngle": 0.0,
    "GridDoseWeights": 1.0,
    "GridLocationBfacs": 0.0,
    "GridLocationWeights": 1.0,
}
"""Cubic grids and the value that each has everywhere where it is not in the file."""
LINEAR_GRIDS = ("GridVolumeWarpX", "GridVolumeWarpY", "GridVolumeWarpZ")
MAX_NODES = 10**6


@dataclass(frozen=True)
class WarpTiltSeries:
    """One tilt series of F tilts, in Warp's own frames and units.

    Volumes and images have their origin in a corner; lengths are in Å, but defoci in µm; angles in degrees.

    Parameters
    ----------
    name : the file's, without ``.xml``
    angle_degrees, axis_angle_degrees : (F,) tilt angle, and angle of the tilt axis from the image's y, counter-clockwise
    axis_offset_angstrom : (F, 2) image shift after rotation
    dose : (F,) e/Å²
    is_used : (F,) whether the tilt is selected
    movie_paths : (F,) relative to the folder of the tomostar file
    field_of_view : (F,) fraction of the first tilt's field that is seen
    is_inverted : AreAnglesInverted, which turns round the change of the defocus with height, and nothing else
    level_degrees : inclination of the specimen about x and y
    b_factor, weight : of the whole series, in reconstructions
    magnification : M (2, 2): an image shows at frequency k the specimen at M·k
    volume_angstrom, image_angstrom : edges, or None where the file does not have them
    is_unselected : whether the series as a whole is left out
    ctf, options : the parameters of <CTF> and <OptionsCTF>, as text
    cubic, linear : the grids that the file has
    document : the file as it was read
    """

    name: str
    angle_degrees: Float
    dose: Float
    is_used: NDArray[np.bool_]
    axis_angle_degrees: Float
    axis_offset_angstrom: Float
    movie_paths: NDArray[np.str_]
    field_of_view: Float
    is_inverted: bool = False
    level_degrees: tuple[float, float] = (0.0, 0.0)
    b_factor: float = 0.0
    weight: float = 1.0
    magnification: tuple[tuple[float, float], tuple[float, float]] = ((1.0, 0.0), (0.0, 1.0))
    volume_angstrom: tuple[float, float, float] | None = None
    image_angstrom: tuple[float, float] | None = None
    is_unselected: bool = False
    ctf: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    cubic: Mapping[str, CubicGrid] = field(default_factory=dict)
    linear: Mapping[str, LinearGrid] = field(default_factory=dict)
    document: XmlDocument | None = field(default=None, compare=False, repr=False)

    @property
    def n_tilts(self) -> int:
        """Number of tilts F."""
        return len(self.angle_degrees)

    def grid(self, name: str) -> CubicGrid:
        """The cubic grid of that name, or the one that its absence stands for."""
        return self.cubic.get(name) or constant_grid(CUBIC_GRIDS[name])


def read_warp_tilt_series(path: Path | str) -> WarpTiltSeries:
    """Read the XML file of a tilt series.

    Raises
    ------
    BadInput
        with everything that is wrong with it: not XML, of a movie, vectors of unequal lengths, no numbers, grids without all their nodes
    """
    path = Path(path)
    return parse_tilt_series(read_xml(path), path)


def parse_tilt_series(document: XmlDocument, path: Path) -> WarpTiltSeries:
    """As `read_warp_tilt_series`, of a document at hand."""
    if document.root.tag != "TiltSeries":
        what = f"describes a <{document.root.tag}>, not a <TiltSeries>"
        raise BadInput(Problem(path, "", what, remedy="give the XML files of Warp's tilt series (not those of its movies)"))
    reader = _Reader(document.root, path)
    series = _typed(reader, document)
    if reader.problems:
        raise BadInput(reader.problems)
    return series


class _Reader:
    """Reads parts of a tilt series, notes what is wrong and goes on with a default."""

    def __init__(self, root: Element, path: Path) -> None:
        self.root, self.path = root, path
        self.problems: list[Problem] = []
        self.elements: dict[str, Element] = {}
        for element in root.walk():
            self.elements.setdefault(element.tag, element)
        angles = self._lines("Angles")
        self.n_tilts = len(angles)
        if not angles:
            self.report("element Angles", "has no tilt angles", "let Warp write the file again; without tilts there is nothing to read")

    def report(self, where: str, what: str, remedy: str = "correct it, or let Warp write the file again") -> None:
        self.problems.append(Problem(self.path, where, what, remedy=remedy))

    def text(self, tag: str) -> NDArray[np.str_] | None:
        """(F,) lines of an element; None where it is not there or (reported) has another number of lines."""
        lines = self._lines(tag)
        if tag not in self.elements:
            return None
        if len(lines) != self.n_tilts:
            self.report(f"element {tag}", f"has {len(lines)} values for {self.n_tilts} tilts")
            return None
        return np.array(lines, dtype=np.str_)

    def numbers(self, tag: str, default: float) -> Float:
        """(F,) numbers of an element."""
        lines = self.text(tag)
        if lines is None:
            return np.full(self.n_tilts, default)
        values = np.array([_number(line) for line in lines.tolist()])
        for tilt in np.flatnonzero(~np.isfinite(values))[:1].tolist():
            self.report(f"element {tag}, tilt {tilt + 1}", f"{str(lines[tilt])!r} is not a number")
        return np.where(np.isfinite(values), values, default)

    def attribute(self, name: str, parse: Callable[[list[str]], Read | None], default: Read, what: str) -> Read:
        """An attribute of the root, in the parts between its commas."""
        cell = self.root.attributes.get(name, "")
        if not cell.strip():
            return default
        parsed = parse([part.strip() for part in cell.split(",")])
        if parsed is None:
            self.report(f"attribute {name}", f"{cell!r} is not {what}")
        return default if parsed is None else parsed

    def parameters(self, tag: str) -> dict[str, str]:
        """Name -> value of the <Param> elements in an element."""
        section = self.elements.get(tag)
        params = section.children if section else []
        return {one.attributes["Name"]: one.attributes.get("Value", "") for one in params if "Name" in one.attributes}

    def check_parameters(self, tag: str) -> None:
        """Whether the numbers of a section that will be asked for are numbers in their range."""
        found = self.parameters(tag)
        for name, low, high in (("Voltage", 1.0, 1e4), ("Cs", -1e3, 1e3), ("Amplitude", 0.0, 0.999), ("PixelSize", 0.0, 1e4)):
            if found.get(name) and not low <= _number(found[name]) <= high:
                self.report(f"element {tag}, Param {name}", f"{found[name]!r} is not a number from {low:g} to {high:g}")
        for name in ("ZernikeCoeffsEven", "ZernikeCoeffsOdd"):
            if any(cell.strip() and np.isnan(_number(cell)) for cell in found.get(name, "").split(";")):
                self.report(f"element {tag}, Param {name}", "is not a list of numbers between semicolons")

    def grid(self, tag: str, axes: Mapping[str, str]) -> Float | None:
        """Nodes of a grid, axes -> their sizes' attributes, the fastest axis first; values with the fastest axis last."""
        element = self.elements[tag]
        shape = tuple(int(one) if (one := element.attributes.get(size, "")).isascii() and one.isdigit() else 0 for size in axes.values())
        if min(shape) < 1 or np.prod([float(one) for one in shape]) > MAX_NODES:
            self.report(f"element {tag}", f"is a grid of {' x '.join(str(one) for one in shape)} nodes")
            return None
        nodes = element.children
        places = [[_number(node.attributes.get(axis, "")) for axis in axes] for node in nodes]
        values = np.array([_number(node.attributes.get("Value", "")) for node in nodes])
        index = np.array(places).reshape(len(nodes), len(axes))
        inside = len(nodes) > 0 and bool(((index >= 0) & (index < np.array(shape)) & (index == np.round(index))).all())
        if not inside or len(np.unique(index, axis=0)) != np.prod(shape) or len(nodes) != np.prod(shape) or not np.isfinite(values).all():
            self.report(f"element {tag}", f"does not have one number for each of its {' x '.join(str(one) for one in shape)} nodes")
            return None
        grid = np.zeros(shape[::-1])
        grid[tuple(index.astype(np.int64).T[::-1])] = values
        return grid

    def margins(self, tag: str) -> tuple[float, float, float]:
        x, y, z = (_number(self.elements[tag].attributes.get(f"Margin{axis}", "0")) for axis in "XYZ")
        if not all(0 <= one < 0.5 for one in (x, y, z)):
            self.report(f"element {tag}", "has margins outside 0 to 0.5")
            return (0.0, 0.0, 0.0)
        return x, y, z

    def _lines(self, tag: str) -> list[str]:
        element = self.elements.get(tag)
        text = element.text.strip("\n") if element else ""
        return [line.strip() for line in text.split("\n")] if text.strip() else []


def _typed(reader: _Reader, document: XmlDocument) -> WarpTiltSeries:
    used, movies = reader.text("UseTilt"), reader.text("MoviePath")
    reader.check_parameters("CTF")
    reader.check_parameters("OptionsCTF")
    return WarpTiltSeries(
        name=reader.path.stem,
        angle_degrees=reader.numbers("Angles", 0.0),
        dose=reader.numbers("Dose", 0.0),
        is_used=np.full(reader.n_tilts, True) if used is None else np.char.lower(used) != "false",
        axis_angle_degrees=reader.numbers("AxisAngle", 0.0),
        axis_offset_angstrom=np.stack([reader.numbers("AxisOffsetX", 0.0), reader.numbers("AxisOffsetY", 0.0)], -1),
        movie_paths=np.full(reader.n_tilts, "", dtype=np.str_) if movies is None else movies,
        field_of_view=reader.numbers("FOVFraction", 1.0),
        is_inverted=reader.attribute("AreAnglesInverted", _truth, False, "True or False"),
        level_degrees=(
            reader.attribute("LevelAngleX", _one, 0.0, "a number"),
            reader.attribute("LevelAngleY", _one, 0.0, "a number"),
        ),
        b_factor=reader.attribute("Bfactor", _one, 0.0, "a number"),
        weight=reader.attribute("Weight", _one, 1.0, "a number"),
        magnification=reader.attribute("MagnificationCorrection", _magnification, ((1.0, 0.0), (0.0, 1.0)), "a matrix of four numbers"),
        volume_angstrom=reader.attribute("VolumeDimensionsAngstrom", _three, None, "three lengths"),
        image_angstrom=reader.attribute("ImageDimensionsAngstrom", _two, None, "two lengths"),
        is_unselected=_unselected(document.root.attributes),
        ctf=reader.parameters("CTF"),
        options=reader.parameters("OptionsCTF"),
        cubic=_cubic_grids(reader),
        linear=_linear_grids(reader),
        document=document,
    )


def _cubic_grids(reader: _Reader) -> dict[str, CubicGrid]:
    present = {tag: reader.grid(tag, {"X": "Width", "Y": "Height", "Z": "Depth"}) for tag in CUBIC_GRIDS if tag in reader.elements}
    return {tag: CubicGrid(values, reader.margins(tag)) for tag, values in present.items() if values is not None}


def _linear_grids(reader: _Reader) -> dict[str, LinearGrid]:
    axes = {"X": "Width", "Y": "Height", "Z": "Depth", "W": "Duration"}
    present = {tag: reader.grid(tag, axes) for tag in LINEAR_GRIDS if tag in reader.elements}
    return {tag: LinearGrid(values) for tag, values in present.items() if values is not None}


def _unselected(attributes: Mapping[str, str]) -> bool:
    """What the user said of the whole series, or else what the filters said."""
    by_hand = attributes.get("UnselectManual", "")
    return by_hand == "True" if by_hand in ("True", "False") else attributes.get("UnselectFilter") == "True"


def _number(cell: str) -> float:
    """A finite number, with a decimal point or (as Warp writes under some locales) a comma; else NaN."""
    try:
        value = float(cell.replace(",", ".") if cell.count(",") == 1 and "." not in cell else cell)
    except ValueError:
        return float("nan")
    return value if np.isfinite(value) else float("nan")


def _numbers(parts: list[str], count: int) -> tuple[float, ...] | None:
    values = tuple(_number(part) for part in parts)
    return values if len(values) == count and not np.isnan(values).any() else None


def _truth(parts: list[str]) -> bool | None:
    return {"true": True, "false": False}.get(parts[0].lower()) if len(parts) == 1 else None


def _one(parts: list[str]) -> float | None:
    values = _numbers(parts, 1) or _numbers([".".join(parts)], 1)
    return values[0] if values else None


def _two(parts: list[str]) -> tuple[float, float] | None:
    values = _numbers(parts, 2)
    return (values[0], values[1]) if values and min(values) > 0 else None


def _three(parts: list[str]) -> tuple[float, float, float] | None:
    values = _numbers(parts, 3)
    return (values[0], values[1], values[2]) if values and min(values) > 0 else None


def _magnification(parts: list[str]) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """M from M11, M21, M12, M22; Warp 1 wrote two scales and an angle, which are only understood where they change nothing."""
    if _numbers(parts, 3) == (1.0, 1.0, 0.0):
        return (1.0, 0.0), (0.0, 1.0)
    values = _numbers(parts, 4)
    if values is None or values[0] * values[3] - values[1] * values[2] <= 0:
        return None
    return (values[0], values[2]), (values[1], values[3])

"""Tilt series as Warp 1, WarpTools and M describe them: one XML file each, with all of its grids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.warp_grids import CubicGrid, LinearGrid, constant_grid
from tomobayes.formats.warp_values import SeriesReader, parse_numbers
from tomobayes.formats.xml_document import XmlDocument, read_xml
from tomobayes.model import BadInput, Problem

__all__ = ["CUBIC_GRIDS", "LINEAR_GRIDS", "WarpTiltSeries", "parse_tilt_series", "read_warp_tilt_series"]

Float = NDArray[np.float64]

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
    reader = SeriesReader(document.root, path)
    series = _typed(reader, document)
    if reader.problems:
        raise BadInput(reader.problems)
    return series


def _typed(reader: SeriesReader, document: XmlDocument) -> WarpTiltSeries:
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


def _cubic_grids(reader: SeriesReader) -> dict[str, CubicGrid]:
    present = {tag: reader.grid(tag, {"X": "Width", "Y": "Height", "Z": "Depth"}) for tag in CUBIC_GRIDS if tag in reader.elements}
    return {tag: CubicGrid(values, reader.margins(tag)) for tag, values in present.items() if values is not None}


def _linear_grids(reader: SeriesReader) -> dict[str, LinearGrid]:
    axes = {"X": "Width", "Y": "Height", "Z": "Depth", "W": "Duration"}
    present = {tag: reader.grid(tag, axes) for tag in LINEAR_GRIDS if tag in reader.elements}
    return {tag: LinearGrid(values) for tag, values in present.items() if values is not None}


def _unselected(attributes: Mapping[str, str]) -> bool:
    """What the user said of the whole series, or else what the filters said."""
    by_hand = attributes.get("UnselectManual", "")
    return by_hand == "True" if by_hand in ("True", "False") else attributes.get("UnselectFilter") == "True"


def _truth(parts: list[str]) -> bool | None:
    return {"true": True, "false": False}.get(parts[0].lower()) if len(parts) == 1 else None


def _one(parts: list[str]) -> float | None:
    values = parse_numbers(parts, 1) or parse_numbers([".".join(parts)], 1)
    return values[0] if values else None


def _two(parts: list[str]) -> tuple[float, float] | None:
    values = parse_numbers(parts, 2)
    return (values[0], values[1]) if values and min(values) > 0 else None


def _three(parts: list[str]) -> tuple[float, float, float] | None:
    values = parse_numbers(parts, 3)
    return (values[0], values[1], values[2]) if values and min(values) > 0 else None


def _magnification(parts: list[str]) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """M from M11, M21, M12, M22; Warp 1 wrote two scales and an angle, which are only understood where they change nothing."""
    if parse_numbers(parts, 3) == (1.0, 1.0, 0.0):
        return (1.0, 0.0), (0.0, 1.0)
    values = parse_numbers(parts, 4)
    if values is None or values[0] * values[3] - values[1] * values[2] <= 0:
        return None
    return (values[0], values[2]), (values[1], values[3])

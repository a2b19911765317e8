"""Particles of Warp, WarpTools and M: tables of a species with their trajectories, exported series, and peaks of template matching."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.star import Table, read_star
from tomobayes.formats.star_values import TableReader
from tomobayes.model import BadInput, Columns, Problem

__all__ = ["Unit", "WarpParticles", "along_trajectories", "read_warp_particles", "series_name"]

Float = NDArray[np.float64]
Unit = Literal["angstrom", "fraction", "centred angstrom"]
PIXEL_LABELS = ("rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ")
CENTRED_LABELS = ("rlnCenteredCoordinateXAngst", "rlnCenteredCoordinateYAngst", "rlnCenteredCoordinateZAngst")
ANGLE_LABELS = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")
ORIGIN_ANGSTROM = ("rlnOriginXAngst", "rlnOriginYAngst", "rlnOriginZAngst")
ORIGIN_PIXELS = ("rlnOriginX", "rlnOriginY", "rlnOriginZ")
SUBTOMOGRAM_LABELS = ("rlnTomoSubtomogramRot", "rlnTomoSubtomogramTilt", "rlnTomoSubtomogramPsi")
SERIES_LABELS = ("rlnTomoName", "rlnMicrographName", "wrpSourceName")
ASK = "say which pixel size the coordinates are in (--coordinates-angpix)"


@dataclass(frozen=True)
class WarpParticles:
    """P particles in the order of their file.

    Parameters
    ----------
    tilt_series : (P,) names of their tilt series
    position : (P, T, 3) at T evenly spaced doses, in ``unit``: Å or fractions of the volume from its corner, or Å from its centre
    euler_degrees : (P, T, 3) rot, tilt, psi at those doses
    half : (P,) 1 or 2, 0 where not assigned
    class_number : (P,) 0 where there is none
    columns : the table as read
    """

    file: Path
    tilt_series: NDArray[np.str_]
    position: Float
    euler_degrees: Float
    half: NDArray[np.int64]
    class_number: NDArray[np.int64]
    unit: Unit
    columns: Columns

    def __len__(self) -> int:
        return len(self.tilt_series)


def read_warp_particles(path: Path | str, coordinate_pixel_size_angstrom: float | None = None) -> WarpParticles:
    """Read particles of any kind that Warp, WarpTools or M write, or that WarpTools reads.

    Parameters
    ----------
    path : M's ``<species>_particles.star``; particles exported by WarpTools (2D or 3D); peaks of ts_template_match; or any table with
        rlnCoordinateX to Z
    coordinate_pixel_size_angstrom : of rlnCoordinate columns, where the table does not say

    Raises
    ------
    BadInput
        no such file or table, columns missing, no numbers, or coordinates of which nobody says what a pixel is
    """
    path = Path(path)
    tables = read_star(path)
    table = tables.get("particles") or next((one for one in tables.values() if _is_particle_table(one)), None)
    if table is None:
        remedy = "give a table with wrpCoordinateX1 … (M) or rlnCoordinateX … (WarpTools, RELION)"
        raise BadInput(Problem(path, "", "has no table of particles", remedy=remedy))
    reader = TableReader(path, table)
    if len(reader) == 0:
        reader.report("", "has no particles", "give a file with particles")
    particles = _from_m(reader) if "wrpCoordinateX1" in reader else _from_relion(reader, tables, coordinate_pixel_size_angstrom)
    if reader.problems:
        raise BadInput(reader.problems)
    return particles


def along_trajectories(samples: Float, time: Float) -> Float:
    """Values (P, T, 3) sampled evenly over the dose, at fractions (F,) of it: each column by a shape-preserving cubic -> (P, F, 3)."""
    count = samples.shape[1]
    if count == 1:
        return np.repeat(samples, len(time), 1)
    from scipy.interpolate import PchipInterpolator

    return np.asarray(PchipInterpolator(np.linspace(0, 1, count), samples, axis=1)(time))


def series_name(cell: str) -> str:
    """The tilt series that a cell names, as ``TS_1``, ``TS_1.tomostar`` or the tomogram ``TS_1_10.00Apx.mrc``."""
    name = re.split(r"[/\\]", cell)[-1]
    return re.sub(r"(_\d+(\.\d+)?Apx)?(\.(tomostar|mrc|xml|st|mdoc))?$", "", name)


def _is_particle_table(table: Table) -> bool:
    return any(label in table.columns for label in ("wrpCoordinateX1", PIXEL_LABELS[0], CENTRED_LABELS[0]))


def _from_m(reader: TableReader) -> WarpParticles:
    """M's own table: Å from the corner, one set of columns per sample."""
    positions, angles = _samples(reader, "wrpCoordinate", "XYZ"), _samples(reader, "wrpAngle", ("Rot", "Tilt", "Psi"))
    count = max(positions.shape[1], angles.shape[1])
    if {positions.shape[1], angles.shape[1]} - {1, count}:
        reader.report(
            "", f"has {positions.shape[1]} samples of positions and {angles.shape[1]} of angles", "resample_trajectories of MTools"
        )
        positions, angles = positions[:, :1], angles[:, :1]
    names = _names(reader, "wrpSourceName")
    positions, angles = _alike(positions, angles)
    return _particles(reader, names, positions, angles, "wrpRandomSubset", "angstrom")


def _particles(reader: TableReader, names: NDArray[np.str_], position: Float, angles: Float, half: str, unit: Unit) -> WarpParticles:
    classes = reader.integers("rlnClassNumber")
    return WarpParticles(reader.file, names, position, angles, _half(reader, half), classes, unit, reader.table.columns)


def _alike(positions: Float, angles: Float) -> tuple[Float, Float]:
    """Both with as many samples; one sample stands for all."""
    count = max(positions.shape[1], angles.shape[1])
    both = [one if one.shape[1] == count else np.repeat(one, count, 1) for one in (positions, angles)]
    return both[0], both[1]


def _samples(reader: TableReader, stem: str, parts: str | tuple[str, ...]) -> Float:
    """(P, T, 3) from the columns stem + part + number, numbered from 1."""
    found = [int(m[1]) for label in reader.table.columns if (m := re.fullmatch(rf"{stem}{parts[0]}(\d{{1,6}})", label))]
    count = len(found)
    labels = [f"{stem}{part}{i}" for i in range(1, max(count, 1) + 1) for part in parts]
    if not reader.require(dict.fromkeys(labels, "M writes one column per sample, numbered from 1")):
        return np.zeros((len(reader), 1, 3))
    return reader.triple(labels, (0.0,) * len(labels)).reshape(len(reader), len(labels) // 3, 3)


def _from_relion(reader: TableReader, tables: Mapping[str, Table], asked: float | None) -> WarpParticles:
    """A table in RELION's words: pixels, fractions or centred Å, with origins subtracted."""
    labels = CENTRED_LABELS if CENTRED_LABELS[0] in reader else PIXEL_LABELS
    reader.require(dict.fromkeys(labels, "picking writes the coordinates"))
    if reader.triple(SUBTOMOGRAM_LABELS).any():
        remedy = "import the file as what it is, a RELION project, with its tomograms (--t)"
        reader.report("column rlnTomoSubtomogramRot", "particles have subtomograms turned by themselves, which Warp has not", remedy)
    position, unit = reader.triple(labels), _unit(reader, labels, asked)
    if unit == "angstrom":
        position = position * _coordinate_pixel(reader, tables, asked)
    if unit != "fraction":
        position = position - _origin(reader, tables, asked)
    names = _names(reader, next((label for label in SERIES_LABELS if label in reader), SERIES_LABELS[0]))
    return _particles(reader, names, position[:, None], reader.triple(ANGLE_LABELS)[:, None], "rlnRandomSubset", unit)


def _unit(reader: TableReader, labels: Sequence[str], asked: float | None) -> Unit:
    """Template matching writes fractions of the volume: nothing else stays between 0 and 1 on all three axes."""
    if labels is CENTRED_LABELS:
        return "centred angstrom"
    position = reader.triple(labels)
    is_fraction = asked is None and len(position) > 0 and position.min() >= 0 and position.max() <= 1
    return "fraction" if is_fraction else "angstrom"


def _coordinate_pixel(reader: TableReader, tables: Mapping[str, Table], asked: float | None) -> float | Float:
    """Å per pixel of the coordinates: as asked; as the images that WarpTools exported; or unknown, which is a problem."""
    if asked is not None:
        return asked
    for label in ("rlnPixelSize", "rlnImagePixelSize"):
        if label in reader:
            return reader.floats(label, 1.0)[:, None]
    if "rlnDetectorPixelSize" in reader and "rlnMagnification" in reader:
        return (reader.floats("rlnDetectorPixelSize", 1.0) * 1e4 / reader.floats("rlnMagnification", 1e4))[:, None]
    exported = _optics_pixel(reader, tables)
    if exported is not None:
        return exported
    reader.report("columns rlnCoordinateX to Z", "nothing says what pixel size the coordinates are in", ASK, "a factor would go unnoticed")
    return 1.0


def _optics_pixel(reader: TableReader, tables: Mapping[str, Table]) -> Float | None:
    """(P, 1) rlnImagePixelSize of each particle's optics group, if the table is WarpTools', which counts in pixels of its exports."""
    optics, named = tables.get("optics"), reader.text("rlnTomoName")
    is_exported = len(named) > 0 and bool(np.char.endswith(named, ".tomostar").all())
    if optics is None or not is_exported or "rlnImagePixelSize" not in optics.columns or "rlnOpticsGroup" not in optics.columns:
        return None
    groups = TableReader(reader.file, optics, reader.problems)
    known = dict(zip(groups.integers("rlnOpticsGroup").tolist(), groups.floats("rlnImagePixelSize", 1.0).tolist(), strict=True))
    numbers = reader.integers("rlnOpticsGroup", 1).tolist()
    unknown = sorted({one for one in numbers if one not in known})
    if unknown:
        reader.report("column rlnOpticsGroup", f"names optics groups that data_optics does not have: {unknown[:5]}", "correct the column")
    return np.array([known.get(one, 1.0) for one in numbers])[:, None]


def _origin(reader: TableReader, tables: Mapping[str, Table], asked: float | None) -> Float:
    """(P, 3) Å to subtract."""
    if ORIGIN_ANGSTROM[0] in reader:
        return reader.triple(ORIGIN_ANGSTROM)
    origin = reader.triple(ORIGIN_PIXELS)
    return origin * _coordinate_pixel(reader, tables, asked) if origin.any() else origin


def _names(reader: TableReader, label: str) -> NDArray[np.str_]:
    if not reader.require({label: "it names the tilt series of each particle"}):
        return np.full(len(reader), "", dtype=np.str_)
    known = {cell: series_name(cell) for cell in np.unique(reader.text(label)).tolist()}
    return np.array([known[cell] for cell in reader.text(label).tolist()], dtype=np.str_)


def _half(reader: TableReader, label: str) -> NDArray[np.int64]:
    half = reader.integers(label)
    for row in np.flatnonzero((half < 0) | (half > 2))[:5].tolist():
        reader.report(f"row {row + 1}, column {label}", f"{half[row]} is no half-set", "write 1 or 2, or 0 where there is none")
    return half

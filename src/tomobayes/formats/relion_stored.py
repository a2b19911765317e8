"""Which stored images particles.star names, opened and checked against the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.mrc_header import MrcHeader, read_header
from tomobayes.formats.paths import Folders
from tomobayes.formats.problems import collecting, shortened
from tomobayes.formats.star import Table
from tomobayes.formats.star_values import TableReader
from tomobayes.formats.stored_particles import StoredStacks, StoredSubtomograms
from tomobayes.formats.tilt_images import pixel_size_problem
from tomobayes.model import Optics, Particles, Problem, TiltSeries

__all__ = ["StoredKind", "attach_stored", "stored_kind"]

StoredKind = Literal["stacks", "subtomograms"]
EXTRACTION = "extraction writes it"
BOX_LABELS = {"rlnImageSize": EXTRACTION, "rlnImagePixelSize": EXTRACTION}


def stored_kind(tables: dict[str, Table]) -> StoredKind | None:
    """What rlnImageName of a particle file names: 2D stacks, pseudo-subtomograms, or nothing."""
    particles = tables.get("particles", Table("particles")).columns
    if "rlnImageName" not in particles:
        return None
    flag = tables.get("general", Table("general")).columns.get("rlnTomoSubTomosAre2DStacks", np.array(["0"]))[0]
    dimensions = tables.get("optics", Table("optics")).columns.get("rlnImageDimensionality", np.array(["3"]))
    return "stacks" if float(flag) == 1 or set(dimensions.tolist()) == {"2"} else "subtomograms"


@dataclass(frozen=True)
class _Box:
    edge: int
    pixel_size: float
    premultiplied: bool


def attach_stored(
    particles: Particles, optics: Sequence[Optics], series: Sequence[TiltSeries], kind: StoredKind, reader: TableReader, root: Path | None
) -> Particles:
    """The particles with their stored images; what is wrong with those goes to the reader's problems."""
    n_before = len(reader.problems)
    needed = "rlnTomoVisibleFrames" if kind == "stacks" else "rlnCtfImage"
    complete = reader.require({needed: EXTRACTION})
    box = _box(optics, reader)
    if not complete or box is None:
        return particles
    folders = Folders(reader.file, root)
    portable = {label: folders.portable(reader.text(label)) for label in ("rlnImageName", "rlnCtfImage") if label in reader}
    particles = replace(particles, columns={**particles.columns, **portable})
    images = _headers(reader, "rlnImageName", folders)
    if kind == "stacks":
        visible = _visible(particles, series, reader)
        _check_stacks(images, visible, box, reader)
        stacks = StoredStacks(tuple(images), visible, box.pixel_size, box.premultiplied)
        return replace(particles, stacks=stacks, visible=visible) if len(reader.problems) == n_before else particles
    weights = _headers(reader, "rlnCtfImage", folders)
    _check_subtomograms(images, weights, box, reader)
    subtomograms = StoredSubtomograms(tuple(images), tuple(weights), box.pixel_size)
    return replace(particles, subtomograms=subtomograms) if len(reader.problems) == n_before else particles


def _box(optics: Sequence[Optics], reader: TableReader) -> _Box | None:
    """Box and pixel size, which all optics groups must share."""
    missing = sorted({label for label in BOX_LABELS for group in optics if label not in group.columns})
    if missing:
        what = f"misses the column{'s' * (len(missing) > 1)} {', '.join(missing)}, which stored images need"
        reader.problems.append(Problem(reader.file, "table data_optics", what, remedy="add them: extraction writes them"))
        return None
    boxes = {
        _Box(
            int(float(group.columns["rlnImageSize"])),
            float(group.columns["rlnImagePixelSize"]),
            float(group.columns.get("rlnCtfDataAreCtfPremultiplied", "0")) == 1,
        )
        for group in optics
    }
    if len(boxes) > 1:
        sizes = shortened([f"{box.edge} px at {box.pixel_size} Å" for box in sorted(boxes, key=lambda box: box.edge)])
        what = f"optics groups have different stored images: {sizes}"
        reader.problems.append(Problem(reader.file, "table data_optics", what, remedy="extract all particles with one box and binning"))
        return None
    return boxes.pop()


def _headers(reader: TableReader, label: str, folders: Folders) -> list[MrcHeader]:
    headers: list[MrcHeader] = []
    missing: list[str] = []
    for row, name in enumerate(reader.text(label).tolist(), start=1):
        path = folders.find(name)
        if path is None:
            missing.append(f"{name} (row {row})")
            continue
        with collecting(reader.problems):
            headers.append(read_header(path))
    if missing:
        what = f"{len(missing)} of {len(reader)} files are not there: {shortened(missing)}"
        reader.report(f"column {label}", what, "copy them here, extract again, or remove the column to work from the tilt images")
    return headers


def _visible(particles: Particles, series: Sequence[TiltSeries], reader: TableReader) -> tuple[NDArray[np.bool_], ...]:
    vectors = reader.vectors("rlnTomoVisibleFrames")
    expected = np.array([one.n_tilts for one in series])[particles.tilt_series]
    wrong = [row for row, vector in enumerate(vectors) if len(vector) != expected[row]]
    for row in wrong[:5]:
        what = f"has {len(vectors[row])} entries for {expected[row]} tilts of {series[particles.tilt_series[row]].name}"
        reader.report(f"row {row + 1}, column rlnTomoVisibleFrames", what, "give the tomogram file that was used in extraction")
    return tuple(vector > 0 for vector in vectors)


def _check_stacks(headers: Sequence[MrcHeader], visible: Sequence[NDArray[np.bool_]], box: _Box, reader: TableReader) -> None:
    if len(headers) < len(visible):
        return
    for header, seen in zip(headers, visible, strict=True):
        depth, *edges = header.shape
        if edges != [box.edge, box.edge]:
            _report_file(reader, header, f"images are {edges[1]} x {edges[0]} pixels, but rlnImageSize of {reader.file} is {box.edge}")
        if depth not in (int(seen.sum()), len(seen)):
            _report_file(reader, header, f"holds {depth} images for {int(seen.sum())} visible of {len(seen)} tilts")
        _report_pixel_size(reader, header, box)


def _check_subtomograms(data: Sequence[MrcHeader], weights: Sequence[MrcHeader], box: _Box, reader: TableReader) -> None:
    n = box.edge
    for header in data:
        if header.shape != (n, n, n):
            _report_file(reader, header, f"is {_by(header)} voxels, but rlnImageSize of {reader.file} is {n}")
        _report_pixel_size(reader, header, box)
    for header in weights:
        if header.shape != (2 * n, n, n // 2 + 1):
            _report_file(reader, header, f"is {_by(header)} values instead of {n // 2 + 1} x {n} x {2 * n} (weights above multiplicities)")


def _by(header: MrcHeader) -> str:
    return " x ".join(str(edge) for edge in header.shape[::-1])


def _report_file(reader: TableReader, header: MrcHeader, what: str) -> None:
    reader.problems.append(Problem(header.path, "header", what, remedy="extract the particles again"))


def _report_pixel_size(reader: TableReader, header: MrcHeader, box: _Box) -> None:
    problem = pixel_size_problem(header, box.pixel_size, f"rlnImagePixelSize in {reader.file}")
    if problem:
        reader.problems.append(problem)

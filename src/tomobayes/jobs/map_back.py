"""``map-back``: the average where its particles are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tomobayes.formats.artiax import write_artiax
from tomobayes.formats.chimerax import write_chimerax
from tomobayes.formats.mrc import read_map, write_array
from tomobayes.formats.voxels import BINNING_LABEL, TomogramGrid
from tomobayes.fourier.volume import FourierVolume, from_map
from tomobayes.jobs.curation import open_dataset
from tomobayes.jobs.describe import unoriented
from tomobayes.jobs.frame import Context
from tomobayes.jobs.memory import available_bytes, gigabytes
from tomobayes.jobs.parameters import MapBack
from tomobayes.jobs.references import check_fits
from tomobayes.maps.filters import low_pass
from tomobayes.maps.masks import sphere_mask
from tomobayes.maps.placing import place
from tomobayes.maps.resampling import change_pixel_size
from tomobayes.model import BadInput, Dataset, Map, Problem, TiltSeries
from tomobayes.particles.conditions import Condition
from tomobayes.particles.rows import with_rows
from tomobayes.report import Fact, Finding, Report, Section, Slices, Table, format_number
from tomobayes.report.pictures import to_grey

__all__ = ["run"]

Float32 = NDArray[np.float32]

_NAMES = ("postprocess.mrc", "run_class001.mrc", "merged.mrc")
USUAL_BOX, LOWPASS_VOXELS, SOFT_EDGE_VOXELS, USUAL_DIAMETER = 32, 2.5, 3.0, 0.9
SHOWN = 6
COPY_BYTES, TOGETHER_BYTES = 32, 2e8
"""Of a voxel of a copy while it is made, and what copies that are made together may take."""


@dataclass(frozen=True)
class Placed:
    """What became of one tilt series: its tomogram's file and voxel (Å), how many copies, how many of them outside, and its projections."""

    name: str
    path: Path
    voxel_angstrom: float
    count: int
    outside: int
    shown: Slices


def run(parameters: MapBack, context: Context) -> Path:
    """Write a tomogram per tilt series, and the particles as ChimeraX and ArtiaX read them."""
    members, whole = open_dataset(parameters)
    dataset = _chosen(whole, parameters.tilt_series)
    path, source = _source(parameters)
    grid = _grid(dataset.tilt_series, parameters, source)
    _refuse_too_large(dataset, grid, source)
    folder = context.open([members.particles, members.tomograms, path, parameters.mask])
    context.log.say(f"Map: {path}")
    placed = []
    with context.log.steps("Particles", len(dataset.particles)) as step:
        for index in np.unique(dataset.particles.tilt_series).tolist():
            spectrum = _copy(source, float(grid.voxel_angstrom(dataset.tilt_series)[index]), parameters)
            placed.append(_filled(folder, dataset, index, grid, spectrum, step))
    _write_lists(folder, dataset, grid, placed, parameters.marker_diameter)
    context.show(_report(placed, path, dataset))
    return folder


def _chosen(dataset: Dataset, patterns: Sequence[str]) -> Dataset:
    """The particles of the tilt series that are asked for."""
    names = {"rlnTomoName": np.array([series.name for series in dataset.tilt_series])}
    asked = [Condition("rlnTomoName", "~", pattern).holds(names) for pattern in patterns] or [np.ones(len(dataset.tilt_series), bool)]
    rows = np.flatnonzero(np.logical_or.reduce(asked)[dataset.particles.tilt_series])
    if not len(rows):
        where = "--tilt-series" if patterns else ""
        remedy = f"there are {', '.join(names['rlnTomoName'].tolist()[:8])}" if patterns else "give a set with particles"
        raise BadInput(Problem(None, where, "there are no particles to put a map at", remedy=remedy))
    return with_rows(dataset, rows)


def _source(parameters: MapBack) -> tuple[Path, Map]:
    """The map inside its mask, and its file."""
    path = parameters.ref
    if path is None:
        folder = parameters.i
        found = [folder / name for name in _NAMES if (folder / name).is_file()] if folder is not None and folder.is_dir() else []
        if not found:
            why = f"the folder in --i holds none of {', '.join(_NAMES)}"
            raise BadInput(Problem(None, "--ref", "is needed here", why, "name a map, such as a refinement's run_class001.mrc"))
        path = found[0]
    source = read_map(path)
    if parameters.mask is None:
        diameter = parameters.particle_diameter or USUAL_DIAMETER * source.box * source.pixel_size_angstrom
        return path, replace(source, data=source.data * sphere_mask(source.box, diameter / source.pixel_size_angstrom, SOFT_EDGE_VOXELS))
    mask = read_map(parameters.mask)
    check_fits([(parameters.mask, mask)], source.box, source.pixel_size_angstrom, str(path))
    return path, replace(source, data=source.data * mask.data)


def _grid(tilt_series: Sequence[TiltSeries], parameters: MapBack, source: Map) -> TomogramGrid:
    edge = source.box * source.pixel_size_angstrom

    def binning(series: TiltSeries) -> float:
        if parameters.tomogram_bin is not None:
            return parameters.tomogram_bin
        return float(series.globals_.get(BINNING_LABEL, max(1.0, edge / USUAL_BOX / series.pixel_size_angstrom)))

    return TomogramGrid(tuple(binning(series) for series in tilt_series), block=parameters.tomogram_by == "imod")


def _refuse_too_large(dataset: Dataset, grid: TomogramGrid, source: Map) -> None:
    """A tomogram is made in memory, and so is each copy."""
    voxels, edge = grid.voxel_angstrom(dataset.tilt_series), source.box * source.pixel_size_angstrom
    for index in np.unique(dataset.particles.tilt_series).tolist():
        series = dataset.tilt_series[index]
        needed = 8.0 * math.prod(grid.size(series, index)) + COPY_BYTES * (edge / float(voxels[index])) ** 3
        if needed > available_bytes():
            what = f"the tomogram of {series.name} takes {gigabytes(needed)}, and {gigabytes(available_bytes())} are free"
            raise BadInput(Problem(None, "--tomogram-bin", what, remedy="ask for a larger binning"))


def _copy(source: Map, voxel_angstrom: float, parameters: MapBack) -> FourierVolume:
    """The map's transform in voxels of a tomogram, in a box that holds it however it is turned."""
    box = 2 * (math.ceil(source.box * source.pixel_size_angstrom / voxel_angstrom / 2) + 1)
    coarse = change_pixel_size(source.data, source.pixel_size_angstrom, voxel_angstrom, box)
    smooth = low_pass(coarse, voxel_angstrom, parameters.lowpass or LOWPASS_VOXELS * voxel_angstrom)
    return from_map(torch.from_numpy(smooth))


def _filled(folder: Path, dataset: Dataset, index: int, grid: TomogramGrid, copy: FourierVolume, step: Callable[[float], None]) -> Placed:
    """One tomogram, written with a copy of the map at each of its particles."""
    series, one = dataset.tilt_series[index], with_rows(dataset, np.flatnonzero(dataset.particles.tilt_series == index))
    size = grid.size(series, index)
    tomogram, voxels = np.zeros(size[::-1], dtype=np.float32), grid.voxels(one, first=0)
    together = max(1, int(TOGETHER_BYTES / COPY_BYTES / copy.box**3))
    for rows in np.array_split(np.arange(len(voxels)), -(-len(voxels) // together)):
        place(tomogram, copy, voxels[rows], one.particles.rotation[rows])
        step(len(rows))
    path, voxel = folder / f"{series.name}_mapback.mrc", grid.binning[index] * series.pixel_size_angstrom
    write_array(path, tomogram, voxel, "float32", is_stack=False)
    outside = int(((voxels < -0.5) | (voxels > np.array(size) - 0.5)).any(1).sum())
    return Placed(series.name, path, voxel, len(voxels), outside, _pictures(series.name, tomogram, voxel, len(voxels)))


def _pictures(name: str, tomogram: Float32, voxel_angstrom: float, count: int) -> Slices:
    views = {label: tomogram.max(axis) for axis, label in enumerate(("xy", "xz", "yz"))}
    highest = max(float(tomogram.max()), 1e-9)
    images = {label: to_grey(view, 0.0, highest) for label, view in views.items()}
    return Slices(name, f"{name}_mapback", images, voxel_angstrom, f"Highest density along each axis; {count} particles.")


def _write_lists(folder: Path, dataset: Dataset, grid: TomogramGrid, placed: Sequence[Placed], marker_angstrom: float) -> None:
    """Scripts that open a tomogram with arrows at its particles in ChimeraX, and lists for ArtiaX."""
    write_chimerax(folder, dataset, grid, marker_angstrom, None, {one.name: one.path for one in placed})
    write_artiax(folder / "artiax", dataset, grid)


def _report(placed: Sequence[Placed], path: Path, dataset: Dataset) -> Report:
    total, outside = sum(one.count for one in placed), sum(one.outside for one in placed)
    voxels = sorted({format_number(one.voxel_angstrom, 4) for one in placed})
    facts = [Fact("Particles", str(total)), Fact("Tomograms", str(len(placed))), Fact("Voxel", f"{' and '.join(voxels)} Å")]
    findings = [Finding("note", f"The map is {path}. Open TILT_SERIES.cxc in ChimeraX; artiax/ has lists for ArtiaX.")]
    if outside:
        findings.append(Finding("warning", f"{outside} particles have their centres outside the tomogram."))
    if unoriented(dataset):
        findings.append(Finding("warning", "The particles have no orientations yet: all copies are turned alike."))
    rows = [(one.name, one.path.name, one.count, one.outside) for one in placed]
    table = Table("Tomograms", ("Tilt series", "File", "Particles", "Centres outside"), rows)
    return Report(
        "Map-back", facts=facts, findings=findings, sections=[Section("Tomograms", [*(one.shown for one in placed[:SHOWN]), table])]
    )

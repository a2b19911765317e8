"""Reading a project of Warp, WarpTools or M into a Dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tomobayes.formats.problems import collecting, shortened
from tomobayes.formats.warp_dataset import Remainder, as_dataset
from tomobayes.formats.warp_frame import WarpFrame, WarpSizes, frame_of
from tomobayes.formats.warp_particles import WarpParticles, read_warp_particles
from tomobayes.formats.warp_project import WarpProject, find_warp_project
from tomobayes.formats.warp_tilt_series import WarpTiltSeries, read_warp_tilt_series
from tomobayes.model import BadInput, Dataset, Problem

__all__ = ["WarpImport", "read_warp"]


@dataclass(frozen=True)
class WarpImport:
    """A project of Warp's as a Dataset.

    Parameters
    ----------
    dataset : tilt series, optics and particles (none where none were given)
    notes : one sentence for everything that a Dataset does not hold as Warp has it, measured on the particles
    project : the files it was read from
    remainders : the measures themselves, per tilt series with particles
    """

    dataset: Dataset
    notes: tuple[str, ...]
    project: WarpProject
    remainders: tuple[Remainder, ...] = ()


def read_warp(
    source: Path | str,
    particles: Path | str | None = None,
    *,
    sizes: WarpSizes | None = None,
    coordinate_pixel_size_angstrom: float | None = None,
    root: Path | None = None,
) -> WarpImport:
    """Read tilt series and particles of Warp 1, WarpTools or M.

    Parameters
    ----------
    source : folder with the XML files of the tilt series, one such file, or a ``.settings``, ``.population`` or ``.source`` file
    particles : table of M's species, of WarpTools' export or template matching; by default that of the population's only species
    sizes : pixel, tomogram and images, where the files do not know them or to overrule them
    coordinate_pixel_size_angstrom : of rlnCoordinateX to Z in ``particles``, where that table does not say
    root : folder that names of images are relative to, by default the current one (then the files' own and those above)

    Raises
    ------
    BadInput
        with everything that is wrong with any of the files
    """
    project = find_warp_project(source)
    problems: list[Problem] = []
    series, frames = _series(project, sizes or WarpSizes(), root, problems)
    table = None
    chosen = Path(particles) if particles is not None else project.particles
    if chosen is not None:
        with collecting(problems):
            table = read_warp_particles(chosen, coordinate_pixel_size_angstrom)
    if problems:
        raise BadInput(problems)
    dataset, remainders = as_dataset(series, frames, table)
    notes = (*_notes(series, frames), *_particle_notes(table, dataset), *_remainder_notes(remainders))
    return WarpImport(dataset, notes, project, remainders)


def _series(
    project: WarpProject, sizes: WarpSizes, root: Path | None, problems: list[Problem]
) -> tuple[list[WarpTiltSeries], list[WarpFrame]]:
    """All tilt series with their sizes; what is wrong with any of them goes to ``problems``."""
    series, frames = [], []
    for path in project.series:
        with collecting(problems):
            one = read_warp_tilt_series(path)
            if not one.is_used.any():
                raise BadInput(Problem(path, "element UseTilt", "uses none of its tilts", remedy="select some, or leave the series out"))
            frames.append(frame_of(one, path, project, sizes, root))
            series.append(replace(one, document=None))  # thousands of them would fill the memory
    for name, count in Counter(path.stem for path in project.series).items():
        if count > 1:
            what = f"{count} tilt series are called {name}"
            problems.append(Problem(project.series[0].parent, "", what, remedy="give every tilt series its own name"))
    return series, frames


def _notes(series: Sequence[WarpTiltSeries], frames: Sequence[WarpFrame]) -> Iterator[str]:
    without = [one.name for one, frame in zip(series, frames, strict=True) if frame.images is None]
    if without:
        yield f"{shortened(without)}: Warp's averages are not beside the files, so that there are no tilt images."
    dropped = [f"{one.name} ({int((~one.is_used).sum())} of {one.n_tilts})" for one in series if not one.is_used.all()]
    if dropped:
        yield f"Tilts that are not selected in Warp are left out: {shortened(dropped)}."
    unselected = [one.name for one in series if one.is_unselected]
    if unselected:
        yield f"{shortened(unselected)}: not selected in Warp, but kept here."
    blurred = [one.name for one in series if one.grid("GridCTF").is_constant and not one.grid("GridCTF").values.any()]
    if blurred:
        yield f"{shortened(blurred)}: no CTF was fitted in Warp, so that all defoci are 0."
    uneven = [one.name for one in series if any(one.grid(name).values.any() for name in ("GridDoseBfacsDelta", "GridLocationBfacs"))]
    if uneven:
        yield f"{shortened(uneven)}: of B factors that depend on direction or place in the image, the mean is taken."


def _particle_notes(table: WarpParticles | None, dataset: Dataset) -> Iterator[str]:
    if table is None:
        return
    if table.unit == "fraction":
        yield "Coordinates lie between 0 and 1 and were taken as fractions of the tomogram, as template matching writes them."
    edges = np.array([np.array(one.tomogram_size) * one.pixel_size_angstrom for one in dataset.tilt_series])[dataset.particles.tilt_series]
    outside = int((np.abs(dataset.particles.position_angstrom) > edges / 2).any(1).sum())
    if outside:
        yield f"{outside} of {len(table)} particles lie outside their tomogram: the pixel size of the coordinates is worth a look."


def _remainder_notes(remainders: Sequence[Remainder]) -> Iterator[str]:
    turned = max(remainders, key=lambda one: one.rotation_degrees[1], default=None)
    if turned is not None and turned.rotation_degrees[1] > 1e-3:
        rms, most = turned.rotation_degrees
        yield f"Orientations that change from tilt to tilt became one per particle: up to {most:.3f}° off, {rms:.3f}° rms in {turned.name}."
    deep = max(remainders, key=lambda one: one.defocus_angstrom[1], default=None)
    if deep is not None and deep.defocus_angstrom[1] > 1.0:
        rms, most = deep.defocus_angstrom
        yield (
            f"Defoci of particles differ from Warp's by up to {most:.0f} Å, {rms:.0f} Å rms in {deep.name}: heights follow the refined"
            " stage angles here, which Warp leaves out of them, and not the motion."
        )

"""Particles for ChimeraX: markers with their z axes (.bild), and scripts (.cxc) that put a copy of a map at every particle.

Scenes are in Å, and the middle of the tomogram's first voxel is at the origin, as where ChimeraX opens the tomogram.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.chimerax_maps import quoted
from tomobayes.formats.text_writer import write_lines
from tomobayes.formats.voxels import TomogramGrid
from tomobayes.model import Dataset

__all__ = ["PlacedMap", "write_chimerax"]

Float = NDArray[np.float64]
COLOURS = ("0.26 0.52 0.96", "0.96 0.55 0.15", "0.20 0.66 0.33", "0.84 0.24 0.31", "0.58 0.40 0.74", "0.45 0.45 0.45")


@dataclass(frozen=True)
class PlacedMap:
    """A map file and the edge of its box in voxels, whose voxel box//2 stands where particles are."""

    path: Path
    box: int


def write_chimerax(
    folder: Path,
    dataset: Dataset,
    grid: TomogramGrid,
    marker_angstrom: float,
    placed: PlacedMap | None,
    tomograms: Mapping[str, Path] | None = None,
) -> list[Path]:
    """Write ``<tilt series>.bild`` and ``<tilt series>.cxc``, which opens it, for each that has particles; give the files.

    Parameters
    ----------
    marker_angstrom : diameter of the markers
    placed : map to put at every particle
    tomograms : tilt series -> file in the same folder that the script opens, too
    """
    particles = dataset.particles
    edge = grid.voxel_angstrom(dataset.tilt_series)[particles.tilt_series, None]
    scene = grid.voxels(dataset, first=0) * edge
    written = []
    for index in np.unique(particles.tilt_series).tolist():
        rows = np.flatnonzero(particles.tilt_series == index)
        markers = folder / f"{dataset.tilt_series[index].name}.bild"
        write_lines(markers, _markers(scene[rows], particles.rotation[rows], particles.class_number[rows], marker_angstrom))
        script = markers.with_suffix(".cxc")
        write_lines(script, _script(markers, scene[rows], particles.rotation[rows], placed, (tomograms or {}).get(markers.stem)))
        written += [markers, script]
    return written


def _markers(scene: Float, rotation: Float, classes: NDArray[np.int64], diameter: float) -> Iterator[str]:
    """A sphere for each particle and an arrow along its z axis, coloured by class."""
    for kind in np.unique(classes).tolist():
        yield f".color {COLOURS[max(kind - 1, 0) % len(COLOURS)]}"
        for place, turn in zip(scene[classes == kind], rotation[classes == kind], strict=True):
            yield f".sphere {_spaced(place)} {0.2 * diameter:.3f}"
            yield f".arrow {_spaced(place)} {_spaced(place + diameter * turn[:, 2])} {0.05 * diameter:.3f} {0.1 * diameter:.3f}"


def _script(markers: Path, scene: Float, rotation: Float, placed: PlacedMap | None, tomogram: Path | None) -> Iterator[str]:
    yield f"open {quoted(Path(markers.name))} id 1"
    if tomogram is not None:
        yield f"open {quoted(Path(tomogram.name))} id 2"
    if placed is None:
        return
    middle = placed.box // 2
    for copy, (place, turn) in enumerate(zip(scene, rotation, strict=True), start=2 if tomogram is None else 3):
        yield f"open {quoted(placed.path.resolve())} id {copy}"
        yield f"volume #{copy} originIndex {middle},{middle},{middle}"
        yield f"view matrix models #{copy},{','.join(f'{value:.6f}' for value in np.column_stack([turn, place]).ravel())}"


def _spaced(point: Float) -> str:
    return " ".join(f"{value:.3f}" for value in point)

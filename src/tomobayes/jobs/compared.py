"""Tilt images and the half-maps they are compared with, read and checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.compute.executors import Executor
from tomobayes.formats.relion import find_members, read_dataset
from tomobayes.fourier.grids import good_box
from tomobayes.imaging.gathering import Source, coarsest_pixel, folds_for
from tomobayes.inference.state import Settings
from tomobayes.jobs.experiment import Experiment, check_fits_images, check_pixels, symmetry_group, usable_or_refuse, with_halves
from tomobayes.jobs.half_maps import read_half_maps
from tomobayes.jobs.log import Log
from tomobayes.jobs.parameters import Align, RefineCtf
from tomobayes.jobs.references import solvent_mask
from tomobayes.maps.resampling import fourier_resample
from tomobayes.model import BadInput, Map, Problem, Reference
from tomobayes.tiltseries.boxes import Cutter
from tomobayes.tiltseries.rebuilding import rebuilt
from tomobayes.tiltseries.references import References, from_half_maps

__all__ = ["SAME", "Compared", "given_references", "load_compared", "rebuilt_references", "references_of"]

PIXEL_TOLERANCE = 1e-3
SAME = 1.1
"""How much finer than the given maps ones with the same parameters may come out."""


@dataclass(frozen=True)
class Compared:
    """An experiment with tilt images, its half-maps and its mask, on one grid.

    Parameters
    ----------
    files : of the maps, as the optimisation set is to name them
    rebuilt : whether the maps are rebuilt before anything is compared with them
    """

    experiment: Experiment
    halves: tuple[Map, Map]
    mask: NDArray[np.float32]
    files: Reference
    rebuilt: bool

    @property
    def folds(self) -> int:
        """Of each half-set in maps that are rebuilt."""
        return folds_for(int(self.experiment.usable.sum()) // 2)

    @property
    def inputs(self) -> list[Path | None]:
        """Files that were read."""
        return [*self.experiment.inputs, self.files.half1, self.files.half2, self.files.mask]


def load_compared(parameters: RefineCtf | Align, log: Log) -> Compared:
    """Read an experiment and its references, and check that they fit.

    Raises
    ------
    BadInput
        with everything that keeps the job from its work
    """
    members = find_members(*parameters.members)
    files = _map_files(parameters, members.reference)
    assert files.half1 is not None and files.half2 is not None
    halves = read_half_maps(files.half1, files.half2)
    dataset = read_dataset(*parameters.members, ignore_stored=True)
    if dataset.subtraction is not None:
        what, why = "has signal subtracted", "tilt images are aligned with, and their optics told by, all that particles show"
        raise BadInput(Problem(parameters.i, "", what, why, "use the set from which it was subtracted"))
    unbinned, pixel = coarsest_pixel(dataset), halves[0].pixel_size_angstrom
    if pixel < unbinned * (1 - PIXEL_TOLERANCE):
        what = f"has voxels of {pixel:g} Å, finer than the pixels of the tilt images, {unbinned:g} Å"
        raise BadInput(Problem(files.half1, "header", what, remedy="give maps of the images' pixel size or a coarser one"))
    mask = solvent_mask(files.mask, halves[0].box, pixel, parameters.particle_diameter)
    source = Source("series", halves[0].box, max(pixel / unbinned, 1.0), max_dose=parameters.max_dose or None)
    check_fits_images(dataset, source)
    check_pixels(dataset, "series", log)
    experiment = Experiment(dataset, members, source, usable_or_refuse(dataset, source), pixel)
    experiment, _ = with_halves(experiment, None, 0)
    few = folds_for(int(experiment.usable.sum()) // 2) > 1
    return Compared(experiment, halves, mask, files, few if parameters.references is None else parameters.references == "rebuilt")


def _map_files(parameters: RefineCtf | Align, given: Reference) -> Reference:
    files = replace(given, half1=parameters.ref1 or given.half1, half2=parameters.ref2 or given.half2, mask=parameters.mask or given.mask)
    if files.half1 is None or files.half2 is None:
        what = "names no half-maps, and images can be compared with nothing"
        remedy = "give them with --ref1 and --ref2, or the folder of a refine or reconstruct job with --i"
        raise BadInput(Problem(parameters.i, "rlnTomoReferenceMap1File", what, remedy=remedy))
    return files


def given_references(compared: Compared, sym: str) -> References:
    """The given half-maps."""
    first, second = compared.halves
    order = len(symmetry_group(sym))
    return from_half_maps((first.data, second.data), compared.mask, first.pixel_size_angstrom, len(compared.experiment.usable), order)


def references_of(
    compared: Compared, given: References, cutter: Cutter, sym: str, diameter_angstrom: float, executor: Executor
) -> References:
    """The given half-maps, or ones rebuilt from the images with the parameters that they have, to the same resolution and a little more."""
    if not compared.rebuilt:
        return given
    return rebuilt_references(compared, cutter, sym, diameter_angstrom, round(SAME * given.radius), executor)


def rebuilt_references(
    compared: Compared, cutter: Cutter, sym: str, diameter_angstrom: float, reach: int, executor: Executor
) -> References:
    """Half-maps of the images as a data set has them, on the coarsest grid that holds their resolution: nothing finer is compared.

    Parameters
    ----------
    cutter : of the experiment's images, with whatever parameters
    reach : Fourier pixels up to which the maps may be resolved
    """
    first, experiment = compared.halves[0], compared.experiment
    box = min(first.box, good_box(2 * reach + 4))
    binning = first.box / box
    settings = Settings(
        box=box,
        pixel_size_angstrom=first.pixel_size_angstrom * binning,
        particle_diameter=diameter_angstrom,
        group=symmetry_group(sym),
        mask=fourier_resample(compared.mask, box).clip(0, 1),
    )
    return rebuilt(cutter, experiment.usable, settings, reach, experiment.source.max_dose, executor)

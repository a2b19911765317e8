"""What a job works on: a data set with images that are fit for use, and how boxes are cut from them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.mrc_images import check_images
from tomobayes.formats.relion import OptimisationSet, find_members, read_dataset
from tomobayes.formats.stored_particles import StoredStacks, StoredSubtomograms, check_stored
from tomobayes.geometry.pointgroups import is_subgroup, point_group
from tomobayes.imaging.gathering import Engine, Source, choose_engine, coarsest_pixel, usable_particles
from tomobayes.jobs.doubts import doubts
from tomobayes.jobs.log import Log
from tomobayes.jobs.parameters import ImageParameters, InitialModel, Refine
from tomobayes.model import BadInput, Dataset, Map, Problem
from tomobayes.particles.halves import assign_halves

__all__ = [
    "Experiment",
    "check_fits_images",
    "check_pixels",
    "load_experiment",
    "one_pixel_size",
    "pixel_problems",
    "prior_problems",
    "relaxed_group",
    "symmetry_group",
    "usable_or_refuse",
    "with_halves",
]

PIXEL_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Experiment:
    """A data set, the files it came from, how its images are used, and which particles they are enough for.

    Parameters
    ----------
    usable : (P,) bool
    pixel_size_angstrom : of the binned boxes
    """

    dataset: Dataset
    members: OptimisationSet
    source: Source
    usable: NDArray[np.bool_]
    pixel_size_angstrom: float

    @property
    def inputs(self) -> list[Path | None]:
        """Files that were read."""
        return [self.members.particles, self.members.tomograms, self.members.trajectories]


def load_experiment(parameters: ImageParameters, log: Log, like: tuple[Path, Map] | None = None) -> Experiment:
    """Read an experiment and check all of it, pixels included.

    Parameters
    ----------
    like : reference whose box and pixel size are taken where the options do not say

    Raises
    ------
    BadInput
        with everything that keeps the job from its work
    """
    members = find_members(*parameters.members)
    dataset = read_dataset(*parameters.members, ignore_stored=parameters.images == "series")
    engine = parameters.images or choose_engine(dataset)
    _check_engine(parameters, dataset, engine)
    unbinned = coarsest_pixel(dataset)
    source = _source(parameters, dataset, engine, unbinned, like)
    check_pixels(dataset, engine, log)
    usable = usable_or_refuse(dataset, source)
    return Experiment(dataset, members, source, usable, unbinned * source.binning)


def one_pixel_size(dataset: Dataset) -> float:
    """The unbinned pixel size, which all tilt series with particles must share."""
    used = [dataset.tilt_series[index] for index in np.unique(dataset.particles.tilt_series).tolist()]
    first = used[0]
    for other in used[1:]:
        if abs(other.pixel_size_angstrom / first.pixel_size_angstrom - 1) > PIXEL_TOLERANCE:
            what = f"its pixel size {other.pixel_size_angstrom:g} Å differs from the {first.pixel_size_angstrom:g} Å of {first.name}"
            remedy = "work on each kind alone, or on the tilt images, from which refine and reconstruct take all kinds together"
            raise BadInput(Problem(other.name, "rlnTomoTiltSeriesPixelSize", what, "one binning would give boxes of several", remedy))
    return float(first.pixel_size_angstrom)


def _check_engine(parameters: ImageParameters, dataset: Dataset, engine: Engine) -> None:
    stored = {"stacks": dataset.particles.stacks, "subtomograms": dataset.particles.subtomograms}
    if engine == "series":
        return
    problems = []
    if stored[engine] is None:
        what = f"asks for stored {engine}, but the particles name none"
        problems.append(Problem(None, "--images", what, remedy="extract them first, or leave out --images"))
    settled = ("extract_box",) if engine == "stacks" else ("extract_box", "max_dose", "min_frames")
    problems += [_decided(parameters, name, engine) for name in settled if getattr(parameters, name) not in (None, 1)]
    if problems:
        raise BadInput(problems)


def _decided(parameters: ImageParameters, name: str, engine: Engine) -> Problem:
    what = f"says nothing about stored {engine}: it was decided when they were extracted"
    return Problem(None, parameters.option(name), what, remedy="leave it out, extract again, or use the tilt images with --images series")


def _source(parameters: ImageParameters, dataset: Dataset, engine: Engine, unbinned: float, like: tuple[Path, Map] | None) -> Source:
    """Box and binning from the options, stored images or a reference, in this order."""
    if engine == "series":
        box = parameters.box or (None if like is None else like[1].box)
        binning = parameters.bin or (1.0 if like is None else like[1].pixel_size_angstrom / unbinned)
        if box is None:
            raise BadInput(
                Problem(None, "--box", "is needed where there is no reference", remedy="give the edge of the map in binned pixels")
            )
        if like is not None and binning < 1 - PIXEL_TOLERANCE:
            what = f"has voxels of {like[1].pixel_size_angstrom:g} Å, finer than the pixels of the coarsest tilt images ({unbinned:g} Å)"
            raise BadInput(Problem(like[0], "header", what, remedy="resample it to the images' pixel size or a coarser one"))
        check_fits_images(dataset, Source(engine, box, binning))
    else:
        stored = dataset.particles.stacks if engine == "stacks" else dataset.particles.subtomograms
        assert stored is not None
        box, binning = stored.box, stored.pixel_size_angstrom / unbinned
        _check_as_stored(parameters, engine, box, binning)
    return Source(engine, box, binning, parameters.extract_box, parameters.max_dose, parameters.min_frames)


def check_fits_images(dataset: Dataset, source: Source) -> None:
    """Refuse boxes that are larger than the tilt images."""
    problems = []
    for index in np.unique(dataset.particles.tilt_series).tolist():
        series = dataset.tilt_series[index]
        assert series.image_size is not None
        binning = source.binning_of(dataset, series)
        if source.box * binning > min(series.image_size):
            width, height = series.image_size
            what = f"a box of {source.box} pixels at binning {binning:g} does not fit into images of {width} x {height} pixels"
            problems.append(Problem(series.name, "--box", what, remedy=f"ask for at most {int(min(series.image_size) / binning) // 2 * 2}"))
    if problems:
        raise BadInput(problems)


def _check_as_stored(parameters: ImageParameters, engine: Engine, box: int, binning: float) -> None:
    problems = []
    remedy = "leave it out, extract again, or use the tilt images with --images series"
    if parameters.box not in (None, box):
        problems.append(Problem(None, "--box", f"is {parameters.box}, but the stored {engine} have {box} pixels", remedy=remedy))
    if parameters.bin is not None and abs(parameters.bin / binning - 1) > PIXEL_TOLERANCE:
        problems.append(Problem(None, "--bin", f"is {parameters.bin:g}, but the stored {engine} are binned by {binning:g}", remedy=remedy))
    if problems:
        raise BadInput(problems)


def check_pixels(dataset: Dataset, engine: Engine, log: Log) -> None:
    """Look at every image once: constant ones and those with NaN are refused; and tell what else is odd with the data."""
    problems = pixel_problems(dataset, engine, log)
    if problems:
        raise BadInput(problems)
    for doubt in doubts(dataset):
        log.warn(str(doubt))


def pixel_problems(dataset: Dataset, engine: Engine, log: Log) -> list[Problem]:
    """What is wrong with the pixels of the images that an engine would use."""
    if engine != "series":
        stored = dataset.particles.stacks if engine == "stacks" else dataset.particles.subtomograms
        assert isinstance(stored, (StoredStacks, StoredSubtomograms))
        return check_stored(stored)
    problems: list[Problem] = []
    used = [dataset.tilt_series[index] for index in np.unique(dataset.particles.tilt_series).tolist()]
    with log.steps("Looking at the tilt images", len(used)) as step:
        for series in used:
            assert series.images is not None
            problems += check_images(series.images, _source_name(series.images, series.name))
            step(1)
    return problems


def _source_name(images: object, name: str) -> str:
    """The stack's file, or the tilt series' name where every image has a file of its own."""
    files = {path for path, _ in getattr(images, "slices", ())}
    return str(files.pop()) if len(files) == 1 else name


def usable_or_refuse(dataset: Dataset, source: Source) -> NDArray[np.bool_]:
    """(P,) which particles take part; at least one must."""
    usable = usable_particles(dataset, source)
    if not usable.any():
        what = f"no particle has its whole box of {source.box} pixels inside at least {source.min_tilts} of its images"
        raise BadInput(Problem(None, "--box, --min-frames, --max-dose", what, remedy="make the box smaller or ask for fewer images"))
    return usable


def with_halves(experiment: Experiment, diameter_angstrom: float | None, seed: int) -> tuple[Experiment, bool]:
    """The experiment with every particle in half 1 or 2, and whether they had to be dealt."""
    particles = experiment.dataset.particles
    given = np.isin(particles.half, (1, 2))
    file = experiment.members.particles
    dealt = not given.any()
    if not given.all() and not dealt:
        where = f"row {int(np.flatnonzero(~given)[0]) + 1}, column rlnRandomSubset"
        what = f"{int((~given).sum())} of {len(given)} particles are in neither half-set 1 nor 2"
        raise BadInput(Problem(file, where, what, remedy="give all of them a half-set, or remove the column to have them dealt"))
    if dealt:
        if diameter_angstrom is None:
            what = "the particles have no half-sets (rlnRandomSubset)"
            why = "neighbours closer than a diameter must go to the same half"
            raise BadInput(Problem(file, "", what, why, "give --particle-diameter"))
        half = assign_halves(particles.centre_angstrom, particles.tilt_series, diameter_angstrom, seed)
        dataset = experiment.dataset.with_particles(replace(particles, half=half))
        experiment = replace(experiment, dataset=dataset)
    empty = [half for half in (1, 2) if not (experiment.usable & (experiment.dataset.particles.half == half)).any()]
    if empty:
        what = f"half-set {empty[0]} has no particle that can be used"
        raise BadInput(Problem(file, "", what, "a resolution needs two halves", "give more particles or a smaller --particle-diameter"))
    return experiment, dealt


def prior_problems(parameters: Refine | InitialModel, experiment: Experiment) -> list[Problem]:
    """Priors on Euler angles whose centres the particle file does not tell."""
    file, particles = experiment.members.particles, experiment.dataset.particles
    problems = []
    for option, width, column, prior in (
        ("--sigma-tilt", parameters.sigma_tilt, "rlnAngleTiltPrior", particles.tilt_prior_degrees),
        ("--sigma-psi", parameters.sigma_psi, "rlnAnglePsiPrior", particles.psi_prior_degrees),
        ("--sigma-rot", parameters.sigma_rot, "rlnAngleRotPrior", particles.rot_prior_degrees),
    ):
        if width is not None and bool(np.isnan(prior).all()):
            what = f"{option} needs the column {column}"
            problems.append(Problem(file, "table data_particles", what, remedy=f"add the column, or leave out {option}"))
    return problems


def symmetry_group(symbol: str, option: str = "--sym") -> NDArray[np.float64]:
    """(G, 3, 3) operators of a point group that a user named."""
    try:
        return point_group(symbol)
    except ValueError as error:
        raise BadInput(Problem(None, option, str(error))) from None


def relaxed_group(symbol: str, sym: str) -> NDArray[np.float64]:
    """(K, 3, 3) operators of a point group that contains that of the maps, ``sym``."""
    group = symmetry_group(symbol, "--relax-sym")
    if not is_subgroup(symmetry_group(sym), group):
        what = f"--sym {sym} is no subgroup of {symbol}"
        why = "the maps would have a symmetry that the particle does not even nearly have"
        raise BadInput(Problem(None, "--relax-sym", what, why, "choose --sym so that all its axes are also axes of --relax-sym"))
    return group

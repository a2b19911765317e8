"""A data set out of files of several programs, and what was understood of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.composed_particles import compose_particles, local_motion
from tomobayes.formats.composed_series import Composed, Understood, compose_series
from tomobayes.formats.coordinates import EulerConvention, read_coordinates
from tomobayes.formats.dynamo import read_dynamo, read_dynamo_tomograms
from tomobayes.formats.poses import Poses, Zero
from tomobayes.formats.problems import collecting, shortened
from tomobayes.formats.sources import Given, Sources
from tomobayes.formats.stopgap import read_stopgap
from tomobayes.jobs.import_files import find_files, find_sources
from tomobayes.jobs.parameters import ImportProject
from tomobayes.model import BadInput, Dataset, Optics, Particles, Problem, TiltSeries

__all__ = ["Imported", "compose_dataset", "compose_picks"]

Float = NDArray[np.float64]

ZERO: dict[str, Zero] = {"corner": "first voxel is 0", "corner-1": "first voxel is 1", "middle": "centre"}
OF_SERIES = "tilt series "
MOTIVE_LIST, HEAD_BYTES = b"stopgap_motivelist", 4096


@dataclass(frozen=True)
class Imported:
    """A data set, what was understood of each tilt series (where several files told of it), sentences for people, files that were read."""

    dataset: Dataset
    understood: tuple[Understood, ...] = ()
    notes: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()


def compose_dataset(parameters: ImportProject) -> Imported:
    """Tilt series from mdoc, alignment, CTF and images, and particles in them.

    Raises
    ------
    BadInput
        with everything that is wrong, ambiguous or not known of any tilt series
    """
    sources, notes = find_sources(parameters)
    problems: list[Problem] = []
    given = _given(parameters)
    composed = [one for source in sources if (one := compose_series(source, given, problems)) is not None]
    poses = _read_picks(parameters, problems)
    if problems:
        raise BadInput(_together(problems))
    series = tuple(one.series for one in composed)
    particles = _particles(parameters, poses, series, {source.name: True for source in sources}, problems)
    if problems or particles is None:
        raise BadInput(problems)
    optics = tuple({one.optics.name: one.optics for one in composed}.values())
    rows = [optics.index(one.optics) for one in composed]
    particles = _with_optics(particles, rows)
    motion, told = _motion(particles, composed, sources)
    understood = tuple(one.understood for one in composed)
    sentences = _sentences(understood)
    if parameters.hand is None:
        sentences.append("The hand is not given: −1 is assumed, as on most microscopes; check measures it once particles have poses.")
    return Imported(Dataset(series, optics, particles, motion), understood, tuple([*notes, *sentences, *told]), _files(sources, poses))


def compose_picks(parameters: ImportProject, series: Sequence[TiltSeries], optics: Sequence[Optics]) -> tuple[Particles, tuple[Path, ...]]:
    """Particles of other programs in tilt series of a project, and the files they were read from."""
    problems: list[Problem] = []
    poses = _read_picks(parameters, problems)
    particles = None if problems else _particles(parameters, poses, series, {}, problems)
    if problems or particles is None:
        raise BadInput(problems)
    names = [group.name for group in optics]
    return _with_optics(particles, [names.index(one.optics_name) for one in series]), tuple(one.file for one in poses)


def _read_picks(parameters: ImportProject, problems: list[Problem]) -> list[Poses]:
    """All files of particles."""
    poses: list[Poses] = []
    with collecting(problems):
        for path in find_files("--particles", parameters.particles):
            with collecting(problems):
                poses.append(_read_poses(path, parameters.euler))
    return poses


def _read_poses(path: Path, euler: EulerConvention | None) -> Poses:
    """A file of any of the programs; tomograms of a motive list have their names in a .doc of its name, as Dynamo's have."""
    if path.suffix == ".tbl":
        return read_dynamo(path)
    with path.open("rb") as stream:
        is_motive_list = MOTIVE_LIST in stream.read(HEAD_BYTES)
    names = path.with_suffix(".doc")
    if path.suffix == ".star" and is_motive_list:
        return read_stopgap(path, read_dynamo_tomograms(names) if names.exists() else None)
    return read_coordinates(path, euler)


def _together(problems: Sequence[Problem]) -> list[Problem]:
    """One problem for all tilt series that lack the same, so that a hundred of them are one sentence."""
    groups: dict[Problem, list[str]] = {}
    for problem in problems:
        of_series = problem.file is None and problem.where.startswith(OF_SERIES)
        alike = replace(problem, where="") if of_series else problem
        groups.setdefault(alike, []).append(problem.where.removeprefix(OF_SERIES) if of_series else "")
    return [replace(one, where=f"{OF_SERIES}{shortened(names)}") if names[0] else one for one, names in groups.items()]


def _sentences(understood: Sequence[Understood]) -> list[str]:
    """What is to be said of tilt series, each sentence once for all that it holds for."""
    names: dict[str, list[str]] = {}
    for one in understood:
        for sentence in one.sentences:
            names.setdefault(sentence, []).append(one.name)
    return [f"{shortened(of_series)}: {sentence}." for sentence, of_series in names.items()]


def _given(parameters: ImportProject) -> Given:
    return Given(
        pixel_size_angstrom=parameters.angpix,
        aligned_angstrom=parameters.alignment_angpix,
        dose_per_tilt=parameters.dose_per_tilt,
        axis_degrees=parameters.tilt_axis,
        hand=parameters.hand,
        tomogram_size=parameters.tomogram_size,
        image_size=parameters.image_size,
        voltage_kv=parameters.kv,
        spherical_aberration_mm=parameters.cs,
        amplitude_contrast=parameters.q0,
        order="section" if "section" in parameters.order else "time",
    )


def _particles(
    parameters: ImportProject, poses: Sequence[Poses], series: Sequence[TiltSeries], block: dict[str, bool], problems: list[Problem]
) -> Particles | None:
    zero = ZERO[parameters.coordinates_centre] if parameters.coordinates_centre is not None else None
    return compose_particles(poses, series, parameters.coordinates_angpix, zero, block, problems)


def _with_optics(particles: Particles, of_series: Sequence[int]) -> Particles:
    return replace(particles, optics=np.array(of_series, dtype=np.int64)[particles.tilt_series])


def _motion(particles: Particles, composed: Sequence[Composed], sources: Sequence[Sources]) -> tuple[tuple[Float, ...] | None, list[str]]:
    """Local alignments as motion of every particle; None where there are none."""
    local = [source.name for source in sources if source.aligned is not None and source.aligned.local_shift is not None]
    if not local:
        return None, []
    if len(particles) == 0:
        return None, [
            f"{shortened(local)}: the local alignment is left out, because it is taken over as motion of particles: give --particles."
        ]
    motion: list[Float] = [np.zeros((composed[index].series.n_tilts, 3)) for index in particles.tilt_series.tolist()]
    for index, (one, source) in enumerate(zip(composed, sources, strict=True)):
        if source.aligned is None or source.aligned.local_shift is None:
            continue
        moved = local_motion(particles, index, one.series, source.aligned, one.aligned_rows, one.aligned_scale)
        for row, mine in zip(np.flatnonzero(particles.tilt_series == index).tolist(), moved, strict=True):
            motion[row] = mine
    return tuple(motion), [f"{shortened(local)}: the local alignment is taken over as motion of every particle."]


def _files(sources: Sequence[Sources], poses: Sequence[Poses]) -> tuple[Path, ...]:
    parts = [part for source in sources for part in (source.acquired, source.aligned, source.defocused, source.images) if part is not None]
    return (*(part.file for part in parts), *(one.file for one in poses))

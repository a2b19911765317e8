"""``sample-surface``: particles evenly over picked surfaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.relion import OptimisationSet, read_optimisation_set, write_dataset
from tomobayes.formats.relion_optics import load_optics
from tomobayes.formats.relion_tomograms import load_tomograms
from tomobayes.formats.relion_write import Part
from tomobayes.jobs.curation import distance_chart
from tomobayes.jobs.frame import Context
from tomobayes.jobs.parameters import SampleSurface
from tomobayes.jobs.picked_objects import PickedObject, picked_objects
from tomobayes.model import BadInput, Dataset, Optics, Problem, TiltSeries
from tomobayes.particles.even_cover import even_cover
from tomobayes.particles.neighbours import nearest_distance
from tomobayes.particles.on_surfaces import standing_particles
from tomobayes.report import Fact, Finding, Report, Section, Table, directions_of

__all__ = ["run"]

Float = NDArray[np.float64]
_RELION4 = "rlnTomoProjX"


@dataclass(frozen=True)
class _Covered:
    """One object with its particles: positions and normals (N, 3), those outside the tomogram left out."""

    picked: PickedObject
    position: Float
    normals: Float
    n_outside: int


def run(parameters: SampleSurface, context: Context) -> Path:
    """Write particles.star and an optimisation set."""
    tomograms = _tomogram_file(parameters)
    series, optics = _tomograms(tomograms)
    objects = picked_objects(parameters, series)
    covered = _cover(objects, series, parameters, context)
    if not any(len(one.position) for one in covered):
        remedy = "check --coordinate-angpix, the pixel size of the tomogram the points were picked in"
        raise BadInput(Problem(", ".join(map(str, parameters.picks)), "", "all of the surfaces lie outside the tomograms", remedy=remedy))
    folder = context.open([*parameters.picks, tomograms])
    dataset, number = _dataset(covered, series, optics, parameters.random_seed)
    what: list[Part] = ["particles"]
    if any(_RELION4 in one.columns for one in series):
        what.append("tomograms")
    written = write_dataset(
        folder, dataset, what=what, members=OptimisationSet(tomograms=tomograms), extra={"rlnTomoManifoldIndex": number}
    )
    context.output(written, folder / "particles.star")
    context.log.say(f"{len(dataset.particles)} particles on {len(objects)} surfaces")
    context.show(_report(covered, dataset, parameters))
    return folder


def _tomogram_file(parameters: SampleSurface) -> Path:
    if parameters.t is not None:
        return parameters.t
    assert parameters.i is not None
    found = read_optimisation_set(parameters.i).tomograms
    if found is None:
        raise BadInput(Problem(parameters.i, "", "names no tomograms", remedy="give the tomogram file with --t"))
    return found


def _tomograms(path: Path) -> tuple[tuple[TiltSeries, ...], tuple[Optics, ...]]:
    """Tilt series, whose images need not be at hand, and their optics groups."""
    problems: list[Problem] = []
    tomograms = load_tomograms(path, None, "optional", problems)
    if problems:
        raise BadInput(problems)
    return tomograms.series, load_optics({}, path, tomograms, problems).optics


def _cover(objects: Sequence[PickedObject], series: Sequence[TiltSeries], parameters: SampleSurface, context: Context) -> list[_Covered]:
    covered = []
    with context.log.steps("Surfaces", len(objects)) as step:
        for index, picked in enumerate(objects):
            position, normals = even_cover(picked.surface, parameters.spacing, parameters.random_seed + index)
            position = position + parameters.offset * normals
            one = series[picked.tilt_series]
            inside = (np.abs(position) <= np.array(one.tomogram_size) / 2 * one.pixel_size_angstrom).all(1)
            sign = -1.0 if parameters.inward else 1.0
            covered.append(_Covered(picked, position[inside], sign * normals[inside], int((~inside).sum())))
            step(1)
    return covered


def _dataset(
    covered: Sequence[_Covered], series: Sequence[TiltSeries], optics: Sequence[Optics], seed: int
) -> tuple[Dataset, NDArray[np.int64]]:
    """The particles, object after object, and the number of each one's object in its tomogram, from 1."""
    counts = [len(one.position) for one in covered]
    rows = np.repeat([one.picked.tilt_series for one in covered], counts)
    group = {each.name: index for index, each in enumerate(optics)}
    optics_rows = np.array([group[one.optics_name] for one in series], dtype=np.int64)[rows]
    number = np.repeat(_numbers([one.picked.tilt_series for one in covered]), counts)
    names = np.array([f"{series[row].name}/{i}" for row, i in zip(rows.tolist(), _numbers(rows.tolist()).tolist(), strict=True)])
    position, normals = (np.concatenate([getattr(one, part) for one in covered]) for part in ("position", "normals"))
    particles = standing_particles(position, normals, rows, optics_rows, names, seed)
    return Dataset(tuple(series), tuple(optics), particles), number


def _numbers(keys: Sequence[int]) -> NDArray[np.int64]:
    """How often each key has occurred so far, itself included."""
    seen: dict[int, int] = {}
    numbers = []
    for key in keys:
        seen[key] = seen.get(key, 0) + 1
        numbers.append(seen[key])
    return np.array(numbers, dtype=np.int64)


def _report(covered: Sequence[_Covered], dataset: Dataset, parameters: SampleSurface) -> Report:
    particles = dataset.particles
    facts = [
        Fact("Particles", f"{len(particles)} on {len(covered)} surfaces"),
        Fact("Spacing", f"{parameters.spacing:g} Å: each has {parameters.spacing**2 / 100:.3g} nm²"),
    ]
    outside = sum(one.n_outside for one in covered)
    findings = [Finding("note", "Tilt and psi have priors (90° and 0°): refine with --sigma-tilt to hold particles near the normal.")]
    if outside:
        findings.append(Finding("note", f"{outside} places outside the tomograms were left out."))
    rows = []
    for one in covered:
        area = round(one.picked.surface.area / 100)
        rows.append((dataset.tilt_series[one.picked.tilt_series].name, one.picked.name, area, len(one.position), one.picked.remark))
    table = Table("Surfaces", ("Tomogram", "Object", "Area (nm²)", "Particles", "Remark"), rows)
    nearest = nearest_distance(particles.position_angstrom, particles.tilt_series)
    chart = distance_chart("Distance to the nearest neighbour", {"Particles": nearest})
    sections = [Section("Surfaces", [table, chart]), Section("Poses", [directions_of(particles.rotation)])]
    return Report("Particles on surfaces", facts=facts, findings=findings, sections=sections)

"""``import``: projects of RELION, Warp and M, or files of several programs together, as native RELION-5 files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tomobayes.formats.relion import (
    OptimisationSet,
    find_members,
    read_dataset,
    read_optimisation_set,
    read_tomograms,
    write_dataset,
    write_optimisation_set,
    write_tomograms,
)
from tomobayes.formats.relion_optics import optics_of_tomograms
from tomobayes.formats.warp import WarpSizes, is_warp_project, read_warp
from tomobayes.jobs.describe import data_report, describe
from tomobayes.jobs.frame import Context
from tomobayes.jobs.import_mixed import Imported, compose_dataset, compose_picks
from tomobayes.jobs.import_report import lines_of, sections_of
from tomobayes.jobs.parameters import ImportProject
from tomobayes.model import BadInput, Dataset, Problem
from tomobayes.report import Finding

__all__ = ["run"]

TABLES_OF_WARP = (".star",)

OF_RELION = ("angpix", "tomogram_size", "image_size")
"""What a RELION project says itself, and one of Warp may not."""
OF_PROJECTS_PARTICLES = ("p", "mot")
OF_PICKS = ("coordinates_angpix", "coordinates_centre", "euler")


def run(parameters: ImportProject, context: Context) -> Path:
    """Read all there is, say what was understood of it, and write optimisation set, tomograms, tilt series, particles and motion."""
    imported, members = _read(parameters)
    folder = context.open(imported.files)
    description = describe(imported.dataset)
    for line in (*lines_of(imported.understood), *description.sentences, *imported.notes):
        context.log.say(line)
    context.output(*_write(folder, imported.dataset, members))
    report = data_report("Imported project", imported.dataset, description)
    findings = [*report.findings, *(Finding("note", note) for note in imported.notes)]
    context.show(replace(report, findings=findings, sections=[*sections_of(imported.understood), *report.sections]))
    return folder


def _write(folder: Path, dataset: Dataset, members: OptimisationSet | None) -> list[Path]:
    """Everything; without particles, an optimisation set that names the tomograms alone, for picks to come."""
    files = [folder / "optimisation_set.star", folder / "tomograms.star"]
    if len(dataset.particles):
        write_dataset(folder, dataset, members=members)
        return [*files, folder / "particles.star"]
    write_optimisation_set(files[0], OptimisationSet(tomograms=write_tomograms(folder, dataset.tilt_series, dataset.optics)))
    return files


def _read(parameters: ImportProject) -> tuple[Imported, OptimisationSet | None]:
    if parameters.is_mixed:
        return compose_dataset(parameters), None
    if parameters.i is not None and is_warp_project(parameters.i):
        return _read_warp(parameters, parameters.i), None
    _refuse(parameters, [*OF_RELION, *(OF_PROJECTS_PARTICLES if parameters.particles else OF_PICKS)])
    if parameters.particles:
        return _read_relion_with_picks(parameters), None
    members = find_members(*parameters.members)
    dataset = read_dataset(*parameters.members, require_images=False)
    files = tuple(path for path in (members.particles, members.tomograms, members.trajectories) if path is not None)
    return Imported(dataset, files=files), members


def _refuse(parameters: ImportProject, unused: Sequence[str]) -> None:
    """Options that would change nothing."""
    given = [f"--{name.replace('_', '-')}" for name in unused if getattr(parameters, name) is not None]
    if given:
        why = "is known from the project and the particles"
        raise BadInput([Problem(None, option, why, remedy="leave it out") for option in given])


def _read_warp(parameters: ImportProject, source: Path) -> Imported:
    """A project of Warp or M, with particles of its own tables or of other programs."""
    tables = [Path(name) for name in parameters.particles]
    own = tables[0] if len(tables) == 1 and tables[0].suffix in TABLES_OF_WARP else parameters.p
    _refuse(parameters, ["t", "mot", *(OF_PICKS[1:] if own is not None else ()), *(["p"] if tables else [])])
    sizes = WarpSizes(parameters.angpix, parameters.tomogram_size, parameters.image_size)
    found = read_warp(source, own, sizes=sizes, coordinate_pixel_size_angstrom=parameters.coordinates_angpix)
    dataset, files = found.dataset, (source, *([own] if own is not None else []))
    if tables and own is None:
        particles, picked = compose_picks(parameters, dataset.tilt_series, dataset.optics)
        dataset, files = replace(dataset, particles=particles, motion_angstrom=None), (source, *picked)
    return Imported(dataset, notes=found.notes, files=files)


def _read_relion_with_picks(parameters: ImportProject) -> Imported:
    """Tilt series of a RELION project with particles of other programs."""
    tomograms = parameters.t
    if tomograms is None and parameters.i is not None:
        tomograms = read_optimisation_set(parameters.i).tomograms
    if tomograms is None:
        raise BadInput(Problem(parameters.i, "", "names no tomograms", remedy="name them with --t"))
    series = read_tomograms(tomograms, images="optional")
    optics = optics_of_tomograms(series)
    particles, files = compose_picks(parameters, series, optics)
    return Imported(Dataset(series, optics, particles), files=(tomograms, *files))

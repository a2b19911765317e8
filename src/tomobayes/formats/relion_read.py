"""Reading a whole RELION-4 or RELION-5 project into a Dataset."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from tomobayes.formats.problems import collecting
from tomobayes.formats.relion_motion import load_motion
from tomobayes.formats.relion_particles import load_particles, particle_reader
from tomobayes.formats.relion_set import OptimisationSet, read_optimisation_set
from tomobayes.formats.relion_stored import StoredKind, attach_stored, stored_kind
from tomobayes.formats.relion_subtraction import load_subtraction
from tomobayes.formats.relion_tomograms import ImagePolicy, Tomograms, load_tomograms
from tomobayes.formats.star import Table, read_star
from tomobayes.formats.star_values import TableReader
from tomobayes.model import BadInput, Dataset, Optics, Particles, Problem

__all__ = ["find_members", "read_dataset"]

MISSING_MEMBER = {
    "particles": ("no particles are given", "name a particle file (--p) or an optimisation set (--i) that has one"),
    "tomograms": ("no tomograms are given", "name a tomogram file (--t) or an optimisation set (--i) that has one"),
}


def read_dataset(
    optimisation_set: Path | str | None = None,
    particles: Path | str | None = None,
    tomograms: Path | str | None = None,
    trajectories: Path | str | Literal["none"] | None = None,
    root: Path | None = None,
    *,
    require_images: bool = True,
    ignore_stored: bool = False,
) -> Dataset:
    """Read everything known of an experiment.

    Images stored per particle are used where ``rlnImageName`` names them, and tilt images are then optional; else tilt images are needed.

    Parameters
    ----------
    optimisation_set : file, or folder of a job that wrote one
    particles, tomograms, trajectories : take the place of the set's members; trajectories "none" goes without motion
    root : folder that names inside the files are relative to, by default the current one (then the files' own and those above)
    require_images : whether absent images are a fault; without, the data set may have metadata only
    ignore_stored : use the tilt images even where stored images are named

    Raises
    ------
    BadInput
        with everything that is wrong with any of the files
    """
    members = find_members(optimisation_set, particles, tomograms, trajectories, root)
    assert members.particles is not None and members.tomograms is not None
    problems: list[Problem] = []
    tables: dict[str, Table] = {}
    with collecting(problems):
        tables = read_star(members.particles)
    kind = None if ignore_stored else stored_kind(tables)
    policy: ImagePolicy = "required" if require_images and kind is None else "optional"
    loaded_tomograms = load_tomograms(members.tomograms, root, policy, problems)
    reader = particle_reader(tables, members.particles, problems) if tables else None
    loaded = load_particles(reader, tables, loaded_tomograms) if reader is not None else None
    dataset = None
    if reader is not None and loaded is not None:
        dataset = _assemble(loaded, loaded_tomograms, kind, reader, members, root, require_images)
    if problems or dataset is None:
        raise BadInput(problems)
    return dataset


def find_members(
    optimisation_set: Path | str | None = None,
    particles: Path | str | None = None,
    tomograms: Path | str | None = None,
    trajectories: Path | str | Literal["none"] | None = None,
    root: Path | None = None,
) -> OptimisationSet:
    """The files of a project: those of the optimisation set, with the ones given taking their place; particles and tomograms for sure."""
    members = read_optimisation_set(optimisation_set, root) if optimisation_set is not None else OptimisationSet()
    members = replace(
        members,
        particles=Path(particles) if particles is not None else members.particles,
        tomograms=Path(tomograms) if tomograms is not None else members.tomograms,
        trajectories=None if trajectories == "none" else Path(trajectories) if trajectories is not None else members.trajectories,
    )
    missing = [MISSING_MEMBER[member] for member in MISSING_MEMBER if getattr(members, member) is None]
    if missing:
        raise BadInput([Problem(optimisation_set, "", what, remedy=remedy) for what, remedy in missing])
    return members


def _assemble(
    loaded: tuple[tuple[Optics, ...], Particles],
    tomograms: Tomograms,
    kind: StoredKind | None,
    reader: TableReader,
    members: OptimisationSet,
    root: Path | None,
    require_images: bool,
) -> Dataset:
    """Stored images and motion put to particles that are sound."""
    optics, particles = loaded
    if kind is not None:
        stored_reader = reader if require_images else TableReader(reader.file, reader.table)
        particles = attach_stored(particles, optics, tomograms.series, kind, stored_reader, root)
    motion = None
    if members.trajectories is not None and not members.trajectories.exists():
        remedy = "correct the name, or go without motion (trajectories none)"
        reader.problems.append(Problem(members.trajectories, "", "the trajectories are not there", remedy=remedy))
    elif members.trajectories is not None:
        n_tilts = [tomograms.series[i].n_tilts for i in particles.tilt_series.tolist()]
        with collecting(reader.problems):
            motion = load_motion(members.trajectories, particles.name.tolist(), n_tilts, reader.problems)
    particles, subtraction = load_subtraction(particles, members.others, reader, root)
    if subtraction is not None and kind is not None and require_images:
        remedy = "use the tilt images (--images series), or extract the images again"
        reader.report("column rlnImageName", "names stored images, from which no signal can be subtracted", remedy)
    return Dataset(tomograms.series, optics, particles, motion, members.reference, subtraction)

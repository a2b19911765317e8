"""RELION's optimisation set: the files that together describe one state of a project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tomobayes.formats.paths import Folders, name_from
from tomobayes.formats.star import Table, read_star, write_star
from tomobayes.model import BadInput, Problem, Reference

__all__ = ["OptimisationSet", "find_optimisation_set", "read_optimisation_set", "write_optimisation_set"]

FILE_LABELS = {
    "particles": "rlnTomoParticlesFile",
    "tomograms": "rlnTomoTomogramsFile",
    "trajectories": "rlnTomoTrajectoriesFile",
    "manifolds": "rlnTomoManifoldsFile",
}
REFERENCE_LABELS = {
    "half1": "rlnTomoReferenceMap1File",
    "half2": "rlnTomoReferenceMap2File",
    "mask": "rlnTomoReferenceMaskFile",
    "fsc": "rlnTomoReferenceFscFile",
}


@dataclass(frozen=True)
class OptimisationSet:
    """Members of an optimisation set as paths that hold from the current folder; ``others`` are labels unknown to us."""

    particles: Path | None = None
    tomograms: Path | None = None
    trajectories: Path | None = None
    manifolds: Path | None = None
    reference: Reference = field(default_factory=Reference)
    others: Mapping[str, str] = field(default_factory=dict)


def find_optimisation_set(path: Path | str) -> Path:
    """The file itself, or the one in a job's folder: ``optimisation_set.star``, else the latest ``*_optimisation_set.star``."""
    path = Path(path)
    if not path.is_dir():
        return path
    named = [path / "optimisation_set.star", path / "run_optimisation_set.star"]
    found = [one for one in named if one.exists()] or sorted(path.glob("*_optimisation_set.star"), reverse=True)
    if not found:
        remedy = "give a finished job's folder, or name particles and tomograms"
        raise BadInput(Problem(path, "", "has no optimisation_set.star", remedy=remedy))
    return found[0]


def read_optimisation_set(path: Path | str, root: Path | None = None) -> OptimisationSet:
    """Read an optimisation set, or that of a job's folder; names resolve against ``root`` (the current folder), then the file's own."""
    path = find_optimisation_set(path)
    cells = _cells(path)
    folders = Folders(path, root)
    known = {*FILE_LABELS.values(), *REFERENCE_LABELS.values()}
    paths = {label: folders.expected(cells[label]) for label in known & set(cells) if cells[label]}
    if not paths:
        remedy = f"give a STAR file with {FILE_LABELS['particles']} and {FILE_LABELS['tomograms']}"
        raise BadInput(Problem(path, "", "is not an optimisation set: it names no files of one", remedy=remedy))
    files = {member: paths.get(label) for member, label in FILE_LABELS.items()}
    reference = Reference(**{member: paths.get(label) for member, label in REFERENCE_LABELS.items()})
    return OptimisationSet(**files, reference=reference, others={label: cell for label, cell in cells.items() if label not in known})


def write_optimisation_set(path: Path | str, members: OptimisationSet, root: Path | None = None) -> None:
    """Write an optimisation set whose names hold from ``root`` (the current folder)."""
    named = {label: getattr(members, member) for member, label in FILE_LABELS.items()}
    named |= {label: getattr(members.reference, member) for member, label in REFERENCE_LABELS.items()}
    cells = {label: name_from(file, root) for label, file in named.items() if file is not None} | dict(members.others)
    write_star(path, [Table("", {label: np.array([cell]) for label, cell in cells.items()}, is_list=True)])


def _cells(path: Path) -> dict[str, str]:
    """Label -> text, from the list that RELION writes or the one-row loop that its Python programs write."""
    tables = list(read_star(path).values())
    if len(tables) != 1 or len(tables[0]) != 1:
        what = f"is not an optimisation set: it has {len(tables)} tables"
        raise BadInput(Problem(path, "", what, remedy="give the optimisation_set.star of a job"))
    return {label: str(cells[0]) for label, cells in tables[0].columns.items()}

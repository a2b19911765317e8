"""``expand-symmetry``: every particle in all orientations in which a symmetric reference looks the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tomobayes.geometry.pointgroups import point_group
from tomobayes.jobs.curation import hand_on_particles, open_dataset
from tomobayes.jobs.describe import data_section
from tomobayes.jobs.frame import Context
from tomobayes.jobs.parameters import ExpandSymmetry
from tomobayes.model import BadInput, Dataset, Problem
from tomobayes.particles.expansion import expanded
from tomobayes.report import Fact, Finding, Report, Section, directions_of

__all__ = ["run"]


def run(parameters: ExpandSymmetry, context: Context) -> Path:
    """Write each particle and its mates, one after another."""
    group = _group(parameters.sym)
    members, dataset = open_dataset(parameters)
    _refuse_expanded(dataset, group)
    folder = context.open([members.particles, members.tomograms, members.trajectories])
    mates = expanded(dataset, group)
    context.log.say(f"{len(dataset.particles)} particles became {len(mates.particles)}, {len(group)} of each")
    hand_on_particles(folder, mates, members, context)
    context.show(_report(dataset, mates, parameters.sym, len(group)))
    return folder


def _group(symbol: str) -> np.ndarray:
    try:
        group = point_group(symbol)
    except ValueError as error:
        raise BadInput(Problem(None, "--sym", str(error))) from None
    if len(group) == 1:
        remedy = "give the symmetry to expand, such as C6 or O"
        raise BadInput(Problem(None, "--sym", f"with {symbol} every particle has one orientation only", remedy=remedy))
    return group


def _refuse_expanded(dataset: Dataset, group: np.ndarray) -> None:
    """Refuse particles whose mates are there already."""
    names = set(dataset.particles.name.tolist())
    taken = [name for name in names if f"{name}_sym{len(group)}" in names]
    if taken:
        what = f"{len(taken)} particles have mates already, such as {min(taken)}_sym2"
        raise BadInput(Problem(None, "--sym", what, remedy="expand the particles as they were before"))


def _report(dataset: Dataset, mates: Dataset, symbol: str, count: int) -> Report:
    facts = [Fact("Particles", f"{len(mates.particles)}, {count} of each of {len(dataset.particles)}"), Fact("Symmetry", symbol)]
    findings = [Finding("note", "Mates share their images: from now on refine without symmetry and only locally.")]
    if not mates.particles.half.any():
        text = "There are no half-sets yet: use split-halves before maps are compared, which keeps mates together."
        findings.append(Finding("warning", text))
    sections = [Section("Poses", [directions_of(mates.particles.rotation)]), data_section(mates)]
    return Report("Symmetry-expanded particles", facts=facts, findings=findings, sections=sections)

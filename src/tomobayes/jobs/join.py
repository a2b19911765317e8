"""``join``: several sets of particles in one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tomobayes.formats.problems import collecting
from tomobayes.formats.relion import OptimisationSet, find_members, read_dataset, write_dataset
from tomobayes.formats.relion_write import Part
from tomobayes.jobs.describe import data_section, describe
from tomobayes.jobs.frame import Context
from tomobayes.jobs.parameters import Join
from tomobayes.model import BadInput, Dataset, Problem, TiltSeries
from tomobayes.particles.joining import Joined, joined
from tomobayes.report import Fact, Finding, Report, Section, Table

__all__ = ["run"]

_RELION4 = "rlnTomoProjX"
_STACK = ("rlnTomoTiltSeriesName", "rlnTomoFrameCount")


def run(parameters: Join, context: Context) -> Path:
    """Write the particles of all sets, one set after the other, and their tomograms where those are in several files."""
    members, sets = _read(parameters.i)
    together = joined(sets, rename=parameters.rename)
    dataset = replace(together.dataset, tilt_series=_named_alike(together.dataset.tilt_series))
    folder = context.open(path for one in members for path in (one.particles, one.tomograms, one.trajectories))
    what: list[Part] = ["particles", "motion"]
    if _need_writing(members, dataset):
        what.append("tomograms")
    written = write_dataset(folder, dataset, what=what, members=replace(members[0], manifolds=None, others={}))
    context.output(written, folder / "particles.star")
    if "tomograms" in what:
        context.output(folder / "tomograms.star")
    for line in (f"{len(dataset.particles)} particles of {len(sets)} sets in {len(dataset.tilt_series)} tilt series", *together.notes):
        context.log.say(line)
    context.show(_report(list(sets), replace(together, dataset=dataset)))
    return folder


def _read(paths: Sequence[Path]) -> tuple[list[OptimisationSet], dict[str, Dataset]]:
    """Files and experiments of all sets; what is wrong with any of them is said at once."""
    problems: list[Problem] = []
    members, sets = [], {}
    for path in paths:
        if str(path) in sets:
            problems.append(Problem(path, "--i", "this set is given twice", remedy="give each once"))
            continue
        with collecting(problems):
            members.append(find_members(path))
            sets[str(path)] = read_dataset(path, require_images=False)
    if problems:
        raise BadInput(problems)
    return members, sets


def _need_writing(members: Sequence[OptimisationSet], dataset: Dataset) -> bool:
    """Whether no tomogram file has all that is needed."""
    files = {one.tomograms.resolve() for one in members if one.tomograms is not None}
    return len(files) > 1 or any(_RELION4 in series.columns for series in dataset.tilt_series)


def _named_alike(series: Sequence[TiltSeries]) -> tuple[TiltSeries, ...]:
    """Tilt series that name their images in one way: where some name a stack and others single images, all name single ones."""
    stacks = [_STACK[0] in one.globals_ for one in series]
    if all(stacks) or not any(stacks):
        return tuple(series)
    return tuple(_with_single_images(one) if stack else one for one, stack in zip(series, stacks, strict=True))


def _with_single_images(series: TiltSeries) -> TiltSeries:
    names = np.array([f"{tilt + 1:06d}@{series.globals_[_STACK[0]]}" for tilt in range(series.n_tilts)], dtype=np.str_)
    globals_ = {label: cell for label, cell in series.globals_.items() if label not in _STACK}
    return replace(series, columns={**series.columns, "rlnMicrographName": names}, globals_=globals_)


def _report(labels: Sequence[str], together: Joined) -> Report:
    dataset = together.dataset
    rows = []
    for index, label in enumerate(labels):
        mine = together.origin == index
        rows.append((label, int(mine.sum()), len(set(dataset.particles.tilt_series[mine].tolist()))))
    facts = [
        Fact("Particles", f"{len(dataset.particles)}"),
        Fact("Tilt series", f"{len(dataset.tilt_series)}"),
        Fact("Optics groups", f"{len(dataset.optics)}"),
    ]
    findings = [*(Finding("note", note) for note in together.notes), *describe(dataset).findings]
    table = Table("Sets", ("Set", "Particles", "Tilt series"), rows)
    return Report("Joined particles", facts=facts, findings=findings, sections=[Section("Sets", [table]), data_section(dataset)])

"""``select``: particles that meet conditions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.jobs.curation import hand_on_particles, open_dataset
from tomobayes.jobs.describe import data_section
from tomobayes.jobs.frame import Context
from tomobayes.jobs.parameters import Select
from tomobayes.model import BadInput, Dataset, Problem
from tomobayes.particles.conditions import Condition, parse_condition
from tomobayes.particles.polygons import Polygon, parse_polygon
from tomobayes.particles.rows import with_rows
from tomobayes.report import Fact, Report, Section, Table

__all__ = ["run"]

Marks = NDArray[np.bool_]


def run(parameters: Select, context: Context) -> Path:
    """Write the chosen particles in their order, everything known of them verbatim."""
    members, dataset = open_dataset(parameters)
    met = _conditions(parameters, dataset)
    chosen = np.logical_and.reduce([marks for _, marks in met]) ^ parameters.invert
    counts = _counts(met)
    if not chosen.any():
        raise BadInput(_nothing_left(members.particles, counts, len(chosen), parameters.invert))
    folder = context.open([members.particles, members.tomograms, members.trajectories])
    for label, alone, together in counts:
        context.log.say(f"{label}: {alone} of {len(chosen)} particles; with those before it {together}")
    context.log.say(f"{chosen.sum()} of {len(chosen)} particles selected")
    left = with_rows(dataset, np.flatnonzero(chosen))
    hand_on_particles(folder, left, members, context)
    context.show(_report(left, counts, len(chosen), parameters.invert))
    return folder


def _conditions(parameters: Select, dataset: Dataset) -> Sequence[tuple[str, Marks]]:
    """Each condition in words, and (P,) which particles meet it."""
    particles = dataset.particles
    met: list[tuple[str, Marks]] = []
    if parameters.classes:
        met.append((f"class {' or '.join(map(str, parameters.classes))}", np.isin(particles.class_number, parameters.classes)))
    if parameters.tilt_series:
        names = {"rlnTomoName": np.array([series.name for series in dataset.tilt_series])}
        series = [Condition("rlnTomoName", "~", pattern).holds(names) for pattern in parameters.tilt_series]
        met.append((f"tilt series {' or '.join(parameters.tilt_series)}", np.logical_or.reduce(series)[particles.tilt_series]))
    problems = []
    for option, condition in _of_columns(parameters):
        try:
            met.append((str(condition), condition.holds(particles.columns)))
        except ValueError as error:
            problems.append(Problem(None, option, str(error), remedy="correct the condition"))
    if problems:
        raise BadInput(problems)
    return met


def _of_columns(parameters: Select) -> Iterator[tuple[str, Condition | Polygon]]:
    """What is asked of columns, each with its option."""
    yield from (("--where", parse_condition(text)) for text in parameters.where)
    yield from (("--within", parse_polygon(text)) for text in parameters.within)


def _counts(met: Sequence[tuple[str, Marks]]) -> list[tuple[str, int, int]]:
    """(condition, particles that meet it, particles that meet it and those before it)."""
    together = np.logical_and.accumulate(np.stack([marks for _, marks in met]))
    return [(label, int(marks.sum()), int(so_far.sum())) for (label, marks), so_far in zip(met, together, strict=True)]


def _nothing_left(file: Path | None, counts: list[tuple[str, int, int]], total: int, invert: bool) -> Problem:
    if invert:
        return Problem(file, "", f"all of {total} particles meet the conditions, so that --invert leaves none", remedy="leave out --invert")
    left, parts = total, []
    for label, alone, together in counts:
        parts.append(f"'{label}' removed {left - together} (alone {total - alone})")
        left = together
    return Problem(file, "", f"no particle of {total} is left: {', '.join(parts)}", remedy="loosen the condition that removes too many")


def _report(left: Dataset, counts: list[tuple[str, int, int]], total: int, invert: bool) -> Report:
    rows = [(label, alone, together) for label, alone, together in counts]
    caption = "The other particles were kept (--invert)." if invert else ""
    table = Table("Conditions", ("Condition", "Particles that meet it", "and those before it"), rows, caption)
    facts = [Fact("Particles", f"{len(left.particles)} of {total}")]
    return Report("Selected particles", facts=facts, sections=[Section("Selection", [table]), data_section(left)])

"""``split-halves``: half-sets that share no particle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from tomobayes.jobs.curation import hand_on_particles, open_dataset
from tomobayes.jobs.frame import Context
from tomobayes.jobs.parameters import SplitHalves
from tomobayes.model import Dataset, Particles
from tomobayes.particles.halves import DUPLICATES, assign_halves
from tomobayes.particles.neighbours import Pairs, pairs_within
from tomobayes.report import Fact, Finding, Report, Section, Table

__all__ = ["run"]


def run(parameters: SplitHalves, context: Context) -> Path:
    """Write the particles with new half-sets, everything else verbatim."""
    members, dataset = open_dataset(parameters)
    particles = dataset.particles
    same = _duplicate_distance(parameters)
    centres, series = particles.centre_angstrom, particles.tilt_series
    half = assign_halves(centres, series, parameters.particle_diameter, parameters.random_seed, same)
    folder = context.open([members.particles, members.tomograms, members.trajectories])
    split = dataset.with_particles(replace(particles, half=half))
    hand_on_particles(folder, split, members, context)
    report = _report(particles, split, pairs_within(centres, series, parameters.particle_diameter), same)
    for fact in report.facts:
        context.log.say(f"{fact.label}: {fact.value}")
    context.show(report)
    return folder


def _duplicate_distance(parameters: SplitHalves) -> float:
    given = parameters.duplicate_distance
    return DUPLICATES * parameters.particle_diameter if given is None else given


def _report(before: Particles, split: Dataset, neighbours: Pairs, same: float) -> Report:
    after = split.particles
    sizes = np.bincount(after.half, minlength=3)
    now, earlier = (_across(one, neighbours, np.inf) for one in (after, before))
    facts = [
        Fact("Half-sets", f"{sizes[1]} and {sizes[2]}"),
        Fact(
            "Neighbours in different halves",
            f"{now} of {len(neighbours) // 2} pairs" + (f", before {earlier}" if before.half.any() else ""),
        ),
        Fact(f"Duplicates (closer than {same:g} Å) in different halves", f"{_across(after, neighbours, same)}"),
    ]
    findings = []
    if now:
        text = "A lattice joins most particles of a tilt series: it was cut into patches, and neighbours across their borders are parted."
        findings.append(Finding("note", text))
    repeated = _across(before, neighbours, same)
    if repeated:
        text = f"Before, {repeated} pairs of duplicates had one in each half: the FSC of maps made with them was too high. Refine again."
        findings.append(Finding("warning", text))
    rows = []
    for index, series in enumerate(split.tilt_series):
        here = np.bincount(after.half[after.tilt_series == index], minlength=3)
        rows.append((series.name, int(here[1]), int(here[2])))
    table = Table("Particles of each half", ("Tilt series", "Half 1", "Half 2"), rows)
    return Report("Half-sets", facts=facts, findings=findings, sections=[Section("Balance", [table])])


def _across(particles: Particles, neighbours: Pairs, closer_than: float) -> int:
    """Pairs with one particle in each half."""
    close = neighbours.distance_angstrom < closer_than
    halves = particles.half[neighbours.first[close]], particles.half[neighbours.second[close]]
    return int(((halves[0] == 1) & (halves[1] == 2)).sum())

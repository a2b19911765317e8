"""``dedupe``: one particle where several are the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.jobs.curation import column_or_refuse, distance_chart, hand_on_particles, open_dataset
from tomobayes.jobs.describe import data_section
from tomobayes.jobs.frame import Context
from tomobayes.jobs.parameters import Dedupe
from tomobayes.model import Dataset, Particles
from tomobayes.particles.duplicates import keep_best
from tomobayes.particles.neighbours import nearest_distance, pairs_within
from tomobayes.particles.rows import with_rows
from tomobayes.report import Fact, Finding, Report, Section

__all__ = ["run"]

_QUALITY = ("rlnLogLikeliContribution", "rlnMaxValueProbDistribution")


def run(parameters: Dedupe, context: Context) -> Path:
    """Write the particles that stay, in their order, everything known of them verbatim."""
    members, dataset = open_dataset(parameters)
    particles = dataset.particles
    quality, told = _quality(parameters, particles)
    kept = keep_best(particles.centre_angstrom, particles.tilt_series, parameters.distance, quality)
    folder = context.open([members.particles, members.tomograms, members.trajectories])
    context.log.say(f"{len(kept) - kept.sum()} of {len(kept)} particles removed: closer than {parameters.distance:g} Å to {told}")
    left = with_rows(dataset, np.flatnonzero(kept))
    hand_on_particles(folder, left, members, context)
    context.show(_report(dataset, left, parameters, told))
    return folder


def _quality(parameters: Dedupe, particles: Particles) -> tuple[NDArray[np.float64] | None, str]:
    """(P,) what makes particles good, or None, and which one stays in words."""
    label = parameters.by or next((one for one in _QUALITY if one in particles.columns), None)
    if label is None:
        return None, "an earlier one"
    quality = column_or_refuse(particles.columns, label, "--by")
    return (-quality, f"one of lower {label}") if parameters.lowest else (quality, f"one of higher {label}")


def _report(before: Dataset, after: Dataset, parameters: Dedupe, told: str) -> Report:
    removed = len(before.particles) - len(after.particles)
    facts = [
        Fact("Particles", f"{len(after.particles)} of {len(before.particles)}"),
        Fact("Removed", f"{removed}, closer than {parameters.distance:g} Å to {told}"),
    ]
    across = _across_halves(before.particles, parameters.distance)
    findings = []
    if across:
        text = f"{across} pairs of duplicates had one in each half-set: the FSC of maps made with them was too high. Refine again."
        findings.append(Finding("warning", text))
    nearest = {
        label: nearest_distance(one.particles.centre_angstrom, one.particles.tilt_series)
        for label, one in (("Before", before), ("After", after))
    }
    chart = distance_chart("Distance to the nearest neighbour", nearest, parameters.distance)
    sections = [Section("Neighbours", [chart]), data_section(after)]
    return Report("Particles without duplicates", facts=facts, findings=findings, sections=sections)


def _across_halves(particles: Particles, distance: float) -> int:
    pairs = pairs_within(particles.centre_angstrom, particles.tilt_series, distance)
    halves = particles.half[pairs.first], particles.half[pairs.second]
    return int(((halves[0] == 1) & (halves[1] == 2)).sum())

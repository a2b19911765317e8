"""What several jobs show: the correlation of half-maps, and what to know about the particles."""

from __future__ import annotations

import math

from tomobayes.jobs.experiment import Experiment
from tomobayes.maps.fsc import FscCurves
from tomobayes.report import Chart, Finding, format_number, fsc_chart

__all__ = ["NOT_SHARPENED", "angstrom", "experiment_findings", "half_map_fsc"]

NOT_SHARPENED = Finding("note", "The map is not sharpened: too coarse to fit a B factor. Give one with --adhoc-bfac.")


def half_map_fsc(curves: FscCurves) -> Chart:
    """All the curves of two half-maps, with the error of the one to trust."""
    drawn = {"Corrected": curves.corrected}
    if curves.masked is not curves.unmasked:
        drawn |= {"Unmasked": curves.unmasked, "Masked": curves.masked}
    if curves.randomised is not None:
        drawn["Phases randomised"] = curves.randomised
    caption = f"Standard error of the corrected curve at most {format_number(float(curves.standard_error[1:].max()), 2)}."
    return fsc_chart(drawn, curves.box, curves.pixel_size_angstrom, caption=caption)


def angstrom(resolution: float) -> str:
    """A resolution in words."""
    return f"{format_number(resolution, 3)} Å" if math.isfinite(resolution) else "none"


def experiment_findings(experiment: Experiment, dealt: bool) -> list[Finding]:
    """What to know about the particles that took part."""
    found = []
    left_out = int((~experiment.usable).sum())
    if left_out:
        sentence = f"{left_out} of {len(experiment.usable)} particles were left out: their box does not lie inside enough images."
        found.append(Finding("note", sentence))
    if dealt:
        found.append(Finding("note", "The particles had no half-sets: they were dealt to two, neighbours together."))
    return found

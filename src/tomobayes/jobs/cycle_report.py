"""The ladder of a cycle: how the map improved step by step, and what each step changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from tomobayes.jobs.figures import angstrom
from tomobayes.maps.fsc import FscCurves
from tomobayes.model import Dataset, TiltSeries
from tomobayes.report import Axis, Chart, Fact, Finding, Report, Section, Series, Table, format_number, fsc_chart

__all__ = ["Rung", "best_of", "changes", "cycle_report", "rung_sentence"]

RESOLVED = 0.143


@dataclass(frozen=True)
class Rung:
    """One state of the experiment: the job that made it, its half-maps in ``maps``, and whether later steps build on it."""

    round: int
    step: str
    job: Path
    maps: Path
    curves: FscCurves
    dataset: Dataset
    accepted: bool

    @property
    def name(self) -> str:
        """What the step is called in tables."""
        return self.step if self.round == 0 else f"{self.round}: {self.step}"

    @property
    def resolved_shells(self) -> float:
        """How far the halves agree, in parts of shells: Σ(FSC - 0.143)/0.857 over all shells where that is positive."""
        return float(np.clip(self.curves.corrected[1:] - RESOLVED, 0, None).sum() / (1 - RESOLVED))


def best_of(ladder: Sequence[Rung]) -> Rung:
    """The state that resolves most; of equals the last."""
    return max(reversed(ladder), key=lambda rung: rung.resolved_shells)


def rung_sentence(rung: Rung) -> str:
    """One step in a line of the log."""
    verdict = "" if rung.accepted else "; worse than before, so it is not built on"
    return f"{rung.name}: {angstrom(rung.curves.resolution_angstrom())}, {rung.resolved_shells:.2f} shells resolved{verdict}"


def changes(before: Dataset, after: Dataset) -> dict[str, float]:
    """Root mean square changes of all parameters between two states of an experiment, by name and unit; per axis where there are axes."""
    pairs = list(zip(before.tilt_series, after.tilt_series, strict=True))
    old, new = before.particles, after.particles
    return {
        "poses (°)": _rms([_turn(old.rotation, new.rotation)]) * 180 / np.pi,
        "positions (Å)": _rms([new.centre_angstrom - old.centre_angstrom]),
        "tilt shifts (Å)": _rms([b.shift_angstrom - a.shift_angstrom for a, b in pairs]),
        "tilt angles (°)": _rms([_turn(a.rotation, b.rotation) for a, b in pairs]) * 180 / np.pi,
        "defocus (Å)": _rms([_defocus(b) - _defocus(a) for a, b in pairs]),
        "scale": _rms([b.scale - a.scale for a, b in pairs]),
        "motion (Å)": _motion(before, after),
    }


def _rms(values: Sequence[np.ndarray]) -> float:
    return float(np.sqrt(np.mean(np.square(np.concatenate([one.ravel() for one in values])))))


def _turn(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(N,) radians between matrices (N, 3, 3)."""
    return np.asarray(Rotation.from_matrix(np.swapaxes(before, 1, 2) @ after).magnitude())


def _defocus(series: TiltSeries) -> np.ndarray:
    return (series.defocus_u_angstrom + series.defocus_v_angstrom) / 2


def _motion(before: Dataset, after: Dataset) -> float:
    tracks = [one.motion_angstrom for one in (before, after)]
    if tracks[0] is None and tracks[1] is None:
        return 0.0
    some = tracks[0] or tracks[1] or ()
    first, second = (each or tuple(np.zeros_like(one) for one in some) for each in tracks)
    return _rms([b - a for a, b in zip(first, second, strict=True)])


def cycle_report(ladder: Sequence[Rung], finished: bool) -> Report:
    """The page of a cycle, as far as it has come."""
    first, best = ladder[0], best_of(ladder)
    facts = [
        Fact("Resolution (FSC 0.143)", angstrom(best.curves.resolution_angstrom())),
        Fact("At the start", angstrom(first.curves.resolution_angstrom())),
        Fact("Rounds", f"{ladder[-1].round}"),
    ]
    sections = [Section("Ladder", [_resolutions(ladder), _curves(ladder)]), Section("Changes", [_table(ladder)])]
    return Report("Cycle", facts=facts, findings=_findings(ladder, finished), sections=sections)


def _resolutions(ladder: Sequence[Rung]) -> Chart:
    steps = [float(place) for place in range(len(ladder))]
    lines = {
        "FSC 0.143": [rung.curves.resolution_angstrom() for rung in ladder],
        "FSC 0.5": [rung.curves.resolution_angstrom(0.5) for rung in ladder],
    }
    series = [Series(label, steps, values) for label, values in lines.items()]
    caption = "Steps: " + ", ".join(rung.name for rung in ladder) + "."
    return Chart("Resolution after each step", Axis("Step", scale="integer"), Axis("Resolution", "Å"), series, caption=caption)


def _curves(ladder: Sequence[Rung]) -> Chart:
    """The FSC at the start and at the end of each round."""
    last = {rung.round: rung for rung in ladder if rung.accepted}
    curves = {("start" if number == 0 else f"round {number}"): rung.curves.corrected for number, rung in last.items()}
    return fsc_chart(curves, ladder[0].curves.box, ladder[0].curves.pixel_size_angstrom)


def _table(ladder: Sequence[Rung]) -> Table:
    rows, state = [], ladder[0]
    for rung in ladder:
        changed = changes(state.dataset, rung.dataset)
        resolution = angstrom(rung.curves.resolution_angstrom())
        rows.append([rung.name, resolution, f"{rung.resolved_shells:.2f}", *(format_number(value, 3) for value in changed.values())])
        rows[-1].append("yes" if rung.accepted else "no")
        state = rung if rung.accepted else state
    columns = ["Step", "Resolution", "Shells resolved", *changes(state.dataset, state.dataset), "Built on"]
    return Table("Root mean square change by each step", columns, rows, "Shells resolved: Σ(FSC − 0.143)/0.857 where positive.")


def _findings(ladder: Sequence[Rung], finished: bool) -> list[Finding]:
    found = [
        Finding("warning", f"{rung.name} made the halves agree less ({rung.resolved_shells:.2f} shells): later steps start from before it.")
        for rung in ladder
        if not rung.accepted
    ]
    if not finished:
        return [*found, Finding("note", "The cycle is not finished.")]
    gained = best_of(ladder).resolved_shells - ladder[0].resolved_shells
    return [
        *found,
        Finding("good", f"The cycle ended after {ladder[-1].round} rounds; {gained:.2f} more shells are resolved than at its start."),
    ]

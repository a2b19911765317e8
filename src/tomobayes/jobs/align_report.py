"""What is shown of an alignment: tilts before and after with their errors, motion from three sides, deformation, what was kept and why."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tomobayes.jobs.experiment import Experiment
from tomobayes.jobs.figures import half_map_fsc
from tomobayes.jobs.motion_figures import deformation_chart, track_charts
from tomobayes.model import Dataset, TiltSeries
from tomobayes.report import Axis, Chart, Fact, Finding, Item, Report, Section, Series, Table, format_number
from tomobayes.report.figures import tilt_angle_degrees
from tomobayes.tiltseries.aligned import AlignedSeries
from tomobayes.tiltseries.placement import RIGID
from tomobayes.tiltseries.rounds import AlignmentState

__all__ = ["alignment_report", "round_sentences"]

Float = NDArray[np.float64]

SHOWN = 6
"""Tilt series whose charts are drawn."""
EDGE = 0.01
"""Share of displacements beyond the tables from which on a wider range is advised."""
TOLD = 0.01
"""Share of the motion's variance left out from which on it is told."""
WORDS = {"angles": "tilt angles", "positions": "particle positions", "motion": "motion", "deformation": "deformation"}


def round_sentences(given: Dataset, state: AlignmentState) -> Iterator[str]:
    """A round in a line of the log per tilt series."""
    for index, one in state.found.items():
        spread = one.uncertainty.displacement.diagonal(dim1=-2, dim2=-1).mean().sqrt()
        sentence = f"Round {state.number}, {given.tilt_series[index].name}: particles move by {_number(_rms(one))} Å rms in the images"
        motion = one.scales.motion
        if motion is not None and motion.velocity is not None and motion.divergence is not None:
            sentence += f"; velocity {_number(motion.velocity)} Å per e/Å², alike over {format_number(motion.divergence)} Å"
            if one.left_out > TOLD:
                sentence += f" in {one.placement.basis.shape[1]} modes, which leave out {one.left_out:.1%} of its variance"
        if one.kept is not None:
            sentence += _outcome(one, float(spread))
        yield sentence


def _outcome(one: AlignedSeries, spread_angstrom: float) -> str:
    """The end of such a line: what was kept."""
    if one.kept is None or not one.parameters.any():
        return "; nothing changes: nothing would raise the likelihood of images held out"
    kept = one.kept.choice.tilts
    gain = f"{format_number(_gain(one))} nats gained on images held out"
    return f"; known to {_number(spread_angstrom)} Å; {gain}; {int(kept.sum())} of {len(kept)} tilts changed"


def alignment_report(experiment: Experiment, state: AlignmentState) -> Report:
    """The page of an alignment; tilts are drawn once the last round has decided what is kept."""
    given, found = experiment.dataset, list(state.found.items())
    moved = math.sqrt(sum(_rms(one) ** 2 * len(one.rows) for _, one in found) / sum(len(one.rows) for _, one in found))
    facts = [
        Fact("Particles moved by", f"{_number(moved)} Å rms"),
        Fact("Held-out gain", f"{format_number(sum(_gain(one) for _, one in found))} nats"),
        Fact("Tilt series", f"{len(found)}"),
        Fact("Rounds", f"{state.number}"),
    ]
    decided = [(index, one) for index, one in found[:SHOWN] if one.kept is not None]
    sections = [Section(given.tilt_series[index].name, list(_items(given, state.dataset, index, one))) for index, one in decided]
    sections += [Section("All tilt series", [_table(given, state)]), Section("References", [half_map_fsc(state.references.fsc)])]
    return Report("Alignment", facts=facts, findings=list(_findings(given, state)), sections=sections)


def _items(given: Dataset, after: Dataset, index: int, one: AlignedSeries) -> Iterator[Item]:
    before, now = given.tilt_series[index], after.tilt_series[index]
    angle, error = tilt_angle_degrees(before), one.uncertainty.tilts.numpy()
    for axis, name in enumerate("xy"):
        values = (before.shift_angstrom[:, axis], now.shift_angstrom[:, axis], error[:, 3 + axis])
        yield _before_after(f"Shift along {name}", "Shift", "Å", angle, *values)
    turned = _angles(before, now)
    for axis, name in enumerate(("x tilt", "y tilt", "rotation in the image")):
        yield _changed(f"Change of {name}", "Angle", "°", angle, turned[:, axis], np.degrees(error[:, axis]))
    assert one.kept is not None
    yield Chart("Gain on images held out", _TILT, Axis("Log likelihood", "nats"), [_points("Gain", angle, one.kept.gain.numpy())])
    yield Chart("Strength of the signal", _TILT, Axis("Relative to all tilts"), [_points("Gain", angle, one.signal.gain.numpy())])
    if after.motion_angstrom is not None:
        yield from _tracks(after, one, before.dose)
    if now.deformation is not None and before.image_size is not None:
        yield deformation_chart(now)


_TILT = Axis("Tilt angle", "°")


def _points(label: str, angle: Float, values: ArrayLike) -> Series:
    order = np.argsort(angle)
    return Series(label, angle[order].tolist(), np.asarray(values, dtype=float)[order].tolist(), "points")


def _bars(angle: Float, values: Float, error: Float) -> Series:
    """One standard error to either side, as strokes with gaps between them."""
    x = np.stack([angle, angle, np.full_like(angle, np.nan)], 1)
    y = np.stack([values - error, values + error, np.full_like(values, np.nan)], 1)
    return Series("± one standard error", x.ravel().tolist(), y.ravel().tolist())


def _before_after(title: str, what: str, unit: str, angle: Float, before: Float, after: Float, error: Float) -> Chart:
    caption = "Errors are those of a tilt by itself, in which a shift or turn of all tilts together is included."
    series = [_points("Before", angle, before), _points("After", angle, after), _bars(angle, after, error)]
    return Chart(title, _TILT, Axis(what, unit), series, caption=caption)


def _changed(title: str, what: str, unit: str, angle: Float, change: Float, error: Float) -> Chart:
    return Chart(title, _TILT, Axis(what, unit), [_points("Change", angle, change), _bars(angle, change, error)])


def _angles(before: TiltSeries, after: TiltSeries) -> Float:
    """(F, 3) degrees, Tait-Bryan angles that turn the tilts before into those after, about x, y and z of the image."""
    turn = after.rotation @ np.swapaxes(before.rotation, 1, 2)
    angles: Float = np.degrees(
        np.stack([np.arctan2(turn[:, 2, 1], turn[:, 2, 2]), -np.arcsin(turn[:, 2, 0]), np.arctan2(turn[:, 1, 0], turn[:, 0, 0])], 1)
    )
    return angles


def _tracks(after: Dataset, one: AlignedSeries, dose: Float) -> Iterator[Chart]:
    assert after.motion_angstrom is not None
    motion = [after.motion_angstrom[row] for row in one.rows]
    told = f"Mean standard error {format_number(float(one.uncertainty.motion.mean()), 2)} Å."
    yield from track_charts(motion, after.particles.centre_angstrom[one.rows], dose, told)


def _table(given: Dataset, state: AlignmentState) -> Table:
    columns = ("Tilt series", "Particles", "Moved by (Å rms)", "Known to (Å)", "Held-out gain (nats)", "Tilts changed", "Left as they were")
    rows = []
    for index, one in state.found.items():
        known = float(one.uncertainty.displacement.diagonal(dim1=-2, dim2=-1).mean().sqrt())
        words = _number(known) if one.parameters.any() else "–"
        left = [] if one.kept is None else [f"{angle:.0f}°" for angle in tilt_angle_degrees(given.tilt_series[index])[_left(one)]]
        changed = 0 if one.kept is None else int(one.kept.choice.tilts.sum())
        rows.append((given.tilt_series[index].name, len(one.rows), _number(_rms(one)), words, f"{_gain(one):.1f}", changed, " ".join(left)))
    return Table("Tilt series", columns, rows)


def _findings(given: Dataset, state: AlignmentState) -> Iterator[Finding]:
    for index, one in state.found.items():
        name, kept = given.tilt_series[index].name, one.kept
        if kept is None:
            continue
        if not one.parameters.any():
            yield Finding("warning", f"{name} stays as it was: no change raises the likelihood of images held out from the fit.")
            continue
        for what, gain in kept.by_unknown.items():
            if gain <= 0:
                sentence = (
                    f"{name}: {WORDS[what]} stay as they were: fitting them changes the likelihood of images held out by {gain:.1f} nats."
                )
                yield Finding("note", sentence)
        left = tilt_angle_degrees(given.tilt_series[index])[_left(one)]
        if len(left):
            angles = ", ".join(f"{angle:.0f}°" for angle in left)
            yield Finding(
                "note",
                f"{name}: angles and shifts of the tilts at {angles} stay as they were: nothing is gained on images held out.",
            )
        if one.at_edge > EDGE:
            yield Finding("warning", f"{name}: {one.at_edge:.0%} of displacements reach beyond the range looked at: give a larger --r.")
    if all(one.kept is not None and one.parameters.any() for one in state.found.values()):
        yield Finding("good", "All tilt series agree better with their particles, on images held out from the fit as well.")


def _left(one: AlignedSeries) -> NDArray[np.bool_]:
    """(F,) tilts that stayed as they were."""
    tilts, _, _, _ = one.placement.split(one.parameters)
    unchanged: NDArray[np.bool_] = ~tilts[:, :RIGID].any(1).numpy()
    return unchanged


def _rms(one: AlignedSeries) -> float:
    return float(one.displacement.square().mean().sqrt())


def _gain(one: AlignedSeries) -> float:
    return 0.0 if one.kept is None else float(one.kept.gain.sum())


def _number(value: float) -> str:
    return format_number(value, 3)

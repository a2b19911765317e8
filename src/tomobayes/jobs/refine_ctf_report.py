"""What is shown of a CTF refinement: what was found of every tilt, with its error bar, what was kept and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tomobayes.jobs.aberration_report import aberration_charts, aberration_findings, magnification_table
from tomobayes.jobs.figures import angstrom, half_map_fsc
from tomobayes.model import Dataset, TiltSeries
from tomobayes.report import Axis, Chart, Fact, Finding, Item, Report, Section, Series, Table, format_number
from tomobayes.report.figures import tilt_angle_degrees
from tomobayes.tiltseries.ctf_refinement import CtfRefinement, SeriesOptics
from tomobayes.tiltseries.optics_of_series import DefocusResult
from tomobayes.tiltseries.references import References
from tomobayes.tiltseries.scale import ScaleResult

__all__ = ["ctf_report", "series_sentence"]

Float = NDArray[np.float64]

SHOWN = 6
"""Tilt series whose charts are drawn."""


def series_sentence(dataset: Dataset, one: SeriesOptics) -> str:
    """One tilt series in a line of the log."""
    name = dataset.tilt_series[one.index].name
    sentence = f"{name}: {one.particles} particles, images off by {format_number(_rms(one.shift_angstrom), 2)} Å rms"
    if one.defocus is None:
        return sentence
    d = one.defocus
    moved, error = _rms((d.fit.value - d.before)[:, 0]), float(np.median(d.fit.error[:, 0]))
    return (
        f"{sentence}; defoci change by {format_number(moved, 3)} Å rms, known to {format_number(error, 3)} Å; "
        f"log likelihood of held-out particles {d.held_out.gain.sum():+.1f}; {int(d.kept.sum())} of {len(d.kept)} tilts kept"
    )


def ctf_report(references: References, refinement: CtfRefinement) -> Report:
    """The page of a CTF refinement."""
    facts = [
        Fact("Particles", f"{sum(one.particles for one in refinement.series)}"),
        Fact("Tilt series", f"{len(refinement.series)}"),
        Fact("Compared to", angstrom(1 / references.finest_frequency)),
    ]
    dataset = refinement.dataset
    sections = [Section("References", [half_map_fsc(references.fsc)])]
    for place, one in enumerate(refinement.series[:SHOWN]):
        scale = None if refinement.scales is None else refinement.scales[place]
        sections.append(Section(dataset.tilt_series[one.index].name, list(_charts(dataset.tilt_series[one.index], one, scale))))
    if refinement.aberrations:
        sections.append(Section("Aberrations", list(aberration_charts(dataset, refinement.aberrations))))
    if refinement.magnifications:
        sections.append(Section("Magnification", [magnification_table(dataset, refinement.magnifications)]))
    sections.append(Section("All tilt series", [_table(dataset, refinement)]))
    more = aberration_findings(dataset, refinement.aberrations, refinement.magnifications)
    findings = [*_findings(dataset, refinement), *more]
    return Report("CTF refinement", facts=facts, findings=findings, sections=sections)


def _charts(series: TiltSeries, one: SeriesOptics, scale: ScaleResult | None) -> Iterator[Item]:
    angle = tilt_angle_degrees(series)
    if one.defocus is not None:
        d, words = one.defocus, "Bars: one standard error."
        yield _before_after(angle, d.before[:, 0], d.after[:, 0], d.fit.value[:, 0], d.fit.error[:, 0], "Defocus", "Å", words)
        before, after, fit = (np.hypot(*values[:, 1:].T) for values in (d.before, d.after, d.fit.value))
        error = np.sqrt((d.fit.error[:, 1:] ** 2).mean(1))
        yield _before_after(angle, before, after, fit, error, "Astigmatism", "Å", "½(U - V). Bars: one standard error.")
        yield _gain(angle, d.held_out.gain, d.held_out.error, "defocus and astigmatism")
    if scale is not None:
        yield _before_after(angle, scale.before, scale.after, scale.fit, scale.error, "Scale", "", "Bars: one standard error.")
        yield _gain(angle, scale.held_out.gain, scale.held_out.error, "scale")


def _before_after(angle: Float, before: Float, after: Float, fit: Float, error: Float, what: str, unit: str, caption: str) -> Chart:
    order = np.argsort(angle)
    x = angle[order].tolist()
    bars_x, bars_y = _bars(angle[order], fit[order], error[order])
    series = [
        Series("Before", x, before[order].tolist(), "points"),
        Series("Kept", x, after[order].tolist(), "points"),
        Series("Found, with its error", bars_x, bars_y),
    ]
    return Chart(what, Axis("Tilt angle", "°"), Axis(what, unit), series, caption=caption)


def _bars(x: Float, y: Float, error: Float) -> tuple[list[float], list[float]]:
    """Upright lines from y - error to y + error, with gaps between them."""
    known = np.isfinite(error)
    gap = np.full(int(known.sum()), np.nan)
    xs, ys = np.stack([x[known], x[known], x[known]], 1), np.stack([(y - error)[known], (y + error)[known], gap], 1)
    return xs.ravel().tolist(), ys.ravel().tolist()


def _gain(angle: Float, gain: Float, error: Float, what: str) -> Chart:
    order = np.argsort(angle)
    bars_x, bars_y = _bars(angle[order], gain[order], error[order])
    points = [Series("Gain", angle[order].tolist(), gain[order].tolist(), "points"), Series("Noise", bars_x, bars_y)]
    caption = f"By how much the new {what} explain particles better that had no part in finding them."
    return Chart("Log likelihood of held-out particles", Axis("Tilt angle", "°"), Axis("Gain", "nats"), points, caption=caption)


def _table(dataset: Dataset, refinement: CtfRefinement) -> Table:
    columns = ["Tilt series", "Particles", "Image shifts (Å rms)"]
    rows: list[list[str | int | float | None]] = [
        [dataset.tilt_series[one.index].name, one.particles, round(_rms(one.shift_angstrom), 2)] for one in refinement.series
    ]
    if any(one.defocus is not None for one in refinement.series):
        columns += ["Change of defocus (Å rms)", "Its error (Å)", "Spread of tilts (Å)", "Gain (nats)", "Tilts kept"]
        for row, one in zip(rows, refinement.series, strict=True):
            row += _defocus_cells(one.defocus)
    if refinement.scales is not None:
        columns += ["Change of scale (rms)", "Gain (nats)", "Tilts kept"]
        for row, scale in zip(rows, refinement.scales, strict=True):
            row += [round(_rms(scale.after - scale.before), 3), round(float(scale.held_out.gain.sum()), 1), int(scale.kept.sum())]
    return Table("What was found", columns, rows, "Gain: log likelihood of particles that had no part in the fit.")


def _defocus_cells(result: DefocusResult | None) -> Sequence[float | int | None]:
    if result is None:
        return [None] * 5
    moved, error = _rms((result.after - result.before)[:, 0]), float(np.median(result.fit.error[:, 0]))
    return [
        round(moved),
        round(error),
        round(float(result.fit.spread[0])),
        round(float(result.held_out.gain.sum()), 1),
        int(result.kept.sum()),
    ]


def _findings(dataset: Dataset, refinement: CtfRefinement) -> Iterator[Finding]:
    for place, one in enumerate(refinement.series):
        series = dataset.tilt_series[one.index]
        if one.defocus is not None:
            yield from _left(series, one.defocus.kept, float(one.defocus.held_out.gain.sum()), "defocus and astigmatism")
        if refinement.scales is not None:
            scale = refinement.scales[place]
            yield from _left(series, scale.kept, float(scale.held_out.gain.sum()), "scale")


def _left(series: TiltSeries, kept: NDArray[np.bool_], gain: float, what: str) -> Iterator[Finding]:
    """Which tilts keep their old values."""
    if kept.all():
        yield Finding("good", f"{series.name}: new {what} of all tilts; particles held out are explained better by {gain:.1f} nats.")
    elif not kept.any():
        yield Finding(
            "note", f"{series.name}: {what} as before: new values do not explain particles that were held out ({gain:+.1f} nats)."
        )
    else:
        angles = ", ".join(f"{angle:.0f}°" for angle in tilt_angle_degrees(series)[~kept])
        yield Finding("note", f"{series.name}: {what} as before at {angles}, where new values do not explain particles that were held out.")


def _rms(values: Float) -> float:
    return float(np.sqrt((values**2).mean()))

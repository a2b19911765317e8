"""What a data set holds, in words and figures, and what is odd about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomobayes.jobs.dose_scheme import dose_scheme
from tomobayes.jobs.doubts import doubts, rows_by_series
from tomobayes.model import Dataset, TiltSeries
from tomobayes.report import (
    Chart,
    Fact,
    Finding,
    Report,
    Section,
    Table,
    defocus_chart,
    defocus_histogram,
    directions_of,
    dose_chart,
    format_number,
    scale_chart,
    shift_charts,
)
from tomobayes.report.figures import tilt_angle_degrees

__all__ = ["Description", "data_report", "data_section", "describe", "tilt_charts", "unoriented"]


@dataclass(frozen=True)
class Description:
    """Figures for all of the data, one row per tilt series, and findings."""

    facts: Sequence[Fact]
    columns: Sequence[str]
    rows: Sequence[Sequence[str | int | float]]
    findings: Sequence[Finding]

    @property
    def sentences(self) -> list[str]:
        """Everything as lines of text, for a log."""
        return [f"{fact.label}: {fact.value}" for fact in self.facts] + [finding.text for finding in self.findings]


def describe(dataset: Dataset) -> Description:
    """Look at everything but the pixels of a data set."""
    columns = ("Tilt series", "Tilts", "Range (°)", "Dose scheme", "Dose (e/Å²)", "Underfocus (µm)", "Pixel (Å)", "Hand", "Particles")
    counts = np.bincount(dataset.particles.tilt_series, minlength=len(dataset.tilt_series)).tolist()
    rows = [_row(series, count) for series, count in zip(dataset.tilt_series, counts, strict=True)]
    return Description(_facts(dataset), columns, rows, tuple(_findings(dataset)))


def data_section(dataset: Dataset, description: Description | None = None) -> Section:
    """Defocus, dose, shift and scale of every image, and a table of the tilt series."""
    description = description or describe(dataset)
    table = Table("Tilt series", description.columns, description.rows)
    return Section("Data", [*tilt_charts(dataset), table])


def tilt_charts(dataset: Dataset) -> list[Chart]:
    """What is known of every tilt image."""
    series = dataset.tilt_series
    return [defocus_chart(series), dose_chart(series), *shift_charts(series), *scale_chart(series), defocus_histogram(series)]


def data_report(title: str, dataset: Dataset, description: Description) -> Report:
    """A page about the data set alone."""
    sections = [data_section(dataset, description)]
    if len(dataset.particles) and not unoriented(dataset):
        sections.append(Section("Poses", [directions_of(dataset.particles.rotation)]))
    return Report(title, facts=description.facts, findings=description.findings, sections=sections)


def _facts(dataset: Dataset) -> tuple[Fact, ...]:
    particles = dataset.particles
    halves = np.bincount(particles.half, minlength=3)
    per_series = np.bincount(particles.tilt_series, minlength=len(dataset.tilt_series))
    voltages = sorted({optics.voltage_kv for optics in dataset.optics})
    return (
        Fact("Tilt series", str(len(dataset.tilt_series))),
        Fact("Tilt images", str(sum(series.n_tilts for series in dataset.tilt_series))),
        Fact("Particles", f"{len(particles)} ({_span(per_series)} per tilt series)"),
        Fact("Images from", _source(dataset)),
        Fact("Pixel size", f"{_span([series.pixel_size_angstrom for series in dataset.tilt_series])} Å"),
        Fact("Voltage", f"{', '.join(format_number(voltage) for voltage in voltages)} kV"),
        Fact("Half-sets", f"{halves[1]} and {halves[2]}" if halves[1:].any() else "not assigned yet"),
        Fact("Motion", "none" if dataset.motion_angstrom is None else "given per particle and tilt"),
    )


def _source(dataset: Dataset) -> str:
    particles = dataset.particles
    if particles.stacks is not None:
        return f"2D stacks of {particles.stacks.box} px at {format_number(particles.stacks.pixel_size_angstrom)} Å"
    if particles.subtomograms is not None:
        return f"pseudo-subtomograms of {particles.subtomograms.box} px at {format_number(particles.subtomograms.pixel_size_angstrom)} Å"
    present = [series for series in dataset.tilt_series if series.images is not None]
    told = "the tilt series" if len(present) == len(dataset.tilt_series) else f"{len(present)} of {len(dataset.tilt_series)} tilt series"
    return told if dataset.subtraction is None else f"{told}, less the signal that was subtracted"


def _row(series: TiltSeries, n_particles: int) -> tuple[str | int | float, ...]:
    defocus = (series.defocus_u_angstrom + series.defocus_v_angstrom) / 2e4
    angle = tilt_angle_degrees(series)
    return (
        series.name,
        series.n_tilts,
        f"{format_number(angle.min(), 3)} to {format_number(angle.max(), 3)}",
        dose_scheme(angle, series.dose),
        format_number(float(series.dose.max()), 3),
        _span(np.round(defocus, 2)),
        round(series.pixel_size_angstrom, 4),
        "+1" if series.hand > 0 else "−1",
        n_particles,
    )


def _findings(dataset: Dataset) -> Iterator[Finding]:
    yield from (Finding("warning", str(doubt)) for doubt in doubts(dataset))
    empty = [series.name for series, rows in zip(dataset.tilt_series, rows_by_series(dataset), strict=True) if not len(rows)]
    if empty:
        yield Finding("note", f"{_names(empty)}: no particles.")
    exported = [series.name for series in dataset.tilt_series if float(series.globals_.get("rlnTomoHand", series.hand)) != series.hand]
    if exported:
        yield Finding("note", f"{_names(exported)}: exported by WarpTools, so hand and coordinates are read as WarpTools means them.")
    if unoriented(dataset):
        yield Finding("note", "The particles have no orientations yet: a refinement starts with a global search.")


def unoriented(dataset: Dataset) -> bool:
    """Whether no particle has an orientation of its own, as a picker leaves them."""
    rotation = dataset.particles.rotation_particle
    return len(rotation) > 1 and bool(np.allclose(rotation, rotation[0])) and bool(np.allclose(rotation[0], np.eye(3)))


def _span(values: Sequence[float] | NDArray[np.generic]) -> str:
    array = np.asarray(values, dtype=float)
    low, high = (format_number(float(value)) for value in (array.min(), array.max()))
    return low if low == high else f"{low}–{high}"


def _names(names: Sequence[str], at_most: int = 4) -> str:
    listed = ", ".join(names[:at_most])
    return listed if len(names) <= at_most else f"{listed} and {len(names) - at_most} more"

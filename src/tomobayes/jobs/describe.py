"""What a data set holds, in words and figures, and what is odd about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tomobayes.geometry.projection import is_visible, project
from tomobayes.jobs.dose_scheme import dose_scheme
from tomobayes.model import Dataset, TiltSeries
from tomobayes.report import Fact, Finding, Report, Section, Table, defocus_chart, directions_of, dose_chart, format_number
from tomobayes.report.figures import tilt_angle_degrees

__all__ = ["Description", "data_report", "data_section", "describe", "unoriented"]

FEW_TILTS = 5
CLOSE_ANGSTROM = 1.0


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
    rows = [_row(series, int((dataset.particles.tilt_series == index).sum())) for index, series in enumerate(dataset.tilt_series)]
    return Description(_facts(dataset), columns, rows, tuple(_findings(dataset)))


def data_section(dataset: Dataset) -> Section:
    """Defocus and dose of every image, and a table of the tilt series."""
    description = describe(dataset)
    table = Table("Tilt series", description.columns, description.rows)
    return Section("Data", [defocus_chart(dataset.tilt_series), dose_chart(dataset.tilt_series), table])


def data_report(title: str, dataset: Dataset, description: Description) -> Report:
    """A page about the data set alone."""
    sections = [data_section(dataset)]
    if not unoriented(dataset):
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
    return "the tilt series" if len(present) == len(dataset.tilt_series) else f"{len(present)} of {len(dataset.tilt_series)} tilt series"


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
    particles = dataset.particles
    if particles.stacks is None and particles.subtomograms is None and any(series.images is None for series in dataset.tilt_series):
        yield Finding("warning", "Some tilt series have no images here: what needs pixels will refuse them.")
    if len({series.hand for series in dataset.tilt_series}) > 1:
        yield Finding("warning", "Tilt series differ in hand (rlnTomoHand): within one microscope session it is the same.")
    undosed = [series.name for series in dataset.tilt_series if series.dose.max() == 0]
    if undosed:
        yield Finding("warning", f"{_names(undosed)}: no dose is given, so late images count as much as early ones.")
    overfocused = [
        series.name for series in dataset.tilt_series if min(series.defocus_u_angstrom.min(), series.defocus_v_angstrom.min()) <= 0
    ]
    if overfocused:
        yield Finding("warning", f"{_names(overfocused)}: images with no or negative underfocus; their CTF fits are worth a look.")
    empty = [series.name for index, series in enumerate(dataset.tilt_series) if not (particles.tilt_series == index).any()]
    if empty:
        yield Finding("note", f"{_names(empty)}: no particles.")
    if unoriented(dataset):
        yield Finding("note", "The particles have no orientations yet: a refinement starts with a global search.")
    unassigned = int((particles.half == 0).sum())
    if 0 < unassigned < len(particles):
        yield Finding("warning", f"{unassigned} of {len(particles)} particles belong to no half-set, the others do.")
    yield from _place_findings(dataset)


def _place_findings(dataset: Dataset) -> Iterator[Finding]:
    seen = _tilts_seen(dataset)
    n_few = int((seen < FEW_TILTS).sum())
    if n_few:
        yield Finding("warning", f"{n_few} of {len(seen)} particles lie inside fewer than {FEW_TILTS} tilt images.")
    n_close = _n_repeated(dataset)
    if n_close:
        yield Finding("warning", f"{n_close} particles lie within {CLOSE_ANGSTROM:g} Å of another: duplicates tie the half-sets together.")


def _tilts_seen(dataset: Dataset) -> NDArray[np.int64]:
    """(P,) on how many tilt images each particle's centre lies; all of them where the images' size is unknown."""
    particles = dataset.particles
    seen = np.array([dataset.tilt_series[index].n_tilts for index in particles.tilt_series], dtype=np.int64)
    for index, series in enumerate(dataset.tilt_series):
        mine = particles.tilt_series == index
        if series.image_size is not None and mine.any():
            geometry = (torch.from_numpy(series.rotation), torch.from_numpy(series.shift_angstrom))
            points = torch.from_numpy(particles.centre_angstrom[mine])
            places = project(points, *geometry, series.pixel_size_angstrom, series.tomogram_size, series.image_size)
            seen[mine] = is_visible(places, series.image_size, 0.0).sum(1).numpy()
    return seen


def _n_repeated(dataset: Dataset) -> int:
    """How many particles lie on top of an earlier one of their tilt series."""
    from scipy.spatial import KDTree

    repeated = 0
    for index in range(len(dataset.tilt_series)):
        points = dataset.particles.centre_angstrom[dataset.particles.tilt_series == index]
        if len(points):
            repeated += len({int(second) for _, second in KDTree(points).query_pairs(CLOSE_ANGSTROM, output_type="ndarray")})
    return repeated


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

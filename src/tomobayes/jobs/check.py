"""``check``: everything wrong or odd with an experiment at once, what was understood of it, and what its images say of its conventions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tomobayes.compute.threads import use_threads
from tomobayes.formats.mrc_images import MrcImages
from tomobayes.formats.relion import find_members, read_dataset
from tomobayes.imaging.gathering import choose_engine
from tomobayes.jobs.check_measured import Measured, measured, what_to_measure
from tomobayes.jobs.describe import data_report, describe
from tomobayes.jobs.doubts import doubts
from tomobayes.jobs.experiment import pixel_problems
from tomobayes.jobs.frame import Context
from tomobayes.jobs.parameters import Check
from tomobayes.jobs.shown import show_description, show_table
from tomobayes.model import BadInput, Dataset, Problem, TiltSeries
from tomobayes.report import Finding, Report, Section, Table

__all__ = ["run"]

PLACES = ("Tilt series", "Images", "Image (px)", "Header (Å)", "Table (Å)", "Tomogram (px)", "Centre (px)", "Binning of tomogram")
ANSWERS = ("Question", "As told", "Images say", "Sure to", "Log ratio (nats)", "Witnesses")


def run(parameters: Check, context: Context) -> Path:
    """Say it, and show it in a report; errors leave no folder behind."""
    use_threads(parameters.j)
    members = find_members(*parameters.members)
    dataset = read_dataset(*parameters.members, require_images=parameters.depth != "tables")
    if parameters.depth == "pixels":
        _refuse(pixel_problems(dataset, choose_engine(dataset), context.log), dataset)
    questions = what_to_measure(parameters, dataset)
    description = describe(dataset)
    places = [_place(series) for series in dataset.tilt_series]
    show_description(description)
    show_table(PLACES, places)
    answers = measured(questions, context.log)
    folder = context.open([members.particles, members.tomograms, members.trajectories, parameters.ref])
    for finding in (*description.findings, *(_finding(one) for one in answers)):
        (context.log.warn if finding.kind == "warning" else context.log.say)(finding.text)
    context.show(_report(dataset, data_report("Checked experiment", dataset, description), places, answers))
    return folder


def _refuse(problems: list[Problem], dataset: Dataset) -> None:
    """All errors at once, and the warnings with them."""
    if problems:
        raise BadInput([*problems, *doubts(dataset)])


def _place(series: TiltSeries) -> tuple[str, ...]:
    """What coordinates and pixel sizes of one tilt series were taken to mean."""
    headers = list(series.images.headers.values()) if isinstance(series.images, MrcImages) else []
    sizes = sorted({f"{header.pixel_size_angstrom:.4f}" if header.has_pixel_size else "not given" for header in headers})
    kinds = sorted({str(header.dtype) for header in headers})
    return (
        series.name,
        f"{series.n_tilts} of {', '.join(kinds)}" if headers else "not here",
        _by(series.image_size) if series.image_size else "–",
        ", ".join(sizes) or "–",
        f"{series.pixel_size_angstrom:.4f}",
        _by(series.tomogram_size),
        ", ".join(f"{size / 2:g}" for size in series.tomogram_size),
        series.globals_.get("rlnTomoTomogramBinning", "–"),
    )


def _by(size: tuple[int, ...]) -> str:
    return " x ".join(map(str, size))


def _finding(one: Measured) -> Finding:
    answer = one.verdict.answer
    return Finding("good" if answer == "right" else "warning" if answer == "wrong" else "note", one.sentence)


def _report(dataset: Dataset, report: Report, places: list[tuple[str, ...]], answers: list[Measured]) -> Report:
    rows = [(one.question, one.told, one.said, one.sureness, round(one.verdict.nats, 1), one.verdict.witnesses) for one in answers]
    asked = [Section("What the images say", [Table("Conventions", ANSWERS, rows), *(figure for one in answers for figure in one.figures)])]
    findings = [*(_finding(one) for one in answers), *report.findings]
    understood = Section("Sizes and centres", [Table("Images and tomograms", PLACES, places)])
    return replace(report, findings=findings, sections=[*(asked if answers else []), understood, *report.sections])

"""``report``: all jobs of a project on one page that needs no other file."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tomobayes.formats.atomic import atomic_path
from tomobayes.jobs.parameters import ProjectReport
from tomobayes.model import BadInput, Problem
from tomobayes.project import Job, list_jobs
from tomobayes.report import Box, Chart, DrawnSection, Item, Report, Section, Slices, draw_graph, drawn_sections, read_report, templates

__all__ = ["run"]


@dataclass(frozen=True)
class Entry:
    """One job on the page: the head of its report, and its first curves and pictures."""

    job: Job
    report: Report | None
    sections: tuple[DrawnSection, ...]


def run(parameters: ProjectReport) -> Path:
    """Write the page and give its path."""
    project = parameters.project
    jobs = list_jobs(project) if project.is_dir() else ()
    if not jobs:
        raise BadInput(Problem(project, "", "there are no jobs in this folder", remedy="give the folder of a project"))
    target = parameters.o or project / "report.html"
    page = (
        templates()
        .get_template("project.html")
        .render(
            name=project.resolve().name,
            subtitle=f"{project.resolve()} · tomobayes {version('tomobayes')} · {datetime.datetime.now().astimezone():%-d %B %Y, %H:%M}",
            counts=Counter(job.status.value for job in jobs),
            graph=draw_graph([_box(job) for job in jobs]),
            entries=list(_entries(jobs)),
        )
    )
    with atomic_path(target) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return target


def _box(job: Job) -> Box:
    about = f"{job.name} · {job.status.value}"
    return Box(job.name, job.alias or job.type, about, job.status.name.lower(), job.inputs, f"#{job.name}")


def _entries(jobs: tuple[Job, ...]) -> Iterator[Entry]:
    for job in jobs:
        try:
            report = read_report(job.folder)
        except BadInput:
            report = None
        telling = [] if report is None else [Section("", _most_telling(report))]
        yield Entry(job, report, drawn_sections(telling))


def _most_telling(report: Report) -> list[Item]:
    """The first chart and the first pictures."""
    items = [item for section in report.sections for item in section.items]
    firsts = (next((item for item in items if isinstance(item, kind)), None) for kind in (Chart, Slices))
    return [item for item in firsts if item is not None]

"""What is told of a job at a glance: its key figure, how far it is, and what its map and FSC look like."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tomobayes.jobs.log import duration
from tomobayes.model import BadInput
from tomobayes.project import Job, Status, read_progress
from tomobayes.report import Address, Chart, Fact, Report, Slices, draw_thumbnail, image_name, read_report
from tomobayes.web.desk import at
from tomobayes.web.relion_jobs import relion_report

__all__ = ["Card", "Running", "card_of", "image_address", "report_of", "running_of"]


@dataclass(frozen=True)
class Running:
    """How far a running job is; ``share`` from 0 to 1, None where nobody knows."""

    what: str
    share: float | None
    left: str


@dataclass(frozen=True)
class Card:
    """One job at a glance; ``picture`` is the address of a slice of its map, ``curve`` the markup of its first chart."""

    job: Job
    facts: tuple[Fact, ...]
    running: Running | None
    picture: str
    curve: str


def card_of(job: Job) -> Card:
    """The card of a job, from its files."""
    report = report_of(job)
    running = running_of(job)
    if report is None:
        return Card(job, (), running, "", "")
    items = [item for section in report.sections for item in section.items]
    slices = next((item for item in items if isinstance(item, Slices)), None)
    charts = [item for item in items if isinstance(item, Chart)]
    chart = next((item for item in charts if item.x.scale == "resolution"), charts[0] if charts else None)
    picture = "" if slices is None else image_address(job)(slices, next(iter(slices.images)))
    return Card(job, tuple(report.facts[:3]), running, picture, "" if chart is None else draw_thumbnail(chart))


def running_of(job: Job) -> Running | None:
    """How far a job is; None unless it runs."""
    if job.status is not Status.RUNNING:
        return None
    progress = read_progress(job.folder)
    if progress is None:
        return Running("at work", None, "")
    left = progress.seconds_left
    return Running(progress.what, progress.share, "" if left is None or left < 1 else f"{duration(left)} left")


def report_of(job: Job) -> Report | None:
    """A job's report as it stands, or what the files of RELION's tell; None where there is none that could be shown."""
    if job.record is None:
        return relion_report(job)
    path = job.folder / "report.json"
    try:
        return _report(job.folder, path.stat().st_mtime_ns)
    except (FileNotFoundError, BadInput):
        return None


@lru_cache(maxsize=600)
def _report(folder: Path, modified: int) -> Report | None:
    return read_report(folder)


def image_address(job: Job) -> Address:
    """Where the browser finds images of a job's report; the address changes with the image, so that no old one is shown."""

    def address(slices: Slices, label: str) -> str:
        name = image_name(slices, label)
        file = job.folder / "report" / name
        version = file.stat().st_mtime_ns if file.exists() else 0
        return f"{at(f'{job.name}/report/{name}', 'files')}?v={version}"

    return address

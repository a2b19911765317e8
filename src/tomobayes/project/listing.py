"""All jobs of a project as its files tell of them: ours and RELION's, listed in ``default_pipeline.star`` or only found there."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from tomobayes.formats.star import read_star
from tomobayes.model import BadInput
from tomobayes.project.lock import is_locked
from tomobayes.project.markers import Ending, ending
from tomobayes.project.nodes import Node
from tomobayes.project.pipeline_file import INPUTS, NODES, OUTPUTS, PROCESSES, Pipeline, read_pipeline
from tomobayes.project.record import RECORD_NAME, Record, read_record

__all__ = ["Job", "Status", "find_job", "list_jobs"]

TRASH = "Trash"
_OUTPUTS_NAME = "RELION_OUTPUT_NODES.star"


class Status(Enum):
    """How a job is; the value is how one says it."""

    SCHEDULED = "scheduled"
    RUNNING = "running"
    SUCCEEDED = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    KILLED = "killed"
    """It neither runs nor says how it ended."""


@dataclass(frozen=True)
class Job:
    """One job of a project.

    Parameters
    ----------
    name : its folder from the project's, ``Refine3D/job004``, which identifies it
    folder : the folder
    alias : the user's own name for it, "" without one
    kind : RELION's label of its type, "" where the pipeline does not list it
    record : what was asked of it, None for RELION's own jobs and records that cannot be read
    inputs : names of the jobs whose files it reads
    outputs : files that other jobs may take
    """

    name: str
    folder: Path
    alias: str
    kind: str
    record: Record | None
    status: Status
    inputs: tuple[str, ...] = ()
    outputs: tuple[Node, ...] = ()

    @property
    def type(self) -> str:
        """The verb of ours, Refine3D, Polish and so on of RELION's."""
        return self.record.verb if self.record else self.folder.parent.name

    @property
    def number(self) -> int:
        """Of ``jobNNN``; 0 for another name."""
        match = re.fullmatch(r"job(\d+)", self.folder.name)
        return int(match[1]) if match else 0


def list_jobs(project: Path) -> tuple[Job, ...]:
    """Every job of the project in folder ``project``, in the order in which they were made."""
    pipeline = read_pipeline(project)
    rows = {row["rlnPipeLineProcessName"].rstrip("/"): row for row in pipeline.tables[PROCESSES]}
    names = dict.fromkeys([*rows, *_found(project)])
    inside = (name for name in names if ".." not in Path(name).parts and not Path(name).is_absolute())
    jobs = {name: _job(project, name, rows.get(name)) for name in inside if (project / name).is_dir()}
    return _tied(project, jobs, pipeline)


def find_job(project: Path, name: str) -> Job | None:
    """The job of this name, or None where the project has none."""
    return next((job for job in list_jobs(project) if job.name == name), None)


def _found(project: Path) -> Iterator[str]:
    """Folders that hold the record of a job of ours, at most two levels down; the oldest first."""
    records = [path for pattern in (f"*/{RECORD_NAME}", f"*/*/{RECORD_NAME}") for path in project.glob(pattern)]
    shown = [path.parent.relative_to(project) for path in sorted(records, key=lambda path: (path.stat().st_mtime, path))]
    yield from (str(path) for path in shown if path.parts[0] != TRASH and not path.parts[0].startswith("."))


def _job(project: Path, name: str, row: Mapping[str, str] | None) -> Job:
    folder = project / name
    record, _ = _recorded(folder, name)
    alias = "" if row is None or row["rlnPipeLineProcessAlias"] == "None" else row["rlnPipeLineProcessAlias"]
    kind = "" if row is None else row["rlnPipeLineProcessTypeLabel"]
    return Job(name, folder, alias, kind, record, _status(folder, row, record is not None))


def _recorded(folder: Path, name: str) -> tuple[Record | None, tuple[str, ...]]:
    """What was asked of a job, and the paths among that; read again only where the record has changed."""
    try:
        return _read(folder, name, (folder / RECORD_NAME).stat().st_mtime_ns)
    except FileNotFoundError:
        return None, ()


@lru_cache(maxsize=5000)
def _read(folder: Path, name: str, modified: int) -> tuple[Record | None, tuple[str, ...]]:
    try:
        record = read_record(folder)
    except BadInput:
        return None, ()
    return record, tuple(_given(name, record))


_TOLD = {
    "Running": Status.RUNNING,
    "Scheduled": Status.SCHEDULED,
    "Succeeded": Status.SUCCEEDED,
    "Failed": Status.FAILED,
    "Aborted": Status.STOPPED,
}
_ENDED = {Ending.SUCCESS: Status.SUCCEEDED, Ending.FAILURE: Status.FAILED, Ending.ABORTED: Status.STOPPED}


def _status(folder: Path, row: Mapping[str, str] | None, ours: bool) -> Status:
    """Of our jobs lock and marker tell; of RELION's the marker, and before there is one the pipeline."""
    if ours and is_locked(folder):
        return Status.RUNNING
    how = ending(folder)
    if how is not None:
        return _ENDED[how]
    return Status.KILLED if ours or row is None else _TOLD.get(row["rlnPipeLineProcessStatusLabel"], Status.KILLED)


def _tied(project: Path, jobs: Mapping[str, Job], pipeline: Pipeline) -> tuple[Job, ...]:
    """The jobs with what each reads and leaves."""
    kinds = {row["rlnPipeLineNodeName"]: row["rlnPipeLineNodeTypeLabel"] for row in pipeline.tables[NODES]}
    made: dict[str, list[Node]] = {name: [] for name in jobs}
    read: dict[str, list[str]] = {name: [] for name in jobs}
    for row in pipeline.tables[OUTPUTS]:
        path = row["rlnPipeLineEdgeToNode"]
        made.setdefault(row["rlnPipeLineEdgeProcess"].rstrip("/"), []).append(Node(path, kinds.get(path, "")))
    for row in pipeline.tables[INPUTS]:
        read.setdefault(row["rlnPipeLineEdgeProcess"].rstrip("/"), []).append(row["rlnPipeLineEdgeFromNode"])
    tied = []
    for name, job in jobs.items():
        outputs = made[name] or _left(project, job)
        givers = (_giver(path, jobs) for path in [*read[name], *_recorded(job.folder, name)[1]])
        inputs = dict.fromkeys(giver for giver in givers if giver is not None and giver != name)
        tied.append(replace(job, inputs=tuple(inputs), outputs=tuple(outputs)))
    return tuple(tied)


def _giver(path: str, jobs: Mapping[str, Job]) -> str | None:
    """The job in whose folder a path lies."""
    parts = Path(path).parts
    names = ("/".join(parts[:depth]) for depth in range(len(parts), 0, -1))
    return next((name for name in names if name in jobs), None)


def _given(name: str, record: Record) -> Iterator[str]:
    """Paths inside the project among a job's parameters, as seen from the project's folder."""
    root = _root_then(name, record)
    for value in _words(record.parameters.values()):
        path = Path(os.path.normpath(Path(record.directory) / value))
        if path.is_relative_to(root):
            yield str(path.relative_to(root))


def _root_then(name: str, record: Record) -> Path:
    """The project's folder when a job was started: it may have been moved since."""
    words = shlex.split(record.command)
    out = next((following for word, following in pairwise(words) if word == "--o"), name)
    folder, parts = Path(os.path.normpath(Path(record.directory) / out)), Path(name).parts
    kept_its_name = folder.parts[-len(parts) :] == parts
    return folder.parents[len(parts) - 1] if kept_its_name else folder.parent


def _words(values: Iterable[object]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _words(value)


def _left(project: Path, job: Job) -> list[Node]:
    """Outputs of a job that no pipeline lists, by the file that it left for RELION."""
    path = job.folder / _OUTPUTS_NAME
    if not path.is_file():
        return []
    try:
        columns = read_star(path)["output_nodes"].columns
        rows = zip(columns["rlnPipeLineNodeName"], columns["rlnPipeLineNodeTypeLabel"], strict=True)
    except (BadInput, KeyError):
        return []
    root = project.resolve() if job.record is None else _root_then(job.name, job.record)
    directory = root if job.record is None else Path(job.record.directory)
    named = ((directory / str(name), str(kind)) for name, kind in rows)
    return [Node(str(path.relative_to(root)) if path.is_relative_to(root) else str(path), kind) for path, kind in named]

"""Job folders: where a job writes, who may write there, and what is left behind however it ends."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from tomobayes.model import BadInput, Problem
from tomobayes.project.checkpoint import rewind
from tomobayes.project.lock import LOCK_NAME, folder_lock
from tomobayes.project.markers import Ending, clear_markers, mark
from tomobayes.project.nodes import nodes_of
from tomobayes.project.pipeline import forget_job, is_listed, register_job, update_job, write_output_nodes
from tomobayes.project.record import RECORD_NAME, Record, read_record, write_record

__all__ = ["JobFolder", "Mode", "check_folder", "occupy"]

_MADE_BY_RELION_GUI = ("job.star", "job_pipeline.star", "continue_job.star", "run.job", "run.out", "run.err", "note.txt")
_NOT_CONTENT = {LOCK_NAME, *_MADE_BY_RELION_GUI}


class Mode(Enum):
    """What to do about a folder that already holds something."""

    NEW = "refuse"
    OVERWRITE = "replace"
    CONTINUE = "go on"


@dataclass
class JobFolder:
    """A folder that this process holds.

    Parameters
    ----------
    path : the folder
    project : the folder of the project, against which RELION writes paths
    is_new : whether it was made, or was empty, when the job began
    listed_as : its name in the project's pipeline, or None where it is in none
    outputs : files that other jobs may take, added by the job as it makes them
    """

    path: Path
    project: Path
    is_new: bool
    listed_as: str | None = None
    outputs: list[Path] = field(default_factory=list)


def check_folder(path: Path, mode: Mode) -> None:
    """Refuse a folder that ``mode`` does not allow to write to.

    Raises
    ------
    BadInput
        if it is a file, holds something and is to be new, is to be replaced and is no job's, or is to be continued and is not there.
    """
    problem: tuple[str, str] | None = None
    if path.exists() and not path.is_dir():
        problem = "this is a file, and a folder is needed", "give a folder with --o"
    elif mode is Mode.CONTINUE and not (path / RECORD_NAME).is_file():
        problem = "no job was started here that could go on", "check the path, or leave out --continue"
    elif mode is Mode.NEW and _content(path):
        problem = "the folder is not empty", "name another with --o, or add --overwrite to replace it or --continue to go on with its job"
    elif mode is Mode.OVERWRITE and _content(path) and not (path / RECORD_NAME).is_file():
        problem = "the folder holds files of something else than a job of tomobayes", "empty it yourself, or name another with --o"
    if problem:
        raise BadInput(Problem(path, "", problem[0], remedy=problem[1]))


@contextmanager
def occupy(
    kind: str, out: Path | None, mode: Mode, record: Record, inputs: Sequence[Path] = (), back_to: int | None = None
) -> Iterator[JobFolder]:
    """Hold a job's folder while the block runs, and leave RELION's marker of how it ended.

    Parameters
    ----------
    kind : type of job, which names the folder of its kind in a project
    out : the folder; None for the next ``kind/jobNNN`` of the project in the current folder
    mode : what to do about a folder that already holds something
    record : what was asked of the job
    inputs : files that the job reads, for the project's list
    back_to : checkpoint from which a job goes on; None for its last

    Notes
    -----
    Success, failure and interruption are marked. Bad input leaves nothing: a folder that was new is removed again.
    """
    folder = _numbered(kind, inputs) if out is None else _named(out, mode)
    with folder_lock(folder.path):
        try:
            _make_ready(folder, mode, record, back_to)
            yield folder
        except BadInput:
            if not folder.is_new:
                _end(folder, Ending.FAILURE)
            else:
                _remove(folder)
            raise
        except KeyboardInterrupt:
            _end(folder, Ending.ABORTED)
            raise
        except BaseException:
            _end(folder, Ending.FAILURE)
            raise
        _end(folder, Ending.SUCCESS)


def _numbered(kind: str, inputs: Sequence[Path]) -> JobFolder:
    project = Path.cwd()

    def make(number: int) -> str:
        name = f"{kind}/job{number:03d}/"
        (project / name).mkdir(parents=True)
        return name

    name = register_job(project, make, nodes_of(inputs, project))
    return JobFolder(Path(name), project, is_new=True, listed_as=name)


def _named(path: Path, mode: Mode) -> JobFolder:
    check_folder(path, mode)
    project = Path.cwd()
    is_new = not _content(path)
    path.mkdir(parents=True, exist_ok=True)
    inside = path.resolve().is_relative_to(project)
    name = f"{path.resolve().relative_to(project)}/" if inside else ""
    return JobFolder(path, project, is_new, listed_as=name if inside and is_listed(project, name) else None)


def _make_ready(folder: JobFolder, mode: Mode, record: Record, back_to: int | None) -> None:
    if mode is Mode.CONTINUE:
        for unfinished in folder.path.rglob(".*.part"):
            unfinished.unlink()
        if back_to is not None:
            rewind(folder.path, back_to)
        if record.parameters != read_record(folder.path).parameters:
            write_record(folder.path, record)
    else:
        _empty(folder.path)
        write_record(folder.path, record)
    clear_markers(folder.path)
    if folder.listed_as is not None:
        update_job(folder.project, folder.listed_as, None)


def _end(folder: JobFolder, how: Ending) -> None:
    """The marker comes last: where it says success, everything else is there."""
    nodes = nodes_of(folder.outputs, folder.project)
    write_output_nodes(folder.path, nodes)
    if folder.listed_as is not None:
        update_job(folder.project, folder.listed_as, how, nodes)
    mark(folder.path, how)


def _remove(folder: JobFolder) -> None:
    if any((folder.path / name).exists() for name in _MADE_BY_RELION_GUI):
        _empty(folder.path)
        mark(folder.path, Ending.FAILURE)
        return
    shutil.rmtree(folder.path)
    if folder.listed_as is not None:
        forget_job(folder.project, folder.listed_as)


def _content(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    return [entry for entry in path.iterdir() if entry.name not in _NOT_CONTENT and not entry.name.startswith("RELION_JOB_")]


def _empty(path: Path) -> None:
    """Remove a job's files, its record last: a folder half emptied by a kill can still be recognised."""
    for entry in sorted(_content(path), key=lambda entry: entry.name == RECORD_NAME):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()

"""The frame in which every job runs: from checked inputs to a folder that says how it ended."""

from __future__ import annotations

import datetime
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from tomobayes.jobs.log import Log, duration, job_log
from tomobayes.jobs.parameters.base import JobParameters
from tomobayes.model import BadInput, Problem
from tomobayes.project import (
    Ending,
    JobFolder,
    Mode,
    abort_requested,
    check_folder,
    ending,
    latest_checkpoint,
    new_record,
    occupy,
    read_record,
    save_checkpoint,
)
from tomobayes.report import Fact, Report, write_report

__all__ = ["Context", "run_job"]

Given = TypeVar("Given", bound=JobParameters)


def run_job(parameters: Given, run: Callable[[Given, Context], Path]) -> Path:
    """Run one job and give the folder (or file) it wrote.

    ``run`` reads and checks its inputs first and then calls `Context.open`: until then nothing exists on disk. Bad input, even
    when found later, leaves no new folder behind; any other error leaves its traceback in run.log and RELION's failure marker.
    """
    mode = _mode(parameters)
    if parameters.o is not None and not parameters.names_a_file:
        check_folder(parameters.o, mode)
        if mode is Mode.CONTINUE:
            _check_same(parameters)
            if ending(parameters.o) is Ending.SUCCESS:
                return parameters.o
    with job_log() as log, ExitStack() as stack:
        context = Context(parameters, log, stack)
        try:
            return run(parameters, context)
        except Exception as error:
            log.note(traceback.format_exc())
            if context.is_open and not isinstance(error, BadInput):
                error.add_note(f"The whole account is in {context.folder / 'run.log'}.")
            raise


class Context:
    """What a running job is given: its log, and its folder once it is opened."""

    def __init__(self, parameters: JobParameters, log: Log, stack: ExitStack) -> None:
        self.log = log
        self._parameters, self._stack = parameters, stack
        self._folder: JobFolder | None = None
        self._start = time.monotonic()

    @property
    def is_open(self) -> bool:
        """Whether the job has begun to write."""
        return self._folder is not None

    @property
    def folder(self) -> Path:
        """The job's folder."""
        return self._opened.path

    def open(self, inputs: Iterable[Path | None] = ()) -> Path:
        """Take the job's folder, now that its inputs are known to be good, and start its record and log.

        Parameters
        ----------
        inputs : files that the job reads (None: not given), for the project's list of jobs
        """
        parameters = self._parameters
        record = new_record(parameters.verb, parameters.recorded(), parameters.command())
        given = [path for path in inputs if path is not None]
        occupied = occupy(parameters.folder, parameters.o, _mode(parameters), record, given)
        self._folder = self._stack.enter_context(occupied)
        self.log.keep_in(self.folder / "run.log")
        self.log.say(record.command)
        return self.folder

    def output(self, *paths: Path) -> None:
        """Name files that other jobs may take."""
        self._opened.outputs.extend(path for path in paths if path not in self._opened.outputs)

    def save(self, number: int, state: object) -> Path:
        """Keep a state to go on from, then stop if RELION's GUI asked the job to; give its file."""
        path = save_checkpoint(self.folder, number, state)
        if abort_requested(self.folder):
            raise KeyboardInterrupt
        return path

    def last_state(self, classes: Sequence[type]) -> Any:
        """The newest state of a continued job, built of the given dataclasses; None where there is none."""
        found = latest_checkpoint(self.folder, classes) if self._parameters.continue_ else None
        return None if found is None else found[1]

    def show(self, report: Report) -> None:
        """Write the report as it stands; a running job may do so again and again."""
        date = datetime.datetime.now().astimezone().strftime("%-d %B %Y, %H:%M")
        subtitle = f"{self.folder} · tomobayes {version('tomobayes')} · {date}"
        elapsed = Fact("Time", duration(time.monotonic() - self._start))
        write_report(replace(report, subtitle=subtitle, facts=[*report.facts, elapsed]), self.folder)

    @property
    def _opened(self) -> JobFolder:
        if self._folder is None:
            raise RuntimeError("a job must call open() before it uses its folder")
        return self._folder


def _mode(parameters: JobParameters) -> Mode:
    if parameters.continue_:
        return Mode.CONTINUE
    return Mode.OVERWRITE if parameters.overwrite else Mode.NEW


def _check_same(parameters: JobParameters) -> None:
    """A job goes on with the options it began with: with others it would be another job."""
    assert parameters.o is not None
    record = read_record(parameters.o)
    if record.verb != parameters.verb:
        raise BadInput(
            Problem(
                parameters.o,
                "",
                f"this is a job of {record.verb}, not of {parameters.verb}",
                remedy=f"use tomobayes {record.verb} --continue",
            )
        )
    then, now = record.parameters, parameters.recorded()
    remedy = "leave it out to go on, or start another job without --continue"
    changed = [
        Problem(
            None,
            parameters.option(name),
            f"was {then.get(name, 'not given')} when this job began, not {now.get(name, 'absent')}",
            remedy=remedy,
        )
        for name in type(parameters).model_fields
        if name not in parameters.free_to_change and then.get(name) != now.get(name)
    ]
    if changed:
        raise BadInput(changed)

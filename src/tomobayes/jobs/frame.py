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
from tomobayes.jobs.planned import Planned
from tomobayes.jobs.said import FOLDER_SAID
from tomobayes.model import BadInput, Problem
from tomobayes.project import (
    Ending,
    JobFolder,
    Mode,
    Record,
    abort_requested,
    check_folder,
    checkpoints,
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
        if mode is Mode.CONTINUE and _nothing_to_do(parameters, parameters.o):
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
        occupied = occupy(parameters.folder, parameters.o, _mode(parameters), record, given, parameters.back_to)
        self._folder = self._stack.enter_context(occupied)
        self.log.keep_in(self.folder)
        self.log.say(record.command)
        self.log.say(f"{FOLDER_SAID} {self.folder}")
        return self.folder

    def open_as_planned(self, sentences: Iterable[str], inputs: Iterable[Path | None], only_plan: bool) -> Path:
        """Take the job's folder and log its plan; `Planned` is raised where nothing but the plan is wanted."""
        if only_plan:
            raise Planned(sentences)
        folder = self.open(inputs)
        for sentence in sentences:
            self.log.say(sentence)
        return folder

    def output(self, *paths: Path) -> None:
        """Name files that other jobs may take."""
        self._opened.outputs.extend(path for path in paths if path not in self._opened.outputs)

    def save(self, number: int, state: object, keep: int = 2) -> Path:
        """Keep a state to go on from, and the ``keep`` last ones; then stop if RELION's GUI asked the job to. Give its file."""
        path = save_checkpoint(self.folder, number, state, keep)
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


def _nothing_to_do(parameters: JobParameters, folder: Path) -> bool:
    """Whether the job in a folder is done already; refuse to go on with it in a way that makes no sense."""
    record, done = read_record(folder), ending(folder) is Ending.SUCCESS
    if record.verb != parameters.verb:
        what = f"this is a job of {record.verb}, not of {parameters.verb}"
        raise BadInput(Problem(folder, "", what, remedy=f"use tomobayes {record.verb} --continue"))
    changed = _changed(parameters, record)
    problems = [problem for name, problem in changed.items() if name not in parameters.may_change]
    there = checkpoints(folder)
    if parameters.back_to is not None and parameters.back_to not in there:
        what = f"there is no checkpoint of iteration {parameters.back_to}"
        problems.append(Problem(folder, "--from-iteration", what, remedy=f"there are those of {', '.join(map(str, there)) or 'none'}"))
    elif changed and done and parameters.back_to is None:
        remedy = f"say with --from-iteration where to go on from: {', '.join(map(str, there))}"
        problems.append(Problem(folder, "", "this job is done, and other options change nothing any more", remedy=remedy))
    if problems:
        raise BadInput(problems)
    return done and parameters.back_to is None


def _changed(parameters: JobParameters, record: Record) -> dict[str, Problem]:
    """Options that are not what they were when the job began, by name."""
    then, now = record.parameters, parameters.recorded()
    remedy = "leave it out to go on, or start another job without --continue"
    found = {}
    for name in type(parameters).model_fields:
        if name not in parameters.free_to_change and then.get(name) != now.get(name):
            what = f"was {then.get(name, 'not given')} when this job began, not {now.get(name, 'absent')}"
            found[name] = Problem(None, parameters.option(name), what, remedy=remedy)
    return found

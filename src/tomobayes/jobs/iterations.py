"""Iterations of a job: each is told of, written, shown and saved before the next begins."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from tomobayes.jobs.execution import Execution
from tomobayes.jobs.experiment import Experiment
from tomobayes.jobs.frame import Context
from tomobayes.jobs.taking_part import tell_set_aside
from tomobayes.report import Report

__all__ = ["Course", "carried_out"]


class Iterated(Protocol):
    """A state that iterations lead to."""

    @property
    def iteration(self) -> int: ...
    @property
    def converged(self) -> bool: ...
    @property
    def set_aside(self) -> Mapping[int, str]: ...


State = TypeVar("State", bound=Iterated)


@dataclass(frozen=True)
class Course(Generic[State]):
    """How a job goes from state to state, and what it says of each.

    Parameters
    ----------
    follow : the states after one
    last : number of the last iteration that may be
    count : particles that each iteration works on, where its progress is shown
    title : of an iteration, by its number
    tell : what the log says of a state, given the one before, too
    write : files of a state, run_itNNN_* each; report : its page
    keep : how many of the last iterations keep their maps and checkpoints
    """

    follow: Callable[[State], Iterator[State]]
    last: int
    count: int | None
    title: Callable[[int], str]
    tell: Callable[[State, State], Iterable[str]]
    write: Callable[[State], object]
    report: Callable[[State], Report]
    keep: int


def carried_out(course: Course[State], state: State, experiment: Experiment, running: Execution, context: Context) -> State:
    """The last state from where a job stands; files of iterations that are to be done again are removed."""
    folder, keep = context.folder, course.keep
    _forget_iterations(folder, after=state.iteration)
    running.keeps(state, context.save(state.iteration, state, keep))
    following = course.follow(state)
    while not state.converged and state.iteration < course.last:
        before = state
        with context.log.steps(course.title(state.iteration + 1), course.count) as step:
            running.tell(step)
            state = next(following)
        tell_set_aside(context.log, experiment, state.set_aside, before.set_aside)
        for sentence in course.tell(before, state):
            context.log.say(sentence)
        course.write(state)
        context.show(course.report(state))
        running.keeps(state, context.save(state.iteration, state, keep))
        _forget_maps(folder, before=state.iteration - keep + 1)
    return state


def _forget_iterations(folder: Path, after: int) -> None:
    for number, path in _of_iterations(folder):
        if number > after:
            path.unlink()


def _forget_maps(folder: Path, before: int) -> None:
    """The STAR files of early iterations stay."""
    for number, path in _of_iterations(folder):
        if number < before and path.suffix == ".mrc":
            path.unlink()


def _of_iterations(folder: Path) -> list[tuple[int, Path]]:
    matches = ((re.fullmatch(r"run_it(\d+)_.+", path.name), path) for path in folder.iterdir())
    return [(int(match[1]), path) for match, path in matches if match]

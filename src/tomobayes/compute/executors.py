"""Where tasks run: one protocol, and the executor that runs them one after the other in this process.

A task that fails is tried again after all others, three times in all; what still fails then is handed back and the rest goes on.
Results are always added in the same order, whoever made them: groups of neighbouring tasks first, then the groups. So the number
of processes does not change a bit of the result.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Generic, Protocol, TypeVar

__all__ = ["ATTEMPTS", "Executor", "Failure", "InProcess", "Outcome", "attempt", "groups", "merged", "persist"]

ATTEMPTS = 3
"""How often a task may fail before it is given up."""
GROUPS = 64
"""Results are added in at most so many groups before their sums are added to each other."""

Task = TypeVar("Task")
Result = TypeVar("Result")
Combine = Callable[[Result, Result], Result]


@dataclass(frozen=True)
class Failure(Generic[Task]):
    """A task that could not be done: the error in a line, and the whole account of it."""

    task: Task
    error: str
    account: str


@dataclass(frozen=True)
class Outcome(Generic[Task, Result]):
    """What some tasks add up to, None if none of them could be done, and those that could not.

    Parameters
    ----------
    place : where they ran, for whoever wants to run the next ones there
    """

    result: Result | None
    failures: tuple[Failure[Task], ...] = ()
    place: str = ""


class Executor(Protocol):
    """Runs tasks that do not depend on each other.

    Parameters
    ----------
    together : how many things this process may compute at a time between the tasks: its own cores, and those of waiting neighbours
    """

    together: int

    def map_reduce(
        self, function: Callable[[Task], Result], tasks: Sequence[Task], combine: Callable[[Result, Result], Result]
    ) -> Outcome[Task, Result]:
        """Add up ``function(task)`` of all tasks with ``combine``, which may put the sum where its first argument was.

        Parameters
        ----------
        function : a frozen dataclass that can be called; its fields are what all tasks share
        tasks : small: numbers and names, not images or maps
        """


class InProcess:
    """Tasks one after the other; ``done`` is told of each."""

    together = 1

    def __init__(self, done: Callable[[Any], None] | None = None) -> None:
        self.done = done

    def map_reduce(self, function: Callable[[Task], Result], tasks: Sequence[Task], combine: Combine[Result]) -> Outcome[Task, Result]:
        """As ``Executor.map_reduce``."""

        def once(some: Sequence[Task]) -> Outcome[Task, Result]:
            return merged(combine, (merged(combine, self._each(function, group)) for group in groups(some)))

        return persist(once, tasks, combine)

    def _each(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Outcome[Task, Result]]:
        for task in tasks:
            yield attempt(function, task)
            if self.done is not None:
                self.done(task)


def persist(
    once: Callable[[Sequence[Task]], Outcome[Task, Result]], tasks: Sequence[Task], combine: Combine[Result]
) -> Outcome[Task, Result]:
    """Run all tasks, then again those that failed, until all are done or have failed often enough."""
    outcome: Outcome[Task, Result] = Outcome(None, tuple(Failure(task, "", "") for task in tasks))
    for _ in range(ATTEMPTS):
        again = once([failure.task for failure in outcome.failures])
        outcome = merged(combine, [Outcome[Task, Result](outcome.result), again])
        if not outcome.failures:
            break
    return outcome


def attempt(function: Callable[[Task], Result], task: Task) -> Outcome[Task, Result]:
    """The outcome of one task, whatever happens to it."""
    try:
        return Outcome(function(task))
    except Exception as error:
        return Outcome(None, (Failure(task, f"{type(error).__name__}: {error}", traceback.format_exc()),))


def merged(combine: Combine[Result], outcomes: Iterator[Outcome[Task, Result]] | Sequence[Outcome[Task, Result]]) -> Outcome[Task, Result]:
    """One outcome of several, added from first to last."""

    def both(one: Outcome[Task, Result], two: Outcome[Task, Result]) -> Outcome[Task, Result]:
        failures, place = one.failures + two.failures, two.place or one.place
        if one.result is None or two.result is None:
            return Outcome(two.result if one.result is None else one.result, failures, place)
        return Outcome(combine(one.result, two.result), failures, place)

    return reduce(both, outcomes, Outcome(None))


def groups(tasks: Sequence[Task]) -> list[Sequence[Task]]:
    """Neighbouring tasks whose results are added first."""
    size = max(1, -(-len(tasks) // GROUPS))
    return [tasks[start : start + size] for start in range(0, len(tasks), size)]

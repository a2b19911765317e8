"""One task for each tilt series, wherever tasks run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import or_
from typing import TypeVar

from tomobayes.compute.executors import Executor, Failure

__all__ = ["each_series"]

Task = TypeVar("Task")
Result = TypeVar("Result")


def each_series(
    executor: Executor, function: Callable[[Task], dict[int, Result]], tasks: Sequence[Task]
) -> tuple[dict[int, Result], Sequence[Failure[Task]]]:
    """What a function finds of every tilt series, by number, in their order; and what could not be done.

    Raises
    ------
    RuntimeError
        where nothing could be done, with the account of the first failure as a note
    """
    outcome = executor.map_reduce(function, tasks, or_)
    if outcome.result is None:
        error = RuntimeError(f"no tilt series could be worked on ({outcome.failures[0].error})")
        error.add_note(outcome.failures[0].account)
        raise error
    return dict(sorted(outcome.result.items())), outcome.failures

"""Executors: every task once, sums in a fixed order, failures tried again and then handed back, wherever tasks run."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from tomobayes.compute.executors import InProcess, groups
from tomobayes.compute.workers import OnWorkers, local_workers


@dataclass(frozen=True)
class Value:
    """A handle of a value."""

    value: object

    def __call__(self) -> object:
        return self.value


@dataclass(frozen=True)
class Square:
    """x² in a list, so that the order of additions can be seen; fails or dies as often as a file says."""

    folder: str
    stubborn: int = -1
    deadly: int = -1

    def __call__(self, x: int) -> tuple[int, ...]:
        with Path(self.folder, f"calls_{x}").open("a") as calls:
            calls.write(f"{os.getpid()}\n")
        if x == self.stubborn:
            raise ValueError(f"{x} is not to be squared")
        if x == self.deadly and self.times(x) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return (x * x,)

    def times(self, x: int) -> int:
        return len(Path(self.folder, f"calls_{x}").read_text().splitlines())


def together(one: tuple[int, ...], two: tuple[int, ...]) -> tuple[int, ...]:
    return one + two


@pytest.fixture(scope="module")
def client():
    with local_workers(2) as two:
        yield two


@pytest.fixture(params=["in process", "on workers"])
def executor(request):
    if request.param == "in process":
        return InProcess()
    return OnWorkers(request.getfixturevalue("client"), Value, 1)


@pytest.mark.parametrize("count", [1, 5, 150])
def test_every_task_once_and_in_order(executor, count, tmp_path):
    square = Square(str(tmp_path))
    told = []
    executor.done = told.append
    outcome = executor.map_reduce(square, list(range(count)), together)
    assert outcome.result == tuple(x * x for x in range(count)) and not outcome.failures
    assert sorted(told) == list(range(count)) and all(square.times(x) == 1 for x in range(count))


def test_a_task_that_fails_three_times_is_handed_back_and_the_rest_goes_on(executor, tmp_path):
    square = Square(str(tmp_path), stubborn=3)
    outcome = executor.map_reduce(square, list(range(6)), together)
    assert outcome.result == (0, 1, 4, 16, 25)
    assert [(failure.task, failure.error) for failure in outcome.failures] == [(3, "ValueError: 3 is not to be squared")]
    assert "in __call__" in outcome.failures[0].account
    assert square.times(3) == 3 and square.times(2) == 1


def test_a_failing_task_is_tried_elsewhere(client, tmp_path):
    OnWorkers(client, Value, 1).map_reduce(Square(str(tmp_path), stubborn=1), list(range(4)), together)
    assert len(set((tmp_path / "calls_1").read_text().split())) == 2


def test_tasks_return_to_where_they_ran(client, tmp_path):
    executor = OnWorkers(client, Value, 1)
    for _ in range(2):
        executor.map_reduce(Square(str(tmp_path)), list(range(2)), together)
    for x in range(2):
        first, second = (tmp_path / f"calls_{x}").read_text().split()
        assert first == second


def test_nothing_comes_of_nothing_but_failures(executor, tmp_path):
    outcome = executor.map_reduce(Square(str(tmp_path), stubborn=7), [7], together)
    assert outcome.result is None and len(outcome.failures) == 1


def test_a_dead_worker_costs_only_its_task(tmp_path):
    with local_workers(2) as client:
        square = Square(str(tmp_path), deadly=4)
        outcome = OnWorkers(client, Value, 1).map_reduce(square, list(range(10)), together)
    assert outcome.result == tuple(x * x for x in range(10)) and not outcome.failures
    assert [square.times(x) for x in range(10)] == [1, 1, 1, 1, 2, 1, 1, 1, 1, 1]


def test_groups_are_neighbours():
    assert [list(group) for group in groups(range(3))] == [[0], [1], [2]]
    many = groups(range(150))
    assert len(many) <= 64 and [x for group in many for x in group] == list(range(150))

"""Tasks on other processes, of this machine or of a cluster, by Dask's ``distributed``.

Only one task at a time is given to a worker, so a worker that dies takes no other with it. A task goes where it ran before, where
the images it needs may still be at hand. What tasks share travels as handles: small things from which any process can get the value.
"""

from __future__ import annotations

import copy
import hashlib
import pickle
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from tomobayes.compute.executors import Failure, Outcome, attempt, groups, merged, persist

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["DEATHS", "WORKER_ENVIRONMENT", "Handle", "OnWorkers", "connect", "local_workers"]

WORKER_ENVIRONMENT = {"MALLOC_TRIM_THRESHOLD_": None, "MALLOC_ARENA_MAX": 1}
"""Dask has its workers give every freed page back at once; fetching them again takes as long as the work itself."""

Task = TypeVar("Task")
Result = TypeVar("Result")
Handle = Callable[[], Any]
"""Small, equal to others of the same value, and understood by every process that knows this program: called, it gives the value."""

PATIENCE_S = 600.0
"""How long to wait for the first worker of a cluster."""
CONNECTION_S = 10.0
"""How long to wait for a scheduler to answer."""
DEATHS = 3
"""A task that was running when so many workers died is taken to be what killed them."""


@dataclass(frozen=True)
class _Recipe:
    """How a worker makes the function that is applied to tasks."""

    kind: type
    handles: tuple[tuple[str, Handle], ...]
    threads: int


_made: dict[_Recipe, Callable[[Any], Any]] = {}
"""What this process, if it is a worker, made last: the tasks of one step share it."""


def _function(recipe: _Recipe) -> Callable[[Any], Any]:
    if recipe not in _made:
        _made.clear()
        _made[recipe] = recipe.kind(**{name: handle() for name, handle in recipe.handles})
    return _made[recipe]


def _on_worker(recipe: _Recipe, task: Task) -> Outcome[Task, Any]:
    """One task, on the worker."""
    from distributed import get_worker

    from tomobayes.compute.threads import use_threads

    use_threads(recipe.threads)
    return replace(attempt(lambda one: _function(recipe)(one), task), place=get_worker().address)


def _sum_on_worker(combine: Callable[[Result, Result], Result], outcomes: Sequence[Outcome[Task, Result]]) -> Outcome[Task, Result]:
    """The sum of a group, on the worker; the outcomes stay as they are, in case it has to be done again."""
    return merged(combine, [copy.deepcopy(outcomes[0]), *outcomes[1:]])


class OnWorkers:
    """Tasks on the workers of a scheduler; ``done`` is told of each.

    Parameters
    ----------
    handle : gives the handle of a value that tasks share
    threads : of each task
    """

    def __init__(self, client: Client, handle: Callable[[Any], Handle], threads: int, together: int = 1) -> None:
        self.together = together
        self.done: Callable[[Any], None] | None = None
        self._client, self._handle, self._threads = client, handle, threads
        self._home: dict[bytes, str] = {}
        self._shunned: dict[bytes, set[str]] = defaultdict(set)

    def map_reduce(
        self, function: Callable[[Task], Result], tasks: Sequence[Task], combine: Callable[[Result, Result], Result]
    ) -> Outcome[Task, Result]:
        """As ``Executor.map_reduce``."""
        names = [one.name for one in fields(cast(Any, function)) if one.init]
        recipe = _Recipe(type(function), tuple((name, self._handle(getattr(function, name))) for name in names), self._threads)
        self._shunned.clear()
        return persist(lambda some: self._once(recipe, some, combine), tasks, combine)

    def _once(self, recipe: _Recipe, tasks: Sequence[Task], combine: Callable[[Result, Result], Result]) -> Outcome[Task, Result]:
        """Every task once; sums of groups come back as they are complete and are added in the order of the tasks."""
        total: Outcome[Task, Result] = Outcome(None)
        early: dict[int, Outcome[Task, Result]] = {}
        taken = 0
        for number, outcome in self._sums(recipe, tasks, combine):
            early[number] = outcome
            while taken in early:
                total = merged(combine, [total, early.pop(taken)])
                taken += 1
        return total

    def _sums(
        self, recipe: _Recipe, tasks: Sequence[Task], combine: Callable[[Result, Result], Result]
    ) -> Iterator[tuple[int, Outcome[Task, Result]]]:
        """Number and outcome of each group of tasks, as they are complete."""
        from distributed import as_completed

        bundles = groups(range(len(tasks)))
        home = {index: number for number, bundle in enumerate(bundles) for index in bundle}
        done: list[dict[int, Any]] = [{} for _ in bundles]
        waiting, busy, sums = list(range(len(tasks))), dict[Any, tuple[int, str]](), dict[Any, int]()
        ahead = as_completed()
        while waiting or busy or sums:
            for index, worker in self._assigned(tasks, waiting, {place for _, place in busy.values()}):
                future = self._client.submit(_on_worker, recipe, tasks[index], workers=[worker], allow_other_workers=True, pure=False)
                busy[future] = index, worker
                ahead.add(future)
            future = next(ahead)
            if future in busy:
                index, worker = busy.pop(future)
                number = home[index]
                done[number][index] = self._noted(future, tasks[index], worker)
                if len(done[number]) == len(bundles[number]):
                    whole = self._sum([one for _, one in sorted(done[number].items())], combine)
                    done[number].clear()
                    sums[whole] = number
                    if whole is not future:
                        ahead.add(whole)
            if future in sums:
                number = sums.pop(future)
                yield number, self._gathered(future, [tasks[index] for index in bundles[number]])

    def _sum(self, outcomes: list[Future[Any]], combine: Callable[[Result, Result], Result]) -> Future[Any]:
        """The sum of a group, made by a worker."""
        return outcomes[0] if len(outcomes) == 1 else self._client.submit(_sum_on_worker, combine, outcomes, pure=False, priority=1)

    def _assigned(self, tasks: Sequence[Any], waiting: list[int], occupied: set[str]) -> Iterator[tuple[int, str]]:
        """Tasks for the workers that have none: what they did before, else what nobody did, else any that did not fail there."""
        workers = sorted(self._client.scheduler_info(n_workers=-1)["workers"])
        for worker in workers:
            if worker in occupied:
                continue
            keys = {index: _key(tasks[index]) for index in waiting}
            shunned = {index: self._shunned[key] for index, key in keys.items()}
            fit = [index for index in waiting if worker not in shunned[index] or len(shunned[index]) >= len(workers)]
            if fit:
                homes = {index: self._home.get(keys[index]) for index in fit}
                best = min(fit, key=lambda index: (homes[index] != worker, homes[index] in workers, index))
                waiting.remove(best)
                yield best, worker

    def _noted(self, future: Future[Any], task: Task, worker: str) -> Future[Any]:
        """A finished task, whose outcome stays on its worker; or the news that it took its workers with it."""
        if self.done is not None:
            self.done(task)
        if future.status == "finished":
            self._home[_key(task)] = worker
            return future
        error = future.exception()
        failure = Failure(task, f"{type(error).__name__}: {error}", str(error))
        return self._client.submit(Outcome, None, (failure,), pure=False)

    def _gathered(self, future: Future[Any], tasks: Sequence[Task]) -> Outcome[Task, Result]:
        """The sum of a group; if it was lost on the way, its tasks count as failed."""
        try:
            outcome: Outcome[Task, Result] = future.result()
            future.release()  # at once: a worker that dies later need not do this again
        except Exception as error:
            return Outcome(None, tuple(Failure(task, f"the sum of its group was lost: {error}", str(error)) for task in tasks))
        for failure in outcome.failures:
            self._shunned[_key(failure.task)].add(self._home.get(_key(failure.task), ""))
        return outcome


def _key(task: object) -> bytes:
    return hashlib.blake2b(pickle.dumps(task), digest_size=16).digest()


@contextmanager
def local_workers(count: int) -> Iterator[Client]:
    """Processes of this machine that work on one task at a time each, and are replaced when they die."""
    import dask
    from distributed import Client, LocalCluster

    settings = {"distributed.scheduler.allowed-failures": DEATHS - 1, "distributed.nanny.pre-spawn-environ": WORKER_ENVIRONMENT}
    with (
        dask.config.set(settings),
        LocalCluster(n_workers=count, threads_per_worker=1, memory_limit=0, dashboard_address=":0", silence_logs="CRITICAL") as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextmanager
def connect(scheduler: str) -> Iterator[Client]:
    """The workers of a scheduler, told by its address (tcp://host:port) or by the file it writes when it starts.

    Raises
    ------
    TimeoutError
        if there is no such scheduler, or no worker comes.
    """
    from distributed import Client

    where = {"address": scheduler} if "://" in scheduler else {"scheduler_file": str(_awaited(Path(scheduler)))}
    with Client(**where, timeout=CONNECTION_S) as client:
        client.wait_for_workers(1, timeout=PATIENCE_S)
        yield client


def _awaited(file: Path) -> Path:
    """A file that somebody is about to write: a batch system takes its time to start a scheduler."""
    deadline = time.monotonic() + PATIENCE_S
    while not file.is_file():
        if time.monotonic() > deadline:
            raise TimeoutError(f"no scheduler has written {file} in {PATIENCE_S:.0f} s")
        time.sleep(0.5)
    return file

"""What the tasks of jobs that take one tilt series after the other run on: this process, workers of this machine, or a scheduler's."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tomobayes.compute.executors import InProcess
from tomobayes.compute.workers import Handle, OnWorkers, connect, local_workers
from tomobayes.jobs.handles import digest
from tomobayes.jobs.log import Log
from tomobayes.jobs.memory import Crew
from tomobayes.jobs.parameters import Align, RefineCtf
from tomobayes.model import BadInput, Problem

__all__ = ["series_executor"]


@contextmanager
def series_executor(parameters: Align | RefineCtf, crew: Crew, folder: Path, log: Log) -> Iterator[InProcess | OnWorkers]:
    """An executor; workers end when the block does.

    Parameters
    ----------
    folder : of the job; workers find there what tasks share
    """
    if parameters.scheduler is None and parameters.workers is None:
        yield InProcess()
        return
    wanted = local_workers(parameters.workers) if parameters.workers is not None else connect(str(parameters.scheduler))
    with ExitStack() as stack:
        try:
            client = stack.enter_context(wanted)
        except (OSError, TimeoutError) as error:
            remedy = "start one with cluster-submit, and give the scheduler.json of its folder"
            problem = Problem(None, "--scheduler", f"no workers to be had at {parameters.scheduler} ({error})", remedy=remedy)
            raise BadInput(problem) from None
        log.say(f"{len(client.scheduler_info(n_workers=-1)['workers'])} workers of {crew.threads} threads each")
        parcels = _Parcels(folder.resolve())
        stack.callback(parcels.clear)
        yield OnWorkers(client, parcels, crew.threads)


@dataclass(frozen=True)
class _Parcel:
    """A value in a file of the job, for a process that works where the job was started."""

    path: Path
    content: str
    directory: Path

    def __call__(self) -> Any:
        if digest([self.path]) != self.content:
            raise RuntimeError(f"{self.path} changed while the job runs")
        os.chdir(self.directory)  # for good: images are read when they are needed, and their names count from there
        return pickle.loads(self.path.read_bytes())


class _Parcels:
    """Gives the handles of what tasks share; a value that was put into a file already is not put there again."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._known = folder, list[tuple[object, Handle]]()

    def __call__(self, value: object) -> Handle:
        """The handle of a value."""
        for known, handle in self._known:
            if known is value:
                return handle
        path = self._folder / f"shared_{len(self._known) + 1}.pickle"
        path.write_bytes(pickle.dumps(value))
        self._known.append((value, _Parcel(path, digest([path]), Path.cwd())))
        return self._known[-1][1]

    def clear(self) -> None:
        """Remove the files; nobody works any more."""
        for path in self._folder.glob("shared_*.pickle"):
            path.unlink()

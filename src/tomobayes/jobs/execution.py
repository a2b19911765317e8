"""What the tasks of a job run on: this process, workers of this machine, or those of a scheduler."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tomobayes.compute.executors import InProcess
from tomobayes.compute.threads import use_threads
from tomobayes.compute.workers import OnWorkers, connect, local_workers
from tomobayes.imaging.gathering import Gatherer
from tomobayes.jobs.experiment import Experiment
from tomobayes.jobs.handles import Images, Shelf, digest
from tomobayes.jobs.log import Log
from tomobayes.jobs.memory import Crew, MemoryPlan
from tomobayes.jobs.parameters import Classify, InitialModel, Reconstruct, Refine
from tomobayes.model import BadInput, Problem

__all__ = ["Execution", "crew_of", "execution"]


@dataclass(frozen=True)
class Execution:
    """An executor, how images are gathered, and whom to tell where a state was saved."""

    executor: InProcess | OnWorkers
    gather: Gatherer
    keeps: Callable[[object, Path], None]

    def tell(self, step: Callable[[float], None]) -> None:
        """Count the particles of finished portions with ``step``."""
        self.executor.done = lambda part: step(len(part.particles))


def crew_of(parameters: Reconstruct | Refine | Classify | InitialModel) -> Crew:
    """Who will do the work. Workers of this machine share its cores unless told otherwise, those of a cluster have one each."""
    if parameters.scheduler is not None:
        return Crew(parameters.j or 1, 1, elsewhere=True)
    if parameters.workers is not None:
        return Crew(parameters.j or max(1, use_threads(None) // parameters.workers), parameters.workers)
    return Crew(use_threads(parameters.j))


@contextmanager
def execution(
    parameters: Reconstruct | Refine | Classify | InitialModel, experiment: Experiment, plan: MemoryPlan, folder: Path, log: Log
) -> Iterator[Execution]:
    """Everything ready to run tasks; workers end when the block does.

    Parameters
    ----------
    plan : how many threads each process has, and what it may keep
    folder : of the job; workers find there what tasks share
    """
    source, radius = experiment.source, experiment.source.box // 2 - 1
    gather = Gatherer(experiment.dataset, source, radius, plan.budget)
    if parameters.scheduler is not None:
        wanted = connect(parameters.scheduler)
    elif parameters.workers is not None:
        wanted = local_workers(parameters.workers)
    else:
        yield Execution(InProcess(), gather, lambda state, path: None)
        return
    with ExitStack() as stack:
        try:
            client = stack.enter_context(wanted)
        except (OSError, TimeoutError) as error:
            remedy = "start one with cluster-submit, and give the scheduler.json of its folder"
            problem = Problem(None, "--scheduler", f"no workers to be had at {parameters.scheduler} ({error})", remedy=remedy)
            raise BadInput(problem) from None
        count = len(client.scheduler_info(n_workers=-1)["workers"])
        log.say(f"{count} workers of {plan.crew.threads} threads each")
        files = (parameters.i if parameters.i and parameters.i.is_file() else None, *experiment.inputs)
        images = Images(
            members=parameters.members,
            ignore_stored=parameters.images == "series",
            directory=Path.cwd(),
            files=files,
            content=digest(files),
            source=source,
            radius=radius,
            cache_bytes=plan.budget / count,
        )
        shelf = Shelf(folder, images, experiment.dataset.particles, gather)
        stack.callback(shelf.clear)
        yield Execution(OnWorkers(client, shelf, plan.crew.threads, plan.crew.together), gather, shelf.keeps)

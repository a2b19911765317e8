"""Where several classes start when nothing is known of them: random labels, several times, and what the runs agree about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from tomobayes.compute.executors import Executor, InProcess
from tomobayes.imaging.gathering import Portion
from tomobayes.inference.classification.iteration import classify_once, with_classes
from tomobayes.inference.classification.state import ClassSettings, ClassStart, ClassState, Climb, Trials
from tomobayes.inference.reconstruction import Gather
from tomobayes.model import Particles

__all__ = ["Annealing", "agreement_of_runs", "matched", "random_starts"]

IN_PROCESS = InProcess()
TRIAL_ITERATIONS, WITH_POSES = 8, 3
"""In which a run is followed, at given poses or with a search of them."""


@dataclass(frozen=True)
class Annealing:
    """Stochastic hill climbing that comes to rest.

    Parameters
    ----------
    temperature : of the first iteration, from which it falls to zero in the last
    share : of the particles that look around in each iteration
    iterations : so many
    """

    temperature: float
    share: float
    iterations: int

    def steps(self, seed: int) -> list[Climb]:
        """What each iteration does."""
        left = np.linspace(1, 0, self.iterations)
        return [Climb(float(self.temperature * one), self.share, seed, number) for number, one in enumerate(left)]


def random_starts(
    particles: Particles,
    parts: list[Portion],
    gather: Gather,
    start: ClassState,
    settings: ClassSettings,
    starts: int,
    seed: int,
    executor: Executor = IN_PROCESS,
    annealing: Annealing | None = None,
) -> Iterator[ClassState]:
    """From a consensus, several runs from random labels; the last state is that of the run whose maps explain the images best.

    Each run climbs as ``annealing`` says, if it is given, and is then followed for a few iterations. How many of the runs put a particle
    into the same class tells whether that class is more than chance. One state after each step; each can be saved and passed as
    ``start`` to go on from there.
    """
    state = start
    while state.start is None:
        trials = state.trials or Trials(state)
        of_run = seed * 1_000_003 + len(trials.gains)
        steps = _steps(settings, annealing, of_run)
        before = replace(state, trials=None) if trials.steps else _at_random(trials.origin, settings.n_classes, of_run)
        found = classify_once(particles, parts, gather, replace(before, climb=steps[trials.steps]), settings, executor)
        trials = replace(trials, steps=trials.steps + 1)
        if trials.steps < len(steps):
            state = replace(found, trials=trials)
        else:
            trials = _with_run(trials, found)
            over = len(trials.gains) == starts
            state = _best(trials, "random" if annealing is None else "climb") if over else replace(trials.origin, trials=trials)
        yield state


def _steps(settings: ClassSettings, annealing: Annealing | None, seed: int) -> list[Climb | None]:
    """How each iteration of a run goes."""
    climbing: list[Climb | None] = [] if annealing is None else list(annealing.steps(seed))
    return [*climbing, *[None] * (WITH_POSES if settings.searches else TRIAL_ITERATIONS)]


def _at_random(origin: ClassState, n_classes: int, seed: int) -> ClassState:
    labels = torch.randint(n_classes, (len(origin.posterior),), generator=torch.Generator().manual_seed(seed))
    return with_classes(origin, torch.eye(n_classes)[labels])


def _with_run(trials: Trials, found: ClassState) -> Trials:
    """The trials with a run that is over."""
    gain, labels = found.history[-1].gain, found.posterior.argmax(1)
    best = found if trials.best is None or gain > max(trials.gains) else trials.best
    return Trials(trials.origin, 0, (*trials.labels, labels), (*trials.gains, gain), best)


def _best(trials: Trials, kind: str) -> ClassState:
    """Where classes start, when all runs are over."""
    assert trials.best is not None
    best = with_classes(trials.best, trials.best.posterior, ClassStart(kind, trials.gains))
    if len(trials.gains) == 1:
        return best
    rows = best.rows
    consistency = torch.zeros(len(best.posterior), dtype=torch.float64)
    labels = [one[rows].numpy() for one in trials.labels]
    consistency[rows] = torch.from_numpy(agreement_of_runs(labels, best.n_classes))
    return replace(best, consistency=consistency)


def matched(labels: NDArray[np.int64], like: NDArray[np.int64], n_classes: int) -> NDArray[np.int64]:
    """The same labels (P,) under the names by which they agree most with others."""
    table = np.zeros((n_classes, n_classes))
    np.add.at(table, (labels, like), 1)
    _, name = linear_sum_assignment(-table)
    return np.asarray(name[labels], dtype=np.int64)


def agreement_of_runs(labels: Sequence[NDArray[np.int64]], n_classes: int) -> NDArray[np.float64]:
    """(P,) share of the runs in which each particle is in the class where most runs have it, whatever runs call their classes."""
    named = np.stack([matched(one, labels[0], n_classes) for one in labels])
    votes = np.stack([(named == k).mean(0) for k in range(n_classes)])
    return np.asarray(votes.max(0), dtype=np.float64)

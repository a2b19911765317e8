"""Where several classes start when nothing is known of them: random labels, several times, and what the runs agree about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from tomobayes.compute.executors import Executor, InProcess
from tomobayes.imaging.gathering import Portion
from tomobayes.inference.classification.iteration import classify_once, with_classes
from tomobayes.inference.classification.state import ClassSettings, ClassStart, ClassState, Climb
from tomobayes.inference.reconstruction import Gather
from tomobayes.model import Particles

__all__ = ["Annealing", "agreement_of_runs", "matched", "random_start"]

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


def random_start(
    particles: Particles,
    parts: list[Portion],
    gather: Gather,
    state: ClassState,
    settings: ClassSettings,
    starts: int,
    seed: int,
    executor: Executor = IN_PROCESS,
    annealing: Annealing | None = None,
) -> ClassState:
    """From a consensus, of several runs from random labels the one whose maps explain the images best.

    Each run climbs as ``annealing`` says, if it is given, and is then followed for a few iterations. How many of the runs put a particle
    into the same class tells whether that class is more than chance.
    """
    best, gains, labels = state, list[float](), []
    for number in range(starts):
        found = _run(particles, parts, gather, state, settings, seed * 1_000_003 + number, executor, annealing)
        if not gains or found.history[-1].gain > max(gains):
            best = found
        gains.append(found.history[-1].gain)
        labels.append(found.posterior.argmax(1).numpy())
    start = ClassStart("random" if annealing is None else "climb", tuple(gains))
    rows = best.rows.numpy()
    consistency = torch.zeros(len(best.posterior), dtype=torch.float64)
    consistency[best.rows] = torch.from_numpy(agreement_of_runs([one[rows] for one in labels], settings.n_classes))
    return replace(with_classes(best, best.posterior, start), consistency=consistency if starts > 1 else None)


def _run(
    particles: Particles,
    parts: list[Portion],
    gather: Gather,
    state: ClassState,
    settings: ClassSettings,
    seed: int,
    executor: Executor,
    annealing: Annealing | None,
) -> ClassState:
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(settings.n_classes, (len(state.posterior),), generator=random)
    following = with_classes(state, torch.eye(settings.n_classes)[labels])
    steps: list[Climb | None] = [] if annealing is None else list(annealing.steps(seed))
    follow = WITH_POSES if settings.searches else TRIAL_ITERATIONS
    for climb in [*steps, *[None] * follow]:
        following = classify_once(particles, parts, gather, replace(following, climb=climb), settings, executor)
    return following


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

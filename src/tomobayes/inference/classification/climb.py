"""Stochastic hill climbing over classes and poses (STOPGAP's way): every particle takes the first better candidate that it meets.

Candidates are visited in random order, and while looking for a better one a worse one is accepted with a probability, the temperature,
that falls to zero from iteration to iteration. In each iteration only a random share of the particles looks around.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.inference.classification.poses import Believed
from tomobayes.inference.classification.seen import References
from tomobayes.inference.classification.state import Climb
from tomobayes.inference.posterior import Posterior
from tomobayes.inference.sampling import Plan, around, shift_lattice
from tomobayes.inference.task import Task, own_scores

__all__ = ["climbed", "first_accepted", "hops"]

BATCH = 32
"""Candidates that are scored together."""
NEAREST = 0.25
"""Least scale of a search around a pose, which is drawn anew for each particle and iteration: near and far poses are looked at."""


def first_accepted(scores: NDArray[np.float64], incumbent: float, temperature: float, random: np.random.Generator) -> int | None:
    """Which of some candidates, in the order of their scores (C,), takes the place of the incumbent; None: it stays."""
    accepted = (scores > incumbent) | (random.random(len(scores)) < temperature)
    return int(accepted.argmax()) if accepted.any() else None


def _random(climb: Climb, particle: int) -> np.random.Generator:
    """The same for a particle whatever portion it is in."""
    return np.random.default_rng((climb.seed, climb.iteration, particle))


def hops(scores: Tensor, before: Tensor, particles: NDArray[np.int64], climb: Climb) -> Tensor:
    """(P, K) one class for each particle where poses are given, from log likelihoods (P, K) and the posterior before (P, K)."""
    told = scores.cpu().numpy()
    labels = before.argmax(1).cpu().numpy()
    for row, particle in enumerate(particles.tolist()):
        random = _random(climb, particle)
        if random.random() < climb.share:
            others = random.permutation(np.delete(np.arange(told.shape[1]), labels[row]))
            chosen = first_accepted(told[row, others], told[row, labels[row]], climb.temperature, random)
            labels[row] = labels[row] if chosen is None else others[chosen]
    return torch.nn.functional.one_hot(torch.from_numpy(labels), told.shape[1]).to(scores)


def climbed(task: Task, references: References, plan: Plan, grid: Tensor | None, before: Tensor, climb: Climb) -> Iterator[Believed]:
    """One class and one pose for each of a task's particles; plan and grid of the search whose first level the candidates are from."""
    for row, particle in enumerate(task.statistics.particles.tolist()):
        random, label = _random(climb, particle), int(before[row].argmax())
        here = _at(task, references, row, label, task.rotation[row], task.shift_px[row])
        if random.random() < climb.share:
            label, here = _next(task, references, plan, grid, label, here, climb.temperature, random)
        poses = tuple(here if k == label else None for k in range(len(references.classes)))
        yield Believed(poses, here.log_evidence, 0.0)


def _at(task: Task, references: References, row: int, label: int, rotation: Tensor, shift_px: Tensor) -> Posterior:
    """The belief that a particle shows one class at one pose."""
    score, slices = own_scores(replace(task, volume=references.classes[label]), row, rotation[None], shift_px[None])
    return Posterior(row, rotation[None], shift_px[None], torch.ones_like(score), score, slices, float(score))


def _next(
    task: Task,
    references: References,
    plan: Plan,
    grid: Tensor | None,
    label: int,
    here: Posterior,
    temperature: float,
    random: np.random.Generator,
) -> tuple[int, Posterior]:
    """The first accepted of all classes and orientations, each at the best of its shifts; where none is, the particle stays."""
    level, reach = plan.levels[0], float(random.uniform(NEAREST, 1)) if grid is None else 1.0
    near = around(here.rotations[0], reach * level.angular_step, reach * plan.angular_range) if grid is None else grid
    rotations = torch.cat([here.rotations, near.to(here.rotations)])
    shifts = here.shifts_px + shift_lattice(reach * level.shift_step_px, reach * plan.shift_range_px).to(here.shifts_px)
    order = random.permutation(len(references.classes) * len(rotations))
    for some in np.split(order, range(BATCH, len(order), BATCH)):
        scores, places = _scored(task, references, here.row, some // len(rotations), rotations[some % len(rotations)], shifts)
        chosen = first_accepted(scores, here.log_evidence, temperature, random)
        if chosen is not None:
            k, rotation = int(some[chosen]) // len(rotations), rotations[int(some[chosen]) % len(rotations)]
            return k, _at(task, references, here.row, k, rotation, shifts[int(places[chosen])])
    return label, here


def _scored(
    task: Task, references: References, row: int, labels: NDArray[np.int64], rotations: Tensor, shifts: Tensor
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(C,) log posterior of candidates at the best of the shifts, and which that is."""
    scores, places = np.empty(len(labels)), np.empty(len(labels), dtype=np.int64)
    for k in np.unique(labels).tolist():
        mine = labels == k
        found, _ = own_scores(replace(task, volume=references.classes[k]), row, rotations[torch.from_numpy(mine)], shifts)
        best = found.max(0)
        scores[mine], places[mine] = best.values.cpu().numpy(), best.indices.cpu().numpy()
    return scores, places

"""Posterior over the orientations and shifts of every particle, from coarse to fine.

At each level the poses that hold nearly all of the posterior are kept and split. A global search ends on its finest grid; a local
one climbs from the best pose to the peak of the posterior and integrates around it. Coarse levels compare only frequencies that
their spacing can follow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from tomobayes.compute.precision import coarse_products
from tomobayes.fourier.slices import extract_slices
from tomobayes.fourier.volume import FourierVolume
from tomobayes.imaging.observation import Statistics
from tomobayes.inference.likelihood import log_likelihood, shift_phases
from tomobayes.inference.peak import around_peak
from tomobayes.inference.posterior import Posterior, significant
from tomobayes.inference.priors import PosePrior
from tomobayes.inference.sampling import Level, Plan, around, children, shift_children, shift_lattice
from tomobayes.inference.task import Task, as_printed, log_prior, own_scores, task_of

__all__ = ["BATCH_FLOATS", "posteriors", "searched"]

FEWEST, MOST = 6, 32
"""Bounds on how many orientations are kept between levels, whatever their share."""
FEWEST_AROUND = 16
"""The same before a last grid that stands for the whole posterior: seen at the middles of cells several widths across, those next to
the best seem empty and are not. With 6, true poses lie outside 90 % credible sets 15 times of 100."""
BATCH_FLOATS = 48_000_000
"""Size of the largest temporary array of the shared search, in floats."""


def _shared_scores(task: Task, grid: Tensor, shifts_px: Tensor, n: int, rows: slice) -> Tensor:
    """(P, M, O) log likelihood of one grid for several particles: slices are cut once and meet them all."""
    points = task.statistics.points[:n]
    home = shift_phases(points, task.shift_px[rows], task.statistics.box) * task.data[rows, :n]
    moved = home[:, None] * shift_phases(points, shifts_px, task.statistics.box)
    parts = []
    step = max(1, BATCH_FLOATS // (2 * n))
    for some in (grid[i : i + step] for i in range(0, len(grid), step)):
        slices = extract_slices(task.volume, some, points)
        with coarse_products():
            parts.append(log_likelihood(moved, task.weight[rows, :n], slices))
    return torch.cat(parts, -1)


@dataclass(frozen=True)
class _Kept:
    """What one level leaves of a particle's candidates, best first, and which share of the posterior, seen so coarsely, it dropped."""

    row: int
    rotations: Tensor
    shifts_px: Tensor
    discarded: float


def _global_start(task: Task, plan: Plan, grid: Tensor) -> Iterator[_Kept]:
    """Per particle, the orientations and (absolute) shifts that survive the first, shared level of a global search."""
    level = plan.levels[0]
    shifts = shift_lattice(level.shift_step_px, plan.shift_range_px).to(task.shift_px)
    n = task.statistics.count(level.radius)
    batch = max(1, BATCH_FLOATS // max(2 * n * len(shifts), len(grid) * len(shifts)))
    for start in range(0, len(task.data), batch):
        rows = slice(start, start + batch)
        scores = _shared_scores(task, grid, shifts, n, rows)
        for i, score in enumerate(scores):
            row = start + i
            absolute = shifts + task.shift_px[row]
            yield _survivors(row, score + log_prior(task, row, grid, absolute), grid, absolute, fewest=_fewest(plan, 0))


def _local_start(task: Task, plan: Plan) -> Iterator[_Kept]:
    """Per particle, the first level of a search around its pose."""
    level = plan.levels[0]
    lattice = shift_lattice(level.shift_step_px, plan.shift_range_px).to(task.shift_px)
    for row in range(len(task.data)):
        near = around(task.rotation[row], level.angular_step, plan.angular_range)
        # Mates of the same candidates, so that all are equally far from their peaks and the reference alone tells them apart.
        rotations = (near @ plan.turns[:, None].to(near)).flatten(0, 1)
        shifts = lattice + task.shift_px[row]
        score = _scores(task, row, rotations, shifts, level.radius)
        yield _survivors(row, score, rotations, shifts, mates=len(plan.turns), fewest=_fewest(plan, 0))


def _scores(task: Task, row: int, rotations: Tensor, shifts_px: Tensor, radius: int) -> Tensor:
    """(M, K) log posterior of one particle's own candidates, a level's usual number at a time."""
    groups = (rotations[i : i + 8 * MOST] for i in range(0, len(rotations), 8 * MOST))
    return torch.cat([own_scores(task, row, some, shifts_px, radius)[0] for some in groups], -1)


def _fewest(plan: Plan, depth: int) -> int:
    """How many orientations of a level are kept at least."""
    return FEWEST_AROUND if depth == len(plan.levels) - 2 and not plan.climbs else FEWEST


def _survivors(
    row: int, score: Tensor, rotations: Tensor, shifts_px: Tensor, discarded: float = 0.0, mates: int = 1, fewest: int = FEWEST
) -> _Kept:
    """Orientations that hold the mass, and the shifts that hold it for those orientations."""
    kept = significant(torch.logsumexp(score, 0), fewest, max(MOST, fewest * mates))
    moved = significant(torch.logsumexp(score[:, kept], 1), fewest // 2, MOST)
    held = torch.logsumexp(score[moved][:, kept].double().flatten(), 0) - torch.logsumexp(score.double().flatten(), 0)
    return _Kept(row, rotations[kept], shifts_px[moved], 1 - (1 - discarded) * float(held.exp()))


def posteriors(
    statistics: Statistics,
    precision: Tensor,
    volume: FourierVolume,
    prior: PosePrior,
    plan: Plan,
    rotation: Tensor,
    centre_angstrom: Tensor,
    grid: Tensor | None = None,
    relion4: bool = False,
) -> Iterator[Posterior]:
    """Posterior of each particle in turn.

    Parameters
    ----------
    statistics : D and W of P particles; precision : (Q,) 1/σ²
    volume : the reference; it must reach the finest level's radius
    prior : beliefs about the poses; plan : which poses to try
    rotation, centre_angstrom : (P, 3, 3) and (P, 3) in the tomogram, where searches start
    grid : (O, 3, 3) orientations of a global search (sampling.orientations)
    relion4 : weigh every sample by W/M once more (eq 7 as printed); pseudo-subtomograms only
    """
    task = task_of(statistics, precision, volume, prior, rotation, centre_angstrom, plan.levels[-1].radius)
    yield from searched(as_printed(task) if relion4 else task, plan, grid)


def searched(task: Task, plan: Plan, grid: Tensor | None = None) -> Iterator[Posterior]:
    """Posterior of each of a task's particles in turn; plan and grid as of ``posteriors``."""
    start = _local_start(task, plan) if grid is None else _global_start(task, plan, grid)
    for kept in start:
        for depth, (parent, level) in enumerate(pairwise(plan.levels[:-1]), start=1):
            finer = _split(kept, parent, level)
            score = _scores(task, kept.row, *finer, level.radius)
            kept = _survivors(kept.row, score, *finer, kept.discarded, len(plan.turns), _fewest(plan, depth))
        found = around_peak(task, kept.row, kept.rotations[0], kept.shifts_px[0]) if plan.climbs else _on_grid(task, kept, plan)
        yield replace(found, discarded=kept.discarded)


def _split(kept: _Kept, parent: Level, level: Level) -> tuple[Tensor, Tensor]:
    """The poses of the next level that lie in the cells of those that survived."""
    return children(kept.rotations, parent.angular_step), shift_children(kept.shifts_px, parent.shift_step_px, level.shift_step_px)


def _on_grid(task: Task, kept: _Kept, plan: Plan) -> Posterior:
    """The posterior over the last level's grid."""
    level = plan.levels[-1]
    rotations, shifts = _split(kept, plan.levels[-2], level)
    score, slices = own_scores(task, kept.row, rotations, shifts, level.radius)
    total = torch.logsumexp(score.double().flatten(), 0)
    probability = torch.exp(score.double() - total).float()
    cell = 3 * math.log(math.radians(level.angular_step) * level.shift_step_px)
    return Posterior(kept.row, rotations, shifts, probability, score, slices, float(total) + cell)

"""Posterior over the orientations and shifts of every particle, from coarse to fine.

At each level the poses that hold nearly all of the posterior are kept and split; the last level is the grid over which
the posterior is marginalised. Coarse levels compare only frequencies that their spacing can follow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tomobayes.fourier.slices import extract_slices
from tomobayes.fourier.volume import FourierVolume
from tomobayes.imaging.observation import Statistics
from tomobayes.inference.likelihood import log_likelihood, shift_phases
from tomobayes.inference.maximisation import relative_pose
from tomobayes.inference.priors import PosePrior, log_prior_rotation, log_prior_shift
from tomobayes.inference.sampling import Plan, around, children, shift_children, shift_lattice

__all__ = ["BATCH_FLOATS", "Posterior", "Task", "posteriors", "task_of", "trimmed"]

MASS = 0.999
"""Share of the posterior that is kept between levels (RELION's --adaptive_fraction)."""
FEWEST, MOST = 6, 32
"""Bounds on how many orientations are kept between levels, whatever their share."""
BATCH_FLOATS = 48_000_000
"""Size of the largest temporary array of the shared search, in floats."""


@dataclass(frozen=True)
class Posterior:
    """p(A, T | X) of one particle on the finest grid, in the statistics' shared frame.

    Parameters
    ----------
    row : index into the statistics' particles
    rotations : (K, 3, 3) reference -> frame; shifts_px : (M, 3) box pixels
    probability : (M, K), sums to 1
    log_density : (M, K) nats, log likelihood + log prior, unnormalised
    slices : (K, Q) V(Aᵀq) at the finest level's samples
    """

    row: int
    rotations: Tensor
    shifts_px: Tensor
    probability: Tensor
    log_density: Tensor
    slices: Tensor


@dataclass(frozen=True)
class Task:
    """Everything the search of one group of particles needs, whitened once."""

    statistics: Statistics
    data: Tensor
    weight: Tensor
    volume: FourierVolume
    prior: PosePrior
    rotation: Tensor
    shift_px: Tensor
    prior_shift_px: Tensor

    @property
    def pixel(self) -> float:
        return self.statistics.pixel_size_angstrom

    def to_tomogram(self, row: int, rotations: Tensor) -> Tensor:
        return self.statistics.frame[row].to(rotations) @ rotations


def task_of(
    statistics: Statistics, precision: Tensor, volume: FourierVolume, prior: PosePrior, rotation: Tensor, centre: Tensor, radius: int
) -> Task:
    n = statistics.count(radius)
    frame_rotation, shift = relative_pose(statistics, rotation, centre)
    _, prior_shift = relative_pose(statistics, rotation, prior.centre_angstrom)
    return Task(
        statistics=statistics,
        data=statistics.data[:, :n] * precision[:n],
        weight=statistics.weight[:, :n] * precision[:n],
        volume=volume,
        prior=prior,
        rotation=frame_rotation.float(),
        shift_px=shift,
        prior_shift_px=prior_shift,
    )


def _as_printed(task: Task) -> Task:
    """Eq 7 as the paper prints it: b = W·D/(M·σ²), w = W²/(M·σ²)."""
    multiplicity = task.statistics.multiplicity
    if multiplicity is None:
        raise ValueError("the likelihood of RELION-4 needs pseudo-subtomograms with multiplicities")
    n = task.data.shape[1]
    factor = task.statistics.weight[:, :n] / multiplicity[:, :n].clamp_min(0.01)
    return replace(task, data=task.data * factor, weight=task.weight * factor)


def _log_prior(task: Task, row: int, rotations: Tensor, shifts_px: Tensor) -> Tensor:
    """(M, K) for orientations in the shared frame and absolute shifts."""
    orientation = log_prior_rotation(task.prior, row, task.to_tomogram(row, rotations.double()))
    displacement = (shifts_px - task.prior_shift_px[row]) * task.pixel
    return (log_prior_shift(displacement, task.prior.sigma_shift_angstrom)[:, None] + orientation).float()


def significant(log_weight: Tensor, fewest: int, most: int) -> Tensor:
    """Indices of the entries that hold MASS of the total, best first."""
    order = log_weight.argsort(descending=True)
    share = torch.softmax(log_weight[order].double(), 0).cumsum(0)
    needed = int((share < MASS).sum()) + 1
    return order[: min(max(needed, fewest), most, len(order))]


def _shared_scores(task: Task, grid: Tensor, shifts_px: Tensor, n: int, rows: slice) -> Tensor:
    """(P, M, O) log likelihood of one grid for several particles: slices are cut once and meet them all."""
    points = task.statistics.points[:n]
    home = shift_phases(points, task.shift_px[rows], task.statistics.box) * task.data[rows, :n]
    moved = home[:, None] * shift_phases(points, shifts_px, task.statistics.box)
    parts = []
    step = max(1, BATCH_FLOATS // (2 * n))
    for some in (grid[i : i + step] for i in range(0, len(grid), step)):
        slices = extract_slices(task.volume, some, points)
        parts.append(log_likelihood(moved, task.weight[rows, :n], slices))
    return torch.cat(parts, -1)


def _global_start(task: Task, plan: Plan, grid: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
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
            yield row, *_survivors(score + _log_prior(task, row, grid, absolute), grid, absolute)


def _local_start(task: Task, plan: Plan) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Per particle, the first level of a search around its pose."""
    level = plan.levels[0]
    lattice = shift_lattice(level.shift_step_px, plan.shift_range_px).to(task.shift_px)
    for row in range(len(task.data)):
        rotations = around(task.rotation[row], level.angular_step, plan.angular_range)
        shifts = lattice + task.shift_px[row]
        score, _ = _own_scores(task, row, rotations, shifts, level.radius)
        yield row, *_survivors(score, rotations, shifts)


def _own_scores(task: Task, row: int, rotations: Tensor, shifts_px: Tensor, radius: int) -> tuple[Tensor, Tensor]:
    """(M, K) log posterior of one particle's own candidates, and their slices."""
    n = task.statistics.count(radius)
    points = task.statistics.points[:n]
    slices = extract_slices(task.volume, rotations, points)
    moved = task.data[row, :n] * shift_phases(points, shifts_px, task.statistics.box)
    score = log_likelihood(moved[None], task.weight[row : row + 1, :n], slices)[0]
    return score + _log_prior(task, row, rotations, shifts_px), slices


def _survivors(score: Tensor, rotations: Tensor, shifts_px: Tensor) -> tuple[Tensor, Tensor]:
    """Orientations that hold the mass, and the shifts that hold it for those orientations."""
    kept = significant(torch.logsumexp(score, 0), FEWEST, MOST)
    moved = significant(torch.logsumexp(score[:, kept], 1), FEWEST // 2, MOST)
    return rotations[kept], shifts_px[moved]


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
    task = _as_printed(task) if relion4 else task
    start = _local_start(task, plan) if grid is None else _global_start(task, plan, grid)
    for row, rotations, shifts in start:
        for parent, level in zip(plan.levels, plan.levels[1:], strict=False):
            rotations = children(rotations, parent.angular_step)
            shifts = shift_children(shifts, parent.shift_step_px, level.shift_step_px)
            score, slices = _own_scores(task, row, rotations, shifts, level.radius)
            if level is not plan.levels[-1]:
                rotations, shifts = _survivors(score, rotations, shifts)
        probability = torch.softmax(score.double().flatten(), 0).reshape(score.shape).float()
        yield Posterior(row, rotations, shifts, probability, score, slices)


def trimmed(posterior: Posterior) -> Posterior:
    """Without the orientations and shifts that hold less than 1 - MASS of the posterior, renormalised."""
    kept = significant(posterior.probability.sum(0).clamp_min(1e-30).log(), 1, 512)
    moved = significant(posterior.probability.sum(1).clamp_min(1e-30).log(), 1, 512)
    probability = posterior.probability[moved][:, kept]
    return replace(
        posterior,
        rotations=posterior.rotations[kept],
        shifts_px=posterior.shifts_px[moved],
        probability=probability / probability.sum(),
        log_density=posterior.log_density[moved][:, kept],
        slices=posterior.slices[kept],
    )

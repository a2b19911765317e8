"""The one expectation: posterior over orientations and shifts of every particle, and what it adds to the maximisation.

The search goes from coarse to fine. At each level the poses that hold nearly all of the posterior are kept and split;
the last level is the grid over which the posterior is marginalised. Coarse levels compare only frequencies that their
spacing can follow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tomobayes.fourier.slices import Accumulator, extract_slices
from tomobayes.fourier.volume import FourierVolume
from tomobayes.geometry.rotations import matrix_from_vector, vector_from_matrix
from tomobayes.imaging.noise import NoiseSums, residual_sums
from tomobayes.imaging.observation import Statistics
from tomobayes.inference.gain import GainSums
from tomobayes.inference.likelihood import log_likelihood, profile_likelihood, shift_phases
from tomobayes.inference.maximisation import relative_pose
from tomobayes.inference.priors import PosePrior, log_prior_rotation, log_prior_shift
from tomobayes.inference.sampling import Plan, around, children, shift_children, shift_lattice

__all__ = ["PoseEstimates", "Posterior", "expect", "fit_scale", "posteriors"]

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
class PoseEstimates:
    """Posterior means and widths of P particles, in the tomogram's frame.

    Parameters
    ----------
    rotation : (P, 3, 3); centre_angstrom : (P, 3)
    sigma_rotation : (P,) degrees, sigma_shift_angstrom : (P,), standard deviations of one component
    spread_angstrom2 : (P,) posterior mean of the squared distance from the prior centre
    best_probability : (P,) largest probability of one grid pose (rlnMaxValueProbDistribution)
    significant : (P,) number of poses that hold the mass; log_evidence : (P,) nats
    """

    rotation: Tensor
    centre_angstrom: Tensor
    sigma_rotation: Tensor
    sigma_shift_angstrom: Tensor
    spread_angstrom2: Tensor
    best_probability: Tensor
    significant: Tensor
    log_evidence: Tensor


@dataclass(frozen=True)
class _Task:
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


def _task(
    statistics: Statistics, precision: Tensor, volume: FourierVolume, prior: PosePrior, rotation: Tensor, centre: Tensor, radius: int
) -> _Task:
    n = statistics.count(radius)
    frame_rotation, shift = relative_pose(statistics, rotation, centre)
    _, prior_shift = relative_pose(statistics, rotation, prior.centre_angstrom)
    return _Task(
        statistics=statistics,
        data=statistics.data[:, :n] * precision[:n],
        weight=statistics.weight[:, :n] * precision[:n],
        volume=volume,
        prior=prior,
        rotation=frame_rotation.float(),
        shift_px=shift,
        prior_shift_px=prior_shift,
    )


def _as_printed(task: _Task) -> _Task:
    """Eq 7 as the paper prints it: b = W·D/(M·σ²), w = W²/(M·σ²)."""
    multiplicity = task.statistics.multiplicity
    if multiplicity is None:
        raise ValueError("the likelihood of RELION-4 needs pseudo-subtomograms with multiplicities")
    n = task.data.shape[1]
    factor = task.statistics.weight[:, :n] / multiplicity[:, :n].clamp_min(0.01)
    return replace(task, data=task.data * factor, weight=task.weight * factor)


def _log_prior(task: _Task, row: int, rotations: Tensor, shifts_px: Tensor) -> Tensor:
    """(M, K) for orientations in the shared frame and absolute shifts."""
    orientation = log_prior_rotation(task.prior, row, task.to_tomogram(row, rotations.double()))
    displacement = (shifts_px - task.prior_shift_px[row]) * task.pixel
    return (log_prior_shift(displacement, task.prior.sigma_shift_angstrom)[:, None] + orientation).float()


def _significant(log_weight: Tensor, fewest: int, most: int) -> Tensor:
    """Indices of the entries that hold MASS of the total, best first."""
    order = log_weight.argsort(descending=True)
    share = torch.softmax(log_weight[order].double(), 0).cumsum(0)
    needed = int((share < MASS).sum()) + 1
    return order[: min(max(needed, fewest), most, len(order))]


def _shared_scores(task: _Task, grid: Tensor, shifts_px: Tensor, n: int, rows: slice) -> Tensor:
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


def _global_start(task: _Task, plan: Plan, grid: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Per particle, the orientations and (absolute) shifts that survive the first, shared level of a global search."""
    level = plan.levels[0]
    shifts = shift_lattice(level.shift_step_px, plan.shift_range_px)
    n = task.statistics.count(level.radius)
    batch = max(1, BATCH_FLOATS // max(2 * n * len(shifts), len(grid) * len(shifts)))
    for start in range(0, len(task.data), batch):
        rows = slice(start, start + batch)
        scores = _shared_scores(task, grid, shifts, n, rows)
        for i, score in enumerate(scores):
            row = start + i
            absolute = shifts + task.shift_px[row]
            yield row, *_survivors(score + _log_prior(task, row, grid, absolute), grid, absolute)


def _local_start(task: _Task, plan: Plan) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Per particle, the first level of a search around its pose."""
    level = plan.levels[0]
    lattice = shift_lattice(level.shift_step_px, plan.shift_range_px)
    for row in range(len(task.data)):
        rotations = around(task.rotation[row], level.angular_step, plan.angular_range)
        shifts = lattice + task.shift_px[row]
        score, _ = _own_scores(task, row, rotations, shifts, level.radius)
        yield row, *_survivors(score, rotations, shifts)


def _own_scores(task: _Task, row: int, rotations: Tensor, shifts_px: Tensor, radius: int) -> tuple[Tensor, Tensor]:
    """(M, K) log posterior of one particle's own candidates, and their slices."""
    n = task.statistics.count(radius)
    points = task.statistics.points[:n]
    slices = extract_slices(task.volume, rotations, points)
    moved = task.data[row, :n] * shift_phases(points, shifts_px, task.statistics.box)
    score = log_likelihood(moved[None], task.weight[row : row + 1, :n], slices)[0]
    return score + _log_prior(task, row, rotations, shifts_px), slices


def _survivors(score: Tensor, rotations: Tensor, shifts_px: Tensor) -> tuple[Tensor, Tensor]:
    """Orientations that hold the mass, and the shifts that hold it for those orientations."""
    kept = _significant(torch.logsumexp(score, 0), FEWEST, MOST)
    moved = _significant(torch.logsumexp(score[:, kept], 1), FEWEST // 2, MOST)
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
    task = _task(statistics, precision, volume, prior, rotation, centre_angstrom, plan.levels[-1].radius)
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


def _trimmed(posterior: Posterior) -> Posterior:
    """Without the orientations and shifts that hold less than 1 - MASS of the posterior, renormalised."""
    kept = _significant(posterior.probability.sum(0).clamp_min(1e-30).log(), 1, 512)
    moved = _significant(posterior.probability.sum(1).clamp_min(1e-30).log(), 1, 512)
    probability = posterior.probability[moved][:, kept]
    return replace(
        posterior,
        rotations=posterior.rotations[kept],
        shifts_px=posterior.shifts_px[moved],
        probability=probability / probability.sum(),
        log_density=posterior.log_density[moved][:, kept],
        slices=posterior.slices[kept],
    )


def _accumulate(statistics: Statistics, precision: Tensor, posterior: Posterior, accumulator: Accumulator) -> tuple[Tensor, Tensor, Tensor]:
    """Insert Σ_T p·b and p·w at every orientation.

    Returns
    -------
    posterior mean of |D - W·V|², (Q',) over the compared samples, and per tilt Re Σ conj(b)·V and Σ w·|V|², (F,) each
    """
    n = statistics.count(accumulator.radius)
    row, points = posterior.row, statistics.points[:n]
    moved = statistics.data[row, :n] * shift_phases(points, posterior.shifts_px, statistics.box)
    share = posterior.probability.sum(0)
    data = torch.view_as_complex((posterior.probability.T @ torch.view_as_real(moved).flatten(1)).reshape(-1, n, 2))
    weight = statistics.weight[row, :n]
    accumulator.insert(posterior.rotations, points, data * precision[:n], share[:, None] * (weight * precision[:n]))
    q = min(n, posterior.slices.shape[1])
    weight, slices = weight[:q], posterior.slices[:, :q]
    agreement = (data[:, :q].conj() * slices).real.sum(0)
    power = weight * (share[:, None] * (slices.real.square() + slices.imag.square())).sum(0)
    residual = statistics.data[row, :q].abs().square() + weight * (power - 2 * agreement)
    by_tilt = (precision[:q] * torch.stack([agreement, power])).reshape(2, -1, statistics.n_tilts).sum(1)
    return residual, by_tilt[0], by_tilt[1]


def _summary(statistics: Statistics, prior: PosePrior, posterior: Posterior) -> tuple[Tensor, ...]:
    """Mean pose in the tomogram and the widths around it."""
    row, probability = posterior.row, posterior.probability.double()
    share, place = probability.sum(0), probability.sum(1)
    best = posterior.rotations[share.argmax()].double()
    vectors = vector_from_matrix(best.T @ posterior.rotations.double())
    near = share * (vectors.norm(dim=-1) < 0.35)  # one mode: the mean of two far apart is neither
    turn = (near[:, None] * vectors).sum(0) / near.sum()
    variance = (near * (vectors - turn).square().sum(-1)).sum() / near.sum() / 3
    shift = (place[:, None] * posterior.shifts_px.double()).sum(0)
    spread = (place * (posterior.shifts_px.double() - shift).square().sum(-1)).sum() / 3
    frame = statistics.frame[row]
    pixel = statistics.pixel_size_angstrom
    places = statistics.anchor_angstrom[row] + pixel * (posterior.shifts_px.double() @ frame.T)
    return (
        frame @ best @ matrix_from_vector(turn),
        statistics.anchor_angstrom[row] + pixel * (frame @ shift),
        torch.rad2deg(variance.sqrt()),
        pixel * spread.sqrt(),
        (place * (places - prior.centre_angstrom[row]).square().sum(-1)).sum(),
        probability.max(),
        torch.as_tensor(float((probability > probability.max() * 1e-3).sum()), dtype=torch.float64),
        torch.logsumexp(posterior.log_density.double().flatten(), 0),
    )


def expect(
    statistics: Statistics,
    precision: Tensor,
    volume: FourierVolume,
    prior: PosePrior,
    plan: Plan,
    rotation: Tensor,
    centre_angstrom: Tensor,
    accumulator: Accumulator,
    grid: Tensor | None = None,
    relion4: bool = False,
) -> tuple[PoseEstimates, NoiseSums, GainSums]:
    """E-step of one group of particles; parameters as in ``posteriors``. Σb and Σw go into ``accumulator``."""
    residual: Tensor | None = None
    rows = []
    agreement, power = torch.zeros(2, len(statistics.particles), statistics.n_tilts, dtype=torch.float64)
    for wide in posteriors(statistics, precision, volume, prior, plan, rotation, centre_angstrom, grid, relion4):
        posterior = _trimmed(wide)
        own, agreement[posterior.row], power[posterior.row] = _accumulate(statistics, precision, posterior, accumulator)
        residual = own if residual is None else residual + own
        rows.append(_summary(statistics, prior, posterior))
    assert residual is not None
    estimates = PoseEstimates(*(torch.stack(column) for column in zip(*rows, strict=True)))
    return estimates, residual_sums(statistics, residual), GainSums(agreement, power)


def fit_scale(
    statistics: Statistics,
    precision: Tensor,
    volume: FourierVolume,
    prior: PosePrior,
    plan: Plan,
    rotation: Tensor,
    centre_angstrom: Tensor,
    grid: Tensor | None,
) -> float:
    """Grey scale of the reference that makes the images most likely: ΣC/ΣP over the best pose of each particle.

    Best poses fit noise too, so the scale comes out high for weak signals; it only has to be right within a factor
    before the first maximisation puts the map on the images' own scale.
    """
    level = plan.levels[0]
    task = _task(statistics, precision, volume, prior, rotation, centre_angstrom, level.radius)
    n = statistics.count(level.radius)
    points = statistics.points[:n]
    shifts = shift_lattice(level.shift_step_px, plan.shift_range_px)
    total = torch.zeros(2, dtype=torch.float64)
    for row in range(len(task.data)):
        tried = around(task.rotation[row], level.angular_step, plan.angular_range) if grid is None else grid
        moved = task.data[row, :n] * shift_phases(points, shifts + task.shift_px[row], statistics.box)
        slices = extract_slices(volume, tried, points)
        score, scale = profile_likelihood(moved[None], task.weight[row : row + 1, :n], slices)
        best = score.argmax()
        gain = 2 * score.flatten()[best]
        total += torch.stack([gain / scale.flatten()[best], gain / scale.flatten()[best].square()]).double()
    return float(total[0] / total[1]) if total[1] > 0 else 1.0

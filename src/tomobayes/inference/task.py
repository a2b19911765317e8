"""What a search of poses compares: the images of some particles, weighed by their noise, with one reference."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from tomobayes.fourier.slices import extract_slices
from tomobayes.fourier.volume import FourierVolume
from tomobayes.imaging.observation import Statistics
from tomobayes.inference.likelihood import log_likelihood, shift_phases
from tomobayes.inference.maximisation import relative_pose
from tomobayes.inference.priors import PosePrior, log_prior_rotation, log_prior_shift

__all__ = ["Task", "as_printed", "log_prior", "own_scores", "task_of"]


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


def as_printed(task: Task) -> Task:
    """Eq 7 as the paper prints it: b = W·D/(M·σ²), w = W²/(M·σ²)."""
    multiplicity = task.statistics.multiplicity
    if multiplicity is None:
        raise ValueError("the likelihood of RELION-4 needs pseudo-subtomograms with multiplicities")
    n = task.data.shape[1]
    factor = task.statistics.weight[:, :n] / multiplicity[:, :n].clamp_min(0.01)
    return replace(task, data=task.data * factor, weight=task.weight * factor)


def log_prior(task: Task, row: int, rotations: Tensor, shifts_px: Tensor) -> Tensor:
    """(M, K) for orientations in the shared frame and absolute shifts."""
    orientation = log_prior_rotation(task.prior, row, task.to_tomogram(row, rotations.double()))
    displacement = (shifts_px - task.prior_shift_px[row]) * task.pixel
    return (log_prior_shift(displacement, task.prior.sigma_shift_angstrom)[:, None] + orientation).float()


def own_scores(task: Task, row: int, rotations: Tensor, shifts_px: Tensor, radius: int | None = None) -> tuple[Tensor, Tensor]:
    """(M, K) log posterior of one particle's own candidates up to a Fourier radius (None: all there is), and their slices."""
    n = task.data.shape[1] if radius is None else task.statistics.count(radius)
    points = task.statistics.points[:n]
    slices = extract_slices(task.volume, rotations, points)
    moved = task.data[row, :n] * shift_phases(points, shifts_px, task.statistics.box)
    score = log_likelihood(moved[None], task.weight[row : row + 1, :n], slices)[0]
    return score + log_prior(task, row, rotations, shifts_px), slices

"""The grey scale of a reference from elsewhere."""

from __future__ import annotations

import torch
from torch import Tensor

from tomobayes.fourier.slices import extract_slices
from tomobayes.fourier.volume import FourierVolume
from tomobayes.imaging.observation import Statistics
from tomobayes.inference.likelihood import profile_likelihood, shift_phases
from tomobayes.inference.priors import PosePrior
from tomobayes.inference.sampling import Plan, around, shift_lattice
from tomobayes.inference.task import task_of

__all__ = ["fit_scale"]


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
    task = task_of(statistics, precision, volume, prior, rotation, centre_angstrom, level.radius)
    n = statistics.count(level.radius)
    points = statistics.points[:n]
    shifts = shift_lattice(level.shift_step_px, plan.shift_range_px).to(task.shift_px)
    total = torch.zeros(2, dtype=torch.float64, device=precision.device)
    for row in range(len(task.data)):
        tried = around(task.rotation[row], level.angular_step, plan.angular_range) if grid is None else grid
        moved = task.data[row, :n] * shift_phases(points, shifts + task.shift_px[row], statistics.box)
        slices = extract_slices(volume, tried, points)
        score, scale = (one.flatten() for one in profile_likelihood(moved[None], task.weight[row : row + 1, :n], slices))
        best = score.argmax()
        if scale[best] > 0:  # C = 2·score/scale and P = C/scale; no pose of an empty image agrees with anything
            agreement = 2 * score[best] / scale[best]
            total += torch.stack([agreement, agreement / scale[best]]).double()
    return float(total[0] / total[1]) if total[1] > 0 else 1.0

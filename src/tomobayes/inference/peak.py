"""The peak of a particle's posterior, how wide it is, and the integral around it: poses that no grid rounds."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from tomobayes.fourier.slices import extract_slices
from tomobayes.geometry.rotations import matrix_from_vector
from tomobayes.inference.likelihood import log_likelihood, shift_phases
from tomobayes.inference.posterior import Posterior
from tomobayes.inference.priors import log_prior_rotation
from tomobayes.inference.task import Task, log_prior, own_scores

__all__ = ["Peak", "around_peak", "climb"]

MOST_STEPS = 12
ENOUGH = 0.01
"""Nats: climbing ends where the next step promises less."""
WIDEST_TURN, WIDEST_SHIFT_PX = math.radians(20.0), 10.0
"""Standard deviations that images which say nothing leave."""
PRIOR_STEP = math.radians(0.5)
RADIUS = math.sqrt(5.0)
"""Of the nodes of the cubature, in standard deviations."""


@dataclass(frozen=True)
class Peak:
    """The likeliest pose of one particle in the statistics' shared frame, and the Gaussian that touches the posterior there.

    Parameters
    ----------
    rotation : (3, 3) reference -> frame; shift_px : (3,) box pixels; log_density : nats
    slope : (6,) of log_density along turns (radians, in the reference's frame: rotation·exp(turn)) and shifts
    information : (6, 6) Fisher's, of the images and the priors; its inverse is the covariance (Laplace's approximation)
    """

    rotation: Tensor
    shift_px: Tensor
    log_density: float
    slope: Tensor
    information: Tensor

    @property
    def covariance(self) -> Tensor:
        """(6, 6) of turns and shifts."""
        inverse: Tensor = torch.linalg.inv(self.information)
        return inverse


def climb(task: Task, row: int, rotation: Tensor, shift_px: Tensor) -> Peak:
    """From a pose near it to the maximum of a particle's posterior: Gauss-Newton steps, shortened until each one gains.

    Parameters
    ----------
    rotation, shift_px : (3, 3) and (3,) in the statistics' shared frame, inside the peak's basin
    """
    here, pace = _look(task, row, rotation, shift_px), 1.0
    for _ in range(MOST_STEPS):
        step = torch.linalg.solve(here.information, here.slope)
        if float(step @ here.slope) < ENOUGH or pace < 0.05:
            break
        turn = matrix_from_vector(pace * step[:3]).to(here.rotation)
        there = _look(task, row, here.rotation @ turn, here.shift_px + (pace * step[3:]).to(here.shift_px))
        here, pace = (there, 1.0) if there.log_density > here.log_density else (here, pace / 4)
    return here


def _look(task: Task, row: int, rotation: Tensor, shift_px: Tensor) -> Peak:
    """Value, slope and information of the log posterior at one pose.

    log P = Re Σ conj(b)·V - ½ Σ w·|V|² with b moved back by the shift; with r = b - w·V and J the derivatives of V, the slope is
    Re Σ conj(r)·J and Fisher's information Re Σ w·conj(J)·J. Turning moves the samples through the reference: differences of
    slices a quarter of a box pixel apart at the finest radius. A shift multiplies V by a phase.
    """
    n = task.data.shape[1]
    points, box = task.statistics.points[:n], task.statistics.box
    reach = 0.25 / max(float(points.norm(dim=-1).max()), 1.0)
    turns = matrix_from_vector(reach * torch.cat([torch.zeros(1, 3), torch.eye(3), -torch.eye(3)])).to(rotation)
    slices = extract_slices(task.volume, rotation @ turns, points)
    here, weight = slices[0], task.weight[row]
    moved = task.data[row] * shift_phases(points, shift_px[None], box)[0]
    turned = (slices[1:4] - slices[4:]) / (2 * reach)
    shifted = -1j * (2 * math.pi / box) * points.T * here
    changes = torch.view_as_real(torch.cat([turned, shifted])).flatten(1)
    residual = torch.view_as_real(moved - weight * here).flatten()
    information = (changes * weight.repeat_interleave(2)) @ changes.T
    likelihood = float(log_likelihood(moved[None, None], weight[None], here[None]))
    slope, prior = _prior(task, row, rotation, shift_px)
    value = likelihood + float(log_prior(task, row, rotation[None], shift_px[None]))
    return Peak(rotation, shift_px, value, (changes @ residual).double() + slope, information.double() + prior)


def _prior(task: Task, row: int, rotation: Tensor, shift_px: Tensor) -> tuple[Tensor, Tensor]:
    """Slope (6,) and information (6, 6) of the log prior, with a weak one of its own that keeps every width finite.

    That of rotations may have creases, so its slope and curvature are differences over half a degree.
    """
    slope, information = torch.zeros(6, dtype=torch.float64), torch.zeros(6, 6, dtype=torch.float64)
    axes = PRIOR_STEP * torch.eye(3, dtype=torch.float64)
    tried = torch.cat([torch.zeros(1, 3, dtype=torch.float64), axes, -axes])
    candidates = task.to_tomogram(row, rotation.double() @ matrix_from_vector(tried).to(rotation.device))
    value = log_prior_rotation(task.prior, row, candidates).cpu()
    slope[:3] = (value[1:4] - value[4:]) / (2 * PRIOR_STEP)
    curvature = (2 * value[0] - value[1:4] - value[4:]) / PRIOR_STEP**2
    width_px = min(task.prior.sigma_shift_angstrom / task.pixel, WIDEST_SHIFT_PX)
    slope[3:] = (task.prior_shift_px[row] - shift_px).double().cpu() / width_px**2
    information.diagonal()[:3] = curvature.clamp_min(WIDEST_TURN**-2)
    information.diagonal()[3:] = width_px**-2
    return slope.to(rotation.device), information.to(rotation.device)


def _nodes() -> tuple[Tensor, Tensor]:
    """Fifteen points and weights that integrate polynomials of degree five against a Gaussian in three dimensions exactly.

    The centre, ±r on the axes and (±s, ±s, ±s) with r = s·√3 = √5: weights 2/5, 1/25 and 9/200.
    """
    axes = RADIUS * torch.cat([torch.eye(3), -torch.eye(3)])
    corners = RADIUS / math.sqrt(3) * torch.tensor(list(itertools.product((-1.0, 1.0), repeat=3)))
    weights = torch.tensor([0.4] + [0.04] * 6 + [0.045] * 8)
    return torch.cat([torch.zeros(1, 3), axes, corners]).double(), weights.double()


def around_peak(task: Task, row: int, rotation: Tensor, shift_px: Tensor) -> Posterior:
    """The posterior of a particle around the peak next to a pose, by cubature scaled to its widths.

    The nodes of turns and of shifts, fifteen each, are those of the Gaussian that touches the posterior; every pair is weighed by
    how much of the posterior, not of that Gaussian, is there (importance weights).
    """
    peak = climb(task, row, rotation, shift_px)
    covariance, (nodes, weights) = peak.covariance, _nodes()
    nodes, weights = nodes.to(covariance), weights.to(covariance)
    turn, move = (torch.linalg.cholesky(block) for block in (covariance[:3, :3], covariance[3:, 3:]))
    rotations = peak.rotation @ matrix_from_vector(nodes @ turn.T).to(peak.rotation)
    shifts = peak.shift_px + (nodes @ move.T).to(peak.shift_px)
    score, slices = own_scores(task, row, rotations, shifts)
    excess = weights.log() + 0.5 * nodes.square().sum(-1)
    log_share = score.double() + excess[:, None] + excess
    total = torch.logsumexp(log_share.flatten(), 0)
    volume = 3 * math.log(2 * math.pi) + float(turn.diagonal().log().sum() + move.diagonal().log().sum())
    probability = torch.exp(log_share - total).float()
    return Posterior(row, rotations, shifts, probability, score, slices, float(total) + volume, covariance)

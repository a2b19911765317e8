"""How well images agree with a map at given poses, shell by shell, when its grey values in each shell are not known."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tomobayes.fourier.slices import extract_slices
from tomobayes.fourier.volume import FourierVolume
from tomobayes.imaging.observation import Statistics
from tomobayes.inference.likelihood import shift_phases
from tomobayes.inference.maximisation import relative_pose

__all__ = ["Agreement", "agreement", "held_out_likelihood"]


@dataclass(frozen=True)
class Agreement:
    """Likelihood of the gain g of each particle and shell, g·found - ½·g²·expected nats; both (P, R+1) float64.

    Parameters
    ----------
    found : Re Σ conj(b)·V; expected : Σ w·|V|²
    """

    found: Tensor
    expected: Tensor


def agreement(
    statistics: Statistics, precision: Tensor, volume: FourierVolume, rotation: Tensor, centre_angstrom: Tensor, radius: int
) -> Agreement:
    """Compare particles with a map at their poses.

    Parameters
    ----------
    precision : (Q,) 1/σ²
    rotation : (P, 3, 3) reference -> tomogram; centre_angstrom : (P, 3) in the tomogram
    radius : finest Fourier radius compared
    """
    n = statistics.count(radius)
    points = statistics.points[:n]
    turned, shift = relative_pose(statistics, rotation, centre_angstrom)
    shell = statistics.shell[: n // statistics.n_tilts].repeat_interleave(statistics.n_tilts)
    found, expected = torch.zeros(2, len(statistics.particles), radius + 1, dtype=torch.float64)
    for row in range(len(statistics.particles)):
        slices = extract_slices(volume, turned[row : row + 1].float(), points)[0]
        data = statistics.data[row, :n] * shift_phases(points, shift[row : row + 1], statistics.box)[0]
        cross = (data.conj() * slices).real * precision[:n]
        power = statistics.weight[row, :n] * slices.abs().square() * precision[:n]
        found[row].index_add_(0, shell, cross.double())
        expected[row].index_add_(0, shell, power.double())
    return Agreement(found, expected)


def held_out_likelihood(one: Agreement) -> Tensor:
    """(P,) nats of each particle, with the gain of every shell that all others ask for; a gain is never negative."""
    found, expected = one.found.sum(0) - one.found, one.expected.sum(0) - one.expected
    gain = torch.where(expected > 0, found / expected.clamp_min(1e-300), 0).clamp_min(0)
    return (gain * one.found - 0.5 * gain.square() * one.expected).sum(1)

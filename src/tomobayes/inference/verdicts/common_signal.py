"""How much signal two sets of particles have in common, told by their sums before anything is divided."""

from __future__ import annotations

import torch
from torch import Tensor

from tomobayes.fourier.volume import Sums, box_radii, normal_equations

__all__ = ["common_ssnr"]


def common_ssnr(one: Sums, other: Sums) -> Tensor:
    """τ² per shell of the map of both together, in units of its shell's mean noise variance, (R+1,), as ``solve`` takes it.

    With b = w·V + n in each set, E Re[b₁·conj(b₂)] = w₁·w₂·τ², since noise is not shared, and Σ|b₁ - b₂|² / Σ(w₁ + w₂) is the variance
    of noise of weight one. Maps of few particles correlate badly where most of them have a zero of the CTF; sums are merely small there.
    """
    (data, weight), (other_data, other_weight) = normal_equations(one), normal_equations(other)
    shell = box_radii(one.box, weight.device).round().long().flatten()

    def total(values: Tensor) -> Tensor:
        return torch.bincount(shell, values.flatten().double())[: one.radius + 1]

    both = total(weight + other_weight).clamp_min(1e-300)
    noise = total((data - other_data).abs().square()) / both
    power = total((data * other_data.conj()).real) / total(weight * other_weight).clamp_min(1e-300)
    return (power.clamp_min(0) * both / total(torch.ones_like(weight)) / noise.clamp_min(1e-300)).float()

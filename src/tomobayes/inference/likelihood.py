"""log P(X | A, T) of many poses at once, as matrix products."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["log_likelihood", "profile_likelihood", "shift_phases"]


def shift_phases(points: Tensor, shifts_px: Tensor, box: int) -> Tensor:
    """exp(+2πi q·T/n), which moves data observed at T back to the origin: (Q, 3) and (M, 3) pixels -> (M, Q) complex64."""
    phase = (2 * math.pi / box) * (shifts_px.to(points) @ points.T)
    return torch.complex(torch.cos(phase), torch.sin(phase))


def _products(data: Tensor, weight: Tensor, slices: Tensor) -> tuple[Tensor, Tensor]:
    """Re Σ conj(b)·V for all (row of b, slice) and Σ w·|V|² for all (row of w, slice)."""
    flat = torch.view_as_real(slices).flatten(1)
    cross = torch.view_as_real(data).flatten(1) @ flat.T
    # In place: of thousands of slices, the terms of a sum are the largest arrays.
    squared = slices.real.square().addcmul_(slices.imag, slices.imag)
    return cross, weight @ squared.T


def log_likelihood(data: Tensor, weight: Tensor, slices: Tensor) -> Tensor:
    """Σ_q { Re[conj(b)·V] - ½·w·|V|² } for every particle, shift and orientation.

    Parameters
    ----------
    data : (P, M, Q) complex64, b of P particles moved back by M shifts
    weight : (P, Q) float32, w
    slices : (O, Q) complex64, V(Aᵀq)

    Returns
    -------
    (P, M, O) nats, up to a constant per particle
    """
    p, m, _ = data.shape
    cross, power = _products(data.flatten(0, 1), weight, slices)
    return cross.reshape(p, m, -1) - 0.5 * power[:, None]


def profile_likelihood(data: Tensor, weight: Tensor, slices: Tensor) -> tuple[Tensor, Tensor]:
    """As log_likelihood, maximised over an unknown positive scale of the map, and the two sums from which that scale follows.

    For a reference of unknown grey scale: max over s > 0 of s·C - ½·s²·P is C²/(2P) where C > 0 (the Bayesian's cross-correlation).

    Returns
    -------
    (P, M, O) nats and the most likely scale C/P of each, (P, M, O)
    """
    p, m, _ = data.shape
    cross, power = _products(data.flatten(0, 1), weight, slices)
    positive = cross.reshape(p, m, -1).clamp_min(0)
    power = power[:, None].clamp_min(1e-30)
    return 0.5 * positive.square() / power, positive / power

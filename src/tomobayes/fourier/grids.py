"""Lists of Fourier samples: one half of the plane or of space, each Friedel pair once, DC left out, sorted by radius.

Sorted by radius, a list cropped to a lower resolution is a prefix of itself, so nothing is ever gathered twice.
Samples are in units of one Fourier pixel of the box: a spatial frequency is sample / (box x pixel size).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["good_box", "half_plane", "half_space", "shells"]


def good_box(at_least: int) -> int:
    """The smallest even box of at least the given edge whose FFT is fast (factors 2, 3, 5)."""
    half = (at_least + 1) // 2
    while not _is_smooth(half):
        half += 1
    return 2 * half


def _is_smooth(number: int) -> bool:
    for prime in (2, 3, 5):
        while number % prime == 0:
            number //= prime
    return number == 1


def _ordered(candidates: np.ndarray, radius: int) -> Tensor:
    """Keep 0 < |k| <= radius and k > -k in lexical order of the components (x first), sorted by radius."""
    squared = (candidates**2).sum(-1)
    sign = np.zeros(len(candidates), dtype=candidates.dtype)
    for component in candidates.T:
        sign = np.where(sign == 0, np.sign(component), sign)
    kept = np.flatnonzero((sign > 0) & (squared <= radius**2))
    return torch.from_numpy(candidates[kept[np.argsort(squared[kept], kind="stable")]])


def half_plane(radius: int) -> Tensor:
    """(J, 2) int64 samples (x, y) with x > 0, or x = 0 and y > 0, inside the circle; a radius < box/2 leaves self-conjugate points out."""
    axis = np.arange(-radius, radius + 1)
    x, y = np.meshgrid(axis[radius:], axis, indexing="ij")
    return _ordered(np.stack([x.ravel(), y.ravel()], -1), radius)


def half_space(radius: int) -> Tensor:
    """(J, 3) int64 samples (x, y, z) of one half of the ball, each Friedel pair once."""
    axis = np.arange(-radius, radius + 1)
    grid = np.meshgrid(axis[radius:], axis, axis, indexing="ij")
    return _ordered(np.stack([g.ravel() for g in grid], -1), radius)


def shells(samples: Tensor) -> Tensor:
    """(…,) int64 nearest-integer radius of samples (..., d)."""
    radius: Tensor = samples.to(torch.float64).norm(dim=-1)
    return radius.round().long()

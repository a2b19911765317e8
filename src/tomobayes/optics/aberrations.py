"""Higher-order aberrations as Zernike polynomials in the spatial frequency itself (1/Å), RELION's convention."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["even_indices", "even_phase", "odd_indices", "odd_phase", "zernike"]


def even_indices(i: int) -> tuple[int, int]:
    """(n, m) of the i-th symmetric polynomial: (0,0), (2,-2), (2,0), (2,2), (4,-4), …"""
    k = math.isqrt(i)
    return 2 * k, 2 * (i - k * k - k)


def odd_indices(i: int) -> tuple[int, int]:
    """(n, m) of the i-th antisymmetric polynomial: (1,-1), (1,1), (3,-3), (3,-1), (3,1), (3,3), …"""
    k = (math.isqrt(1 + 4 * i) - 1) // 2
    n = 2 * k + 1
    return n, 2 * (i - k * k - k) - n


def zernike(n: int, m: int, x: Tensor, y: Tensor) -> Tensor:
    """Unnormalised Z_n^m: R_n^|m|(ρ)·cos(mφ) for m ≥ 0, ·sin(|m|φ) for m < 0, at ρ = |(x, y)| without scaling to a unit disc."""
    absolute = abs(m)
    squared = x * x + y * y
    radial = torch.zeros_like(squared)
    for k in range((n - absolute) // 2 + 1):
        numerator = (-1) ** k * math.factorial(n - k)
        denominator = math.factorial(k) * math.factorial((n + absolute) // 2 - k) * math.factorial((n - absolute) // 2 - k)
        radial = radial + numerator / denominator * squared ** ((n - absolute) // 2 - k)
    harmonic = torch.complex(x, y) ** absolute  # ρ^|m|·exp(i|m|φ), so R is left with even powers of ρ and no singularity at 0
    return radial * (harmonic.real if m >= 0 else harmonic.imag)


def _sum(coefficients: Sequence[float], indices: Sequence[tuple[int, int]], frequency: Tensor) -> Tensor:
    x, y = frequency.unbind(-1)
    total = torch.zeros_like(x)
    for coefficient, (n, m) in zip(coefficients, indices, strict=True):
        total = total + coefficient * zernike(n, m, x, y)
    return total


def even_phase(coefficients: Sequence[float], frequency: Tensor) -> Tensor:
    """γ_even at frequencies (..., 2) in 1/Å; it is subtracted from the argument of the CTF's sine."""
    return _sum(coefficients, [even_indices(i) for i in range(len(coefficients))], frequency)


def odd_phase(coefficients: Sequence[float], frequency: Tensor) -> Tensor:
    """ρ_odd at frequencies (..., 2) in 1/Å; the signal is multiplied by exp(iρ), observed images by its conjugate."""
    return _sum(coefficients, [odd_indices(i) for i in range(len(coefficients))], frequency)

"""Smooth deformations of tilt images, in RELION's parametrisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Deformation", "DeformationKind", "coefficient_count"]

DeformationKind = Literal["affine", "spline", "fourier"]


@dataclass(frozen=True)
class Deformation:
    """By what projected points are displaced: p -> p + d(p), d linear in the coefficients (geometry.deformation says how).

    Parameters
    ----------
    kind : affine (RELION's ``linear``), bicubic spline or Fourier series
    coefficients : (K,) for the whole tilt series, or (F, K) one row per tilt
    grid : (width, height), nodes of the spline or waves of the Fourier series; means nothing to an affine deformation
    """

    kind: DeformationKind
    coefficients: NDArray[np.float64]
    grid: tuple[int, int] = (1, 1)

    def per_tilt(self, n_tilts: int) -> NDArray[np.float64]:
        """(F, K) whichever way they are kept."""
        return np.broadcast_to(self.coefficients, (n_tilts, self.coefficients.shape[-1]))


def coefficient_count(kind: DeformationKind, grid: tuple[int, int]) -> int:
    """K: 3 of an affine deformation, 8 per node of a spline, 4 per wave of a Fourier series (one wave of each ± pair, none constant)."""
    width, height = grid
    if kind == "affine":
        return 3
    if kind == "spline":
        return 8 * width * height
    upper = height // 2
    return 4 * (upper * (width // 2 + 1) - min(upper, 1) + (height - upper) * (width // 2))

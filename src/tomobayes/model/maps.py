"""Density maps and masks in real space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Map"]


@dataclass(frozen=True)
class Map:
    """A cubic map or mask: ``data`` (n, n, n) float32 in (z, y, x) order with its centre at index n//2."""

    data: NDArray[np.float32]
    pixel_size_angstrom: float

    @property
    def box(self) -> int:
        """Edge in voxels."""
        return int(self.data.shape[0])

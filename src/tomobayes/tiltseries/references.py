"""Maps that tilt images are compared with: each particle with a map of its own half-set, as fine as the halves agree."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from tomobayes.fourier.volume import FourierVolume, from_map
from tomobayes.maps.filters import multiply_shells
from tomobayes.maps.fsc import FscCurves, last_shell_above, masked_fsc

__all__ = ["References", "from_half_maps", "resolved_radius"]

RESOLVED = 0.143
"""FSC of the half maps below which nothing is compared."""


@dataclass(frozen=True)
class References:
    """What every particle is compared with.

    Parameters
    ----------
    volumes : per half-set and fold, a masked and filtered map; a particle of fold k meets the map of the other folds
    fold : (N,) fold of each particle of the data set
    pixel_size_angstrom : of the maps
    radius : Fourier pixels of the map's box up to which images are compared
    fsc : of the two half maps
    cut_radius : up to which the boxes of compared images hold delocalised signal; None: as ``radius``
    """

    volumes: tuple[tuple[FourierVolume, ...], tuple[FourierVolume, ...]]
    fold: NDArray[np.int64]
    pixel_size_angstrom: float
    radius: int
    fsc: FscCurves
    cut_radius: int | None = None

    @property
    def extent_angstrom(self) -> float:
        """Edge of the maps' box."""
        return self.volumes[0][0].box * self.pixel_size_angstrom

    @property
    def finest_frequency(self) -> float:
        """1/Å up to which images are compared."""
        return self.radius / self.extent_angstrom

    @property
    def swapped(self) -> References:
        """With the maps of the other half-set for each particle."""
        return replace(self, volumes=self.volumes[::-1])

    @property
    def holds_own_noise(self) -> bool:
        """Whether particles meet maps that they had a part in."""
        return len(self.volumes[0]) == 1

    @property
    def cut_frequency(self) -> float:
        """1/Å up to which boxes are to hold delocalised signal."""
        return (self.cut_radius or self.radius) / self.extent_angstrom


def from_half_maps(
    halves: tuple[NDArray[np.float32], NDArray[np.float32]],
    mask: NDArray[np.float32],
    pixel_size_angstrom: float,
    particles: int,
    symmetry_order: int = 1,
) -> References:
    """Half maps on any grey scale, each weighted by its expected share of signal FSC (its own, not that of the mean map).

    Parameters
    ----------
    halves, mask : (n, n, n) each
    particles : how many the data set has; all are compared with the whole map of their half
    """
    curves = masked_fsc(halves[0], halves[1], pixel_size_angstrom, mask, symmetry_order=symmetry_order)
    radius = resolved_radius(curves)
    weight = np.where(np.arange(len(curves.corrected)) <= radius, curves.corrected.clip(0, 1), 0)
    first, second = (from_map(torch.from_numpy(multiply_shells(half * mask, weight)), radius + 1) for half in halves)
    return References(((first,), (second,)), np.zeros(particles, dtype=np.int64), pixel_size_angstrom, radius, curves)


def resolved_radius(curves: FscCurves) -> int:
    """The finest shell in which the halves agree; some shells are compared in any case."""
    return min(max(last_shell_above(curves.corrected, RESOLVED), 4), curves.box // 2 - 2)

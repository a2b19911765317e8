"""The neighbour plot: where, in a particle's own frame, its neighbours are. A lattice shows as spots, a mere crowd as a cloud."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["NeighbourPlot", "as_all_mates_see", "neighbour_plot"]

Float = NDArray[np.float64]


@dataclass(frozen=True)
class NeighbourPlot:
    """How dense neighbours are around a particle.

    Parameters
    ----------
    density : (n, n, n) in (z, y, x) order with the particle at n//2, relative to neighbours spread evenly over the ball
    voxel_angstrom : edge of a voxel
    """

    density: Float
    voxel_angstrom: float

    def position_angstrom(self, index: NDArray[np.int64]) -> Float:
        """(..., 3) x, y, z of voxels given as (..., 3) z, y, x."""
        return np.asarray((index[..., ::-1] - len(self.density) // 2) * self.voxel_angstrom, dtype=np.float64)


def as_all_mates_see(vectors: Float, group: Float) -> Float:
    """Positions in the frames A·g of all symmetry mates, (N, 3) and (G, 3, 3) -> (G·N, 3): gᵀv."""
    return np.asarray(np.einsum("nj,gji->gni", vectors, group).reshape(-1, 3))


def neighbour_plot(position_angstrom: Float, reach_angstrom: float, voxel_angstrom: float) -> NeighbourPlot:
    """Density of neighbours, smoothed by one voxel.

    Parameters
    ----------
    position_angstrom : (N, 3) neighbours in the frame of the particle they belong to, of all particles together
    reach_angstrom : how far out the plot goes
    """
    from scipy.ndimage import gaussian_filter

    middle = int(np.ceil(reach_angstrom / voxel_angstrom)) + 2
    edge = 2 * middle + 1
    inside = position_angstrom[np.linalg.norm(position_angstrom, axis=1) <= reach_angstrom]
    index = np.rint(inside[:, ::-1] / voxel_angstrom).astype(np.int64) + middle
    counts = np.bincount(np.ravel_multi_index(tuple(index.T), (edge,) * 3), minlength=edge**3).reshape((edge,) * 3)
    even = max(len(inside), 1) / (4 / 3 * np.pi * (reach_angstrom / voxel_angstrom) ** 3)
    return NeighbourPlot(gaussian_filter(counts / even, 1.0), voxel_angstrom)

"""Who is near whom: pairs of particles of the same tilt series, and how each stands in the other's frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Pairs", "nearest_distance", "pairs_within", "relative_poses"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """Pairs of neighbours, each in both orders.

    Parameters
    ----------
    first, second : (N,) rows of the particles
    distance_angstrom : (N,) between their centres
    """

    first: Int
    second: Int
    distance_angstrom: Float

    def __len__(self) -> int:
        return len(self.first)


def pairs_within(centres_angstrom: Float, tilt_series: Int, reach_angstrom: float) -> Pairs:
    """All pairs of particles of one tilt series that are at most ``reach_angstrom`` apart, (P, 3) and (P,), in order of their rows."""
    from scipy.spatial import cKDTree

    found = [np.zeros((0, 2), dtype=np.int64)]
    for series in np.unique(tilt_series):
        rows = np.flatnonzero(tilt_series == series)
        found.append(rows[cKDTree(centres_angstrom[rows]).query_pairs(reach_angstrom, output_type="ndarray")])
    once = np.concatenate(found)
    both = np.concatenate([once, once[:, ::-1]])
    first, second = both[np.lexsort((both[:, 1], both[:, 0]))].T
    return Pairs(first, second, np.linalg.norm(centres_angstrom[second] - centres_angstrom[first], axis=1))


def nearest_distance(centres_angstrom: Float, tilt_series: Int, rank: int = 1) -> Float:
    """(P,) distance to the nearest (second nearest, ...) other particle of the tilt series, infinite where there is none."""
    from scipy.spatial import cKDTree

    nearest = np.full(len(centres_angstrom), np.inf)
    for series in np.unique(tilt_series):
        rows = np.flatnonzero(tilt_series == series)
        nearest[rows] = np.asarray(cKDTree(centres_angstrom[rows]).query(centres_angstrom[rows], k=[rank + 1])[0])[:, 0]
    return nearest


def relative_poses(centres_angstrom: Float, rotation: Float, pairs: Pairs) -> tuple[Float, Float]:
    """Neighbours as their first particle sees them: where they are, Aᵀ(x' - x), and how they are turned, AᵀA'.

    Parameters
    ----------
    centres_angstrom, rotation : (P, 3), (P, 3, 3) poses, reference -> tomogram

    Returns
    -------
    (N, 3) Å and (N, 3, 3), in the frame of the reference
    """
    step = centres_angstrom[pairs.second] - centres_angstrom[pairs.first]
    position = np.einsum("nji,nj->ni", rotation[pairs.first], step)
    return position, np.einsum("nji,njk->nik", rotation[pairs.first], rotation[pairs.second])

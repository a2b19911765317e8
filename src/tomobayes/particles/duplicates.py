"""Particles that were picked more than once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tomobayes.particles.neighbours import pairs_within

__all__ = ["keep_best"]

Float = NDArray[np.float64]


def keep_best(
    centres_angstrom: Float, tilt_series: NDArray[np.int64], distance_angstrom: float, quality: Float | None = None
) -> NDArray[np.bool_]:
    """Mark particles to keep such that no two of a tilt series are closer than a distance.

    The best particle stays and those near it go, then the best of those that are left, and so on. A chain of particles thus loses
    every other one, not all but one, and a particle goes only for the sake of a better one that stays.

    Parameters
    ----------
    centres_angstrom : (P, 3) in the frame of the tilt series' tomogram
    tilt_series : (P,)
    quality : (P,) larger is better, NaN is worst; earlier rows win ties, and everything without it

    Returns
    -------
    (P,) True where a particle stays
    """
    n = len(centres_angstrom)
    pairs = pairs_within(centres_angstrom, tilt_series, distance_angstrom)
    ends = np.searchsorted(pairs.first, np.arange(n + 1))
    worth = np.zeros(n) if quality is None else np.where(np.isnan(quality), -np.inf, quality)
    kept = np.ones(n, dtype=bool)
    for row in np.argsort(-worth, kind="stable"):
        if kept[row]:
            kept[pairs.second[ends[row] : ends[row + 1]]] = False
    return kept

"""Relative orientations of neighbours, which are known up to the symmetry of the reference."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["modes_of", "nearest_turn_degrees"]

Float = NDArray[np.float64]

LEAST_SHARE = 0.1
SPREAD_DEGREES = 15.0


def nearest_turn_degrees(turn: Float, targets: Float, group: Float) -> Float:
    """Angle to the nearest of some rotations, when R and R·g are the same for every g of the group.

    Parameters
    ----------
    turn, targets : (N, 3, 3), (M, 3, 3)
    group : (G, 3, 3)

    Returns
    -------
    (N,) degrees
    """
    wanted = np.einsum("mij,gkj->mgik", targets, group).reshape(-1, 9)
    return _degrees((turn.reshape(-1, 9) @ wanted.T).max(1))


def modes_of(turns: Float, group: Float) -> Float:
    """The rotations about which others gather, up to a group, most frequent first, (N, 3, 3) -> (M, 3, 3).

    One after another: that with most others within 15°, moved to their mean; it takes them along. At least a tenth belong to each.
    """
    modes: list[Float] = []
    left = turns
    while len(left) >= max(LEAST_SHARE * len(turns), 1):
        near = _between(left, group) <= SPREAD_DEGREES
        best = int(near.sum(1).argmax())
        if near[best].sum() < LEAST_SHARE * len(turns):
            break
        modes.append(_mean(left[near[best]], left[best], group))
        left = left[nearest_turn_degrees(left, modes[-1][None], group) > 1.5 * SPREAD_DEGREES]
    return np.array(modes).reshape(-1, 3, 3)


def _between(turns: Float, group: Float) -> Float:
    """(N, N) angles between rotations up to the group."""
    mates = np.einsum("nij,gjk->ngik", turns, group)
    traces = turns.reshape(-1, 9) @ mates.reshape(-1, 9).T
    return _degrees(traces.reshape(len(turns), len(turns), -1).max(2))


def _mean(turns: Float, near: Float, group: Float) -> Float:
    """Chordal mean of those mates of rotations that are nearest to one."""
    mates = np.einsum("nij,gjk->ngik", turns, group)
    nearest = np.einsum("ngij,ij->ng", mates, near).argmax(1)
    u, _, v = np.linalg.svd(mates[np.arange(len(turns)), nearest].sum(0))
    return np.asarray(u * [1, 1, np.linalg.det(u @ v)] @ v)


def _degrees(trace: Float) -> Float:
    return np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1)))

"""Lattices: where neighbours stand and how they are turned, learned from all of them, and who stands in one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tomobayes.particles.neighbour_plot import as_all_mates_see, neighbour_plot
from tomobayes.particles.neighbours import Pairs
from tomobayes.particles.turns import modes_of, nearest_turn_degrees

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

__all__ = ["REACH", "TOLERANCE", "Lattice", "fits_lattice", "fits_spacing", "learn_lattice", "learn_spacing", "support_by", "support_of"]

Float = NDArray[np.float64]
Marks = NDArray[np.bool_]

REACH = 2.2
"""Neighbours up to this many spacings are looked at: two shells, so that members at the rim have enough of them."""

CLOSE = 1.3
"""Neighbours up to this many spacings that stand where no place is speak against a particle."""

TOLERANCE = 1 / 6
"""How far from its place a neighbour may stand, in spacings."""

LEAST_CONTRAST = 8.0
"""A place is a spot: at least this much denser than what surrounds it. Rings reach 7 (a line through ball and shell), discs 2.3."""

LEAST_PAIRS = 20
LEAST_SHARE = 0.2
"""A place has at least this share of the pairs of the most frequent one."""


@dataclass(frozen=True)
class Lattice:
    """K places at which neighbours stand, in the frame of the reference.

    Parameters
    ----------
    spacing_angstrom : distance of the nearest places
    position_angstrom : (K, 3)
    turns : K times (M, 3, 3), how a neighbour there may be turned (AᵀA'), up to the reference's symmetry
    contrast : (K,) how much denser neighbours are at the place than around it
    """

    spacing_angstrom: float
    position_angstrom: Float
    turns: tuple[Float, ...]
    contrast: Float


def learn_spacing(position_angstrom: Float, reach_angstrom: float, group: Float) -> float | None:
    """Distance of the densest spot of the neighbour plot, None where there is no spot.

    Parameters
    ----------
    position_angstrom : (N, 3) neighbours as their particles see them
    """
    seen = as_all_mates_see(position_angstrom, group)
    found = _spots(seen, reach_angstrom, reach_angstrom / 32, least_angstrom=reach_angstrom / 8)
    return float(np.linalg.norm(found[0])) if len(found) else None


def learn_lattice(position_angstrom: Float, turn: Float, group: Float, spacing_angstrom: float) -> Lattice | None:
    """The places of a lattice whose spacing is about known, None where neighbours stand anywhere.

    Parameters
    ----------
    position_angstrom, turn : (N, 3), (N, 3, 3) neighbours within ``REACH`` spacings, as their particles see them
    group : (G, 3, 3) symmetry of the reference
    """
    from scipy.spatial import cKDTree

    radius = TOLERANCE * spacing_angstrom
    seen = as_all_mates_see(position_angstrom, group)
    tree = cKDTree(seen)
    spots = _spots(seen, REACH * spacing_angstrom, spacing_angstrom / 24, least_angstrom=spacing_angstrom / 2)
    settled = [_settled(spot, seen, tree, radius) for spot in spots]
    found = [spot for spot in settled if _contrast(spot, tree, radius) >= LEAST_CONTRAST]
    if not found:
        return None
    counts = np.array([len(tree.query_ball_point(spot, radius)) for spot in found])
    places = np.array(found)[(counts >= LEAST_SHARE * counts.max()) & (counts >= LEAST_PAIRS)]
    if not len(places):
        return None
    turns = tuple(modes_of(_turns_at(tree.query_ball_point(place, radius), turn, group), group) for place in places)
    contrast = np.array([_contrast(place, tree, radius) for place in places])
    return Lattice(float(np.linalg.norm(places, axis=1).min()), places, turns, contrast)


def fits_lattice(
    lattice: Lattice, position_angstrom: Float, turn: Float, group: Float, tolerance_angstrom: float, tolerance_degrees: float
) -> Marks:
    """(N,) which neighbours stand at a place of the lattice, turned as one there is."""
    from scipy.spatial import cKDTree

    distance, place = cKDTree(lattice.position_angstrom).query(position_angstrom)
    fits = np.asarray(distance) <= tolerance_angstrom
    for index, turns in enumerate(lattice.turns):
        here = np.flatnonzero(fits & (place == index))
        fits[here] = nearest_turn_degrees(turn[here], turns, group) <= tolerance_degrees
    return fits


def fits_spacing(
    position_angstrom: Float, turn: Float, group: Float, spacing_angstrom: float, tolerance_angstrom: float, most_degrees: float
) -> Marks:
    """(N,) which neighbours stand at a distance, turned by no more than an angle, wherever that is."""
    distance = np.linalg.norm(position_angstrom, axis=1)
    still = np.eye(3)[None]
    return np.asarray(
        (np.abs(distance - spacing_angstrom) <= tolerance_angstrom) & (nearest_turn_degrees(turn, still, group) <= most_degrees)
    )


def support_of(pairs: Pairs, fits: Marks, spacing_angstrom: float, count: int, rounds: int = 50) -> tuple[Float, Float]:
    """How much the neighbours of each particle speak for it: those at their places minus close ones that stand elsewhere.

    Each neighbour speaks as loudly as others speak for it: its weight is half its own support, between 0 and 1, which is why two
    that fit each other by chance do not hold each other up. Starting from those with three fitting neighbours this settles soon.

    Parameters
    ----------
    pairs : neighbours, P = ``count`` particles
    fits : (N,) which of the second ones stand where the lattice has a place in the frame of the first

    Returns
    -------
    (P,) support and (P,) weight
    """
    weight = np.clip(np.bincount(pairs.first[fits], minlength=count) / 3, 0, 1)
    support = np.zeros(count)
    for _ in range(rounds):
        support = support_by(pairs, fits, spacing_angstrom, weight)
        settled = np.clip(support / 2, 0, 1)
        if np.abs(settled - weight).max(initial=0) < 1e-3:
            break
        weight = settled
    return support, weight


def support_by(pairs: Pairs, fits: Marks, spacing_angstrom: float, weight: Float) -> Float:
    """(P,) sum of the weights of neighbours at their places less those of close ones that stand elsewhere."""
    opposed = ~fits & (pairs.distance_angstrom <= CLOSE * spacing_angstrom)
    sign = fits.astype(np.float64) - opposed
    return np.asarray(np.bincount(pairs.first, sign * weight[pairs.second], minlength=len(weight)), dtype=np.float64)


def _spots(seen: Float, reach: float, voxel: float, least_angstrom: float) -> Float:
    """(K, 3) local maxima of the neighbour plot outside a radius, densest first, those below a tenth of the highest left out."""
    from scipy.ndimage import maximum_filter

    plot = neighbour_plot(seen, reach, voxel)
    size = max(3, int(least_angstrom / voxel) | 1)
    index = np.argwhere((plot.density == maximum_filter(plot.density, size)) & (plot.density > 0))
    position = plot.position_angstrom(index)
    height = plot.density[tuple(index.T)]
    outside = np.linalg.norm(position, axis=1) > least_angstrom
    position, height = position[outside], height[outside]
    high = height >= 0.1 * height.max(initial=0)
    return np.asarray(position[high][np.argsort(-height[high], kind="stable")])


def _settled(spot: Float, seen: Float, tree: cKDTree, radius: float) -> Float:
    """The mean of the neighbours around a spot, again around that mean, and so on."""
    for _ in range(5):
        near = tree.query_ball_point(spot, radius)
        spot = seen[near].mean(0) if near else spot
    return spot


def _contrast(spot: Float, tree: cKDTree, radius: float) -> float:
    """Density within a radius of a spot over that of the shell around it, out to twice the radius.

    The least that the counts allow: both are taken two standard deviations to the worse, for spots are where chance put most pairs.
    """
    inside, all_ = (len(tree.query_ball_point(spot, reach)) for reach in (radius, 2 * radius))
    around = all_ - inside
    return float(7 * (inside - 2 * inside**0.5) / (around + 2 * around**0.5 + 1))


def _turns_at(rows: list[int], turn: Float, group: Float, most: int = 400) -> Float:
    """gᵀR of some of the pairs that the mates see at a place; rows run over mates, then pairs."""
    chosen = np.random.default_rng(0).permutation(np.sort(rows))[:most]
    mate, pair = np.divmod(chosen, len(turn))
    return np.asarray(np.einsum("nji,njk->nik", group[mate], turn[pair]))

"""Half-sets that share nothing: particles whose images overlap go to the same half."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["DUPLICATES", "assign_halves", "overlap_clusters"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

LATTICE_SIZE = 16
"""A smaller cluster is never split: the other tilt series restore the balance."""

PATCHES = 8
"""A lattice that fills a tomogram becomes this many patches: enough to balance, few enough to keep their borders short."""


DUPLICATES = 0.1
"""Particles closer than this share of the diameter are the same one twice."""


def assign_halves(
    centres_angstrom: Float, tilt_series: Int, diameter_angstrom: float, seed: int = 0, duplicate_angstrom: float | None = None
) -> Int:
    """Deal particles to two half-sets such that neighbours stay together.

    Particles of a tilt series closer than the diameter form a cluster (with their neighbours' neighbours), and whole
    clusters are dealt, largest first, to the half that has fewer particles in that tilt series, or else overall.
    A lattice, where one cluster of at least 16 joins more than half of the tilt series, is cut into spatial patches;
    only across their borders may neighbours be in different halves, and never duplicates.

    Parameters
    ----------
    centres_angstrom : (P, 3) in the frame of the tilt series' tomogram
    tilt_series : (P,) index of each particle's tilt series
    diameter_angstrom : of the particle
    seed : of the order in which clusters of the same size are dealt
    duplicate_angstrom : particles closer than this are duplicates; by default a tenth of the diameter

    Returns
    -------
    (P,) 1 or 2
    """
    same = DUPLICATES * diameter_angstrom if duplicate_angstrom is None else duplicate_angstrom
    half = np.zeros(len(centres_angstrom), dtype=np.int64)
    random = np.random.default_rng(seed)
    overall = np.zeros(2, dtype=np.int64)
    for series in np.unique(tilt_series):
        members = np.flatnonzero(tilt_series == series)
        clusters = overlap_clusters(centres_angstrom[members], diameter_angstrom)
        clusters = _without_lattice(clusters, centres_angstrom[members], same)
        dealt = _deal(clusters, overall, random)
        half[members] = dealt + 1
        overall += np.bincount(dealt, minlength=2)
    return half


def overlap_clusters(centres_angstrom: Float, diameter_angstrom: float) -> Int:
    """Connected components of the particles closer than a diameter, (P, 3) -> (P,) labels from 0."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    n = len(centres_angstrom)
    pairs = cKDTree(centres_angstrom).query_pairs(diameter_angstrom, output_type="ndarray")
    graph = coo_array((np.ones(len(pairs), dtype=bool), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _without_lattice(clusters: Int, centres: Float, duplicate_angstrom: float) -> Int:
    """Cut a cluster that joins more than half of the particles into patches, duplicates in one."""
    sizes = np.bincount(clusters)
    largest = int(sizes.argmax())
    if sizes[largest] < LATTICE_SIZE or 2 * sizes[largest] <= len(clusters):
        return clusters
    lattice = np.flatnonzero(clusters == largest)
    cut = clusters.copy()
    _, representative, group = np.unique(overlap_clusters(centres[lattice], duplicate_angstrom), return_index=True, return_inverse=True)
    cut[lattice] = len(sizes) + _patches(centres[lattice][representative], PATCHES)[group]
    return np.asarray(np.unique(cut, return_inverse=True)[1])


def _patches(points: Float, count: int) -> Int:
    """Bisect points at the median of their longest direction until there are ``count`` (a power of two) patches."""
    if count == 1 or len(points) < 2:
        return np.zeros(len(points), dtype=np.int64)
    offset = points - points.mean(0)
    along = offset @ np.linalg.eigh(offset.T @ offset)[1][:, -1]
    order = np.argsort(along, kind="stable")
    patch = np.empty(len(points), dtype=np.int64)
    for side, chosen in enumerate(np.array_split(order, 2)):
        patch[chosen] = side * count // 2 + _patches(points[chosen], count // 2)
    return patch


def _deal(clusters: Int, overall: Int, random: np.random.Generator) -> Int:
    """Half (0 or 1) of every particle: clusters in order of size, each to the half with less."""
    sizes = np.bincount(clusters)
    shuffled = random.permutation(len(sizes))
    half_of_cluster = np.zeros(len(sizes), dtype=np.int64)
    here = np.zeros(2, dtype=np.int64)
    for cluster in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        load = here if here[0] != here[1] else overall + here
        chosen = int(load.argmin()) if load[0] != load[1] else int(random.integers(2))
        half_of_cluster[cluster] = chosen
        here[chosen] += sizes[cluster]
    return np.asarray(half_of_cluster[clusters])

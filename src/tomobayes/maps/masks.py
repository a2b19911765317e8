"""Soft masks: spheres, the outline of a map, and what makes a mask unusable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomobayes.maps.filters import low_pass, raised_cosine
from tomobayes.maps.spectra import Float32
from tomobayes.model import Problem

__all__ = ["automatic_threshold", "centre_of_mass", "distance_from_centre", "mask_from_map", "mask_problems", "sphere_mask"]

Volume = NDArray[np.floating[Any]]
Bool = NDArray[np.bool_]

TOLERANCE = 1e-3
"""How far a mask may leave [0, 1], for the rounding of half-precision files."""


def distance_from_centre(box: int) -> Float32:
    """(n, n, n) distance in pixels from the map's centre."""
    axis = np.arange(box, dtype=np.float32) - box // 2
    return np.asarray(np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2))


def sphere_mask(box: int, diameter_px: float, edge_px: float = 5) -> Float32:
    """1 inside a sphere, 0 outside, with a raised-cosine edge that begins at the sphere's surface.

    Returns
    -------
    (n, n, n)
    """
    return raised_cosine(distance_from_centre(box), diameter_px / 2, diameter_px / 2 + edge_px)


def automatic_threshold(volume: Volume) -> float:
    """Density that best divides the inscribed sphere into particle and solvent (Otsu 1979: largest variance between the two)."""
    values = volume[distance_from_centre(volume.shape[0]) < volume.shape[0] // 2]
    counts, edges = np.histogram(values, bins=512)
    middles = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)[:-1]
    mass = np.cumsum(counts * middles)
    above = len(values) - below
    between = (mass[-1] * below / len(values) - mass[:-1]) ** 2 / np.maximum(below * above, 1)
    return float(edges[1 + between.argmax()])


def mask_from_map(
    volume: Volume,
    pixel_size_angstrom: float,
    *,
    threshold: float | None = None,
    lowpass_angstrom: float | None = 15,
    extend_px: float = 3,
    soft_edge_px: float = 6,
    largest_component: bool = False,
) -> Float32:
    """A soft mask around what is denser than a threshold.

    Parameters
    ----------
    volume : (n, n, n)
    threshold : density after the low-pass; None = :func:`automatic_threshold`
    lowpass_angstrom : resolution of the map that is thresholded; None = as it is
    extend_px : how far the mask reaches beyond the threshold; negative shrinks it
    soft_edge_px : width of the raised-cosine edge beyond that
    largest_component : keep only the largest connected piece (voxels touch by faces)

    Returns
    -------
    (n, n, n) in [0, 1]; all 0 where nothing is denser than the threshold
    """
    from scipy import ndimage

    smooth = volume if lowpass_angstrom is None else low_pass(volume, pixel_size_angstrom, lowpass_angstrom)
    dense = smooth > (automatic_threshold(smooth) if threshold is None else threshold)
    if largest_component:
        dense = _largest_component(dense)
    if extend_px < 0:
        dense = ndimage.distance_transform_edt(dense) > -extend_px
    extend_px = max(extend_px, 0)
    return _softened(dense, extend_px, extend_px + soft_edge_px)


def _largest_component(dense: Bool) -> Bool:
    from scipy import ndimage

    labels, n_labels = ndimage.label(dense)
    if n_labels < 2:
        return dense
    return np.asarray(labels == 1 + np.bincount(labels.ravel())[1:].argmax())


def _softened(dense: Bool, start_px: float, end_px: float) -> Float32:
    """Raised cosine of the distance from the dense voxels, computed only around them."""
    from scipy import ndimage

    soft = np.zeros(dense.shape, dtype=np.float32)
    found = ndimage.find_objects(dense.astype(np.int8))
    if not found:
        return soft
    margin = int(np.ceil(end_px)) + 1
    room = tuple(slice(max(side.start - margin, 0), side.stop + margin) for side in found[0])
    soft[room] = raised_cosine(ndimage.distance_transform_edt(~dense[room]), start_px, end_px)
    return soft


def mask_problems(mask: Volume, box: int, file: Path | str | None = None) -> list[Problem]:
    """What keeps a mask from being used on maps of the given edge; empty if nothing does."""
    if mask.shape != (box, box, box):
        shape = " x ".join(str(edge) for edge in reversed(mask.shape))
        return [
            Problem(file, "", f"the mask has {shape} voxels, the maps have {box} x {box} x {box}", "", "make a mask from a map of this box")
        ]
    if not np.isfinite(mask).all():
        return [Problem(file, "", "the mask holds values that are not numbers", "", "make the mask again")]
    low, high = float(mask.min()), float(mask.max())
    if low < -TOLERANCE or high > 1 + TOLERANCE:
        what = f"the mask has values from {low:.3g} to {high:.3g}"
        return [Problem(file, "", what, "a mask must lie between 0 and 1", "make a mask with 'tomobayes mask'; a density map is none")]
    if high <= 0:
        return [Problem(file, "", "the mask is zero everywhere", "", "lower the threshold it was made with")]
    return []


def centre_of_mass(volume: Volume) -> tuple[float, float, float]:
    """(x, y, z) in pixels from the map's centre, of the positive density."""
    positive = np.maximum(volume, 0).astype(np.float64)
    z, y, x = (positive.sum(other) for other in ((1, 2), (0, 2), (0, 1)))
    axis = np.arange(volume.shape[0]) - volume.shape[0] // 2
    total = max(float(positive.sum()), 1e-30)
    return float(axis @ x) / total, float(axis @ y) / total, float(axis @ z) / total

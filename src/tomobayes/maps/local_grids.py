"""The grids of a local resolution: a coarse one of points, and for each band one just fine enough; and ways between them.

All are centred on the map's centre, and all ways are separable: one small matrix along each axis.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomobayes.fourier.grids import good_box
from tomobayes.maps.spectra import Complex, Float, Float32

__all__ = ["band_box", "coarse_points", "crop_transform", "grid_positions", "hat_matrix", "separable"]

Volume = NDArray[np.floating[Any]]

POINT_SPACING_PX = 3.0
"""Distance of the points: below the width (σ) of the narrowest window, 3.4 pixels at Nyquist for 4 elements."""


def coarse_points(box: int) -> Float:
    """Positions of the points along one axis, in pixels from the centre."""
    reach = math.ceil(box / 2 / POINT_SPACING_PX)
    return np.asarray(POINT_SPACING_PX * np.arange(-reach, reach + 1))


def grid_positions(box: int, small: int) -> Float:
    """Positions of the voxels of a cropped transform's map along one axis, in pixels of the box from the centre."""
    return np.asarray((np.arange(small) - small // 2) * (box / small))


def separable(volume: Volume, matrix: Volume) -> Float32:
    """The same (m, n) matrix along each axis of (n, n, n) -> (m, m, m)."""
    for _ in range(3):
        volume = np.tensordot(volume, matrix, axes=(0, 1))
    return np.asarray(volume, dtype=np.float32)


def hat_matrix(at: Volume, points: Volume) -> Float32:
    """Linear interpolation from values at evenly spaced ``points`` to the places ``at``: (len(at), len(points))."""
    place = np.clip((at - points[0]) / (points[1] - points[0]), 0, len(points) - 1)
    distance = np.abs(place[:, None] - np.arange(len(points)))
    return np.asarray(np.maximum(1 - distance, 0), dtype=np.float32)


def crop_transform(spectrum: Complex, box: int) -> Complex:
    """The half transform of the same field of view on another number of voxels, cut or filled with zeros, values as they are."""
    old = spectrum.shape[0]
    if box == old:
        return spectrum
    reach = (min(box, old) - 1) // 2
    rows = np.r_[0 : reach + 1, -reach:0]
    kept = np.zeros((box, box, box // 2 + 1), dtype=spectrum.dtype)
    kept[np.ix_(rows, rows, rows[: reach + 1])] = spectrum[np.ix_(rows, rows, rows[: reach + 1])]
    return kept


def band_box(box: int, highest_shell: float) -> int:
    """Edge of a grid on which products of fields up to a shell are right where a window of some resolution elements looks."""
    return min(box, good_box(math.ceil(3 * highest_shell) + 2))

"""Local filtering: every place of a map is shown to the resolution that its half-maps have there, and no further."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomobayes.maps.filters import raised_cosine
from tomobayes.maps.local_grids import band_box, coarse_points, crop_transform, grid_positions, hat_matrix, separable
from tomobayes.maps.local_resolution import LocalFsc
from tomobayes.maps.postprocess import fsc_weights
from tomobayes.maps.spectra import Float32, inverse, radius, transform

__all__ = ["filter_locally", "local_weights"]

Volume = NDArray[np.floating[Any]]

EDGE = 0.1
"""Width of the edge beyond the local resolution, as a share of its frequency: about one band."""


def local_weights(local: LocalFsc, threshold: float = 0.143) -> Float32:
    """Factor of each band around each point, (K, m, m, m).

    sqrt(2C / (1 + C)), the expected correlation of the average of both halves with the truth (Rosenthal & Henderson 2003), falls
    to 0 within a raised cosine from the local resolution on: beyond it the local correlation is mostly chance.
    """
    last = np.maximum(local.last_shell(threshold), 1e-3)
    frequency = local.shell[:, None, None, None].astype(np.float32)
    kept = raised_cosine(frequency / last, 1, 1 + EDGE)
    return np.asarray(fsc_weights(local.correlation.astype(np.float64)) * kept, dtype=np.float32)


def filter_locally(volume: Volume, local: LocalFsc, threshold: float = 0.143) -> Float32:
    """Σ_k W_k(r)·V_k(r): the bands V_k of a map, which add up to it, weighted by what the halves agree on around each place.

    Parameters
    ----------
    volume : (n, n, n) to filter, such as the sharpened average of the halves
    """
    box, centres = local.box, local.shell
    spectrum = transform(volume)
    total = np.zeros_like(spectrum)
    for index, weight in enumerate(local_weights(local, threshold)):
        before = centres[index - 1] if index else -1.0
        after = centres[index + 1] if index + 1 < len(centres) else np.inf
        small = band_box(box, min(after, box / 2))
        band = inverse(crop_transform(spectrum, small) * _share(small, box, before, centres[index], after), small)
        spread = hat_matrix(grid_positions(box, small), coarse_points(box))
        total += crop_transform(transform(band * separable(weight, spread)), box)
    return inverse(total, box)


def _share(small: int, box: int, before: float, centre: float, after: float) -> Float32:
    """What belongs to a band, on the half transform: half cosines to its neighbours', so that all bands add up to 1 below Nyquist."""
    distance = radius(small)
    rising = 1 - raised_cosine(distance, before, centre) if before >= 0 else np.float32(1)
    falling = raised_cosine(distance, centre, after) if np.isfinite(after) else (distance <= box / 2).astype(np.float32)
    return np.asarray(rising * falling, dtype=np.float32)

"""Particles in one tilt image: where the geometry puts them, at which defocus, and whether they are looked at there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomobayes.imaging.views import one_tilt, views_of
from tomobayes.model import Dataset

__all__ = ["Seen", "seen_in", "times_seen"]

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Seen:
    """P particles of a tilt series in one of its images.

    Parameters
    ----------
    particles : (P,) rows of the dataset
    position_px : (P, 2) projected centre (x, y) in unbinned pixels from the middle of the first one; None where no image has a size
    defocus_angstrom : (P,) mean of both axes, with the particle's depth
    visible : (P,) bool, whether its circle is inside the image, or a stored stack holds this tilt
    """

    particles: NDArray[np.int64]
    position_px: Float | None
    defocus_angstrom: Float
    visible: NDArray[np.bool_]


def seen_in(dataset: Dataset, series: int, tilt: int, radius_px: float = 0.0) -> Seen:
    """What extraction, refinement and reconstruction know of the particles in one image.

    Parameters
    ----------
    series, tilt : indices of the tilt series, and of the image in its rows
    radius_px : of the circle around a particle, in unbinned pixels
    """
    rows = np.flatnonzero(dataset.particles.tilt_series == series)
    position, defocus, visible = np.full((len(rows), 2), np.nan), np.zeros(len(rows)), np.zeros(len(rows), dtype=bool)
    for places in _by_optics(dataset, rows):
        views = one_tilt(views_of(dataset, rows[places], half_width_px=radius_px), tilt)
        if views.centre_px is not None:
            position[places] = views.centre_px[:, 0].numpy()
        defocus[places] = (views.defocus_u_angstrom + views.defocus_v_angstrom)[:, 0].numpy() / 2
        visible[places] = views.visible[:, 0].numpy()
    return Seen(rows, None if dataset.tilt_series[series].image_size is None else position, defocus, visible)


def times_seen(dataset: Dataset, series: int, radius_px: float = 0.0) -> NDArray[np.int64]:
    """(F,) how many particles are visible in each image of a tilt series."""
    rows = np.flatnonzero(dataset.particles.tilt_series == series)
    counts = np.zeros(dataset.tilt_series[series].n_tilts, dtype=np.int64)
    for places in _by_optics(dataset, rows):
        counts += views_of(dataset, rows[places], half_width_px=radius_px).visible.sum(0).numpy()
    return counts


def _by_optics(dataset: Dataset, rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Places in ``rows`` of the particles of each optics group."""
    optics = dataset.particles.optics[rows]
    for group in np.unique(optics):
        yield np.flatnonzero(optics == group)

"""Motion of particles and deformation of images, drawn large enough to be seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from tomobayes.geometry.deformation import displacement
from tomobayes.model import TiltSeries
from tomobayes.report import Axis, Chart, Series, format_number

__all__ = ["deformation_chart", "track_charts"]

Float = NDArray[np.float64]

TRACKS, POINTS = 40, 15
"""How many particles' tracks are drawn, and of how many points each."""
GRID = 9
"""Lines of a deformed grid along each axis."""


def track_charts(motion_angstrom: Sequence[Float], place_angstrom: Float, dose: Float, told: str = "") -> Iterator[Chart]:
    """The way of particles of one tilt series in the order of dose, from three sides.

    Parameters
    ----------
    motion_angstrom : per particle (F, 3) displacement
    place_angstrom : (P, 3) where they are
    dose : (F,)
    told : sentence for the captions
    """
    every = slice(None, None, max(1, -(-len(place_angstrom) // TRACKS)))
    motion, place = np.stack(motion_angstrom[every])[:, np.argsort(dose, kind="stable")], place_angstrom[every]
    longest = float(np.abs(motion).max())
    if longest == 0:
        return
    times = float(np.ptp(place, axis=0).max() or 1000.0) / 12 / longest
    shown = np.unique(np.linspace(0, motion.shape[1] - 1, POINTS).round().astype(int))
    path = np.concatenate([place[:, None] + times * motion[:, shown], np.full((len(place), 1, 3), np.nan)], 1).reshape(-1, 3)
    caption = f"Tracks are {format_number(times, 2)} times as long as they are; dots: where particles begin. {told}".rstrip()
    for across, up in ((0, 1), (0, 2), (1, 2)):
        names = "xyz"[across], "xyz"[up]
        series = [
            Series("Motion", path[:, across].tolist(), path[:, up].tolist()),
            Series("Particles", place[:, across].tolist(), place[:, up].tolist(), "points"),
        ]
        yield Chart(f"Motion along {names[0]} and {names[1]}", Axis(names[0], "Å"), Axis(names[1], "Å"), series, caption=caption)


def deformation_chart(series: TiltSeries) -> Chart:
    """A grid as the deformation of a tilt series, whose images' size is known, shows it: the mean over its tilts."""
    bent = series.deformation
    assert bent is not None and series.image_size is not None
    axes = [np.linspace(0, size, GRID) for size in series.image_size]
    points = torch.from_numpy(np.stack(np.meshgrid(*axes), -1))
    coefficients = torch.tensor(np.atleast_2d(bent.coefficients).mean(0))
    moved = displacement(bent.kind, coefficients, points, series.image_size, bent.grid).numpy()
    largest = float(np.abs(moved).max())
    times = series.image_size[0] / 20 / largest if largest else 1.0
    grid = points.numpy() + times * moved
    gap = np.full((GRID, 1, 2), np.nan)
    lines = np.concatenate([np.concatenate([some, gap], 1).reshape(-1, 2) for some in (grid, np.swapaxes(grid, 0, 1))])
    which = "Mean over the tilts. " if bent.coefficients.ndim == 2 else ""
    caption = f"{which}At most {format_number(largest * series.pixel_size_angstrom, 2)} Å, drawn {format_number(times, 2)} times as large."
    return Chart(
        "Deformation", Axis("x", "px"), Axis("y", "px"), [Series("Grid", lines[:, 0].tolist(), lines[:, 1].tolist())], caption=caption
    )

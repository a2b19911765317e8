"""The figures of subtomogram averaging, built from arrays: what a biologist looks for first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tomobayes.model import Map, TiltSeries
from tomobayes.report.content import Axis, Chart, Directions, Level, Series, Slices
from tomobayes.report.pictures import to_grey

__all__ = [
    "directions_of",
    "fsc_chart",
    "histogram_chart",
    "images_of",
    "iteration_chart",
    "projections_of",
    "slices_of",
]

_FSC_LEVELS = (Level(0.143, "0.143"), Level(0.5, "0.5"))


def fsc_chart(
    curves: Mapping[str, ArrayLike], box: int, pixel_size_angstrom: float, title: str = "Fourier shell correlation", caption: str = ""
) -> Chart:
    """FSC curves against resolution, with the thresholds 0.143 and 0.5.

    Parameters
    ----------
    curves : label -> correlation of shell 0, 1, 2, ...; shell s lies at s/(box·pixel size) 1/Å
    """
    series = []
    for label, curve in curves.items():
        values = np.asarray(curve, dtype=float)
        frequency = np.arange(len(values)) / (box * pixel_size_angstrom)
        series.append(Series(label, frequency.tolist(), values.tolist()))
    lowest = min(float(np.nanmin([value for line in series for value in line.y])), 0.0)
    x = Axis("Resolution", "Å", "resolution", low=0.0, high=0.5 / pixel_size_angstrom)
    y = Axis("Correlation", low=-1.0 if lowest < -0.2 else -0.2 if lowest < -0.02 else 0.0, high=1.0)
    return Chart(title, x, y, series, _FSC_LEVELS, caption)


def slices_of(map_: Map, title: str, name: str, caption: str = "") -> Slices:
    """The three central slices of a map, on one grey scale from its 0.5 to its 99.8 percentile there."""
    centre = map_.box // 2
    return _on_one_scale(map_, (map_.data[centre], map_.data[:, centre], map_.data[:, :, centre]), title, name, caption)


def projections_of(map_: Map, title: str, name: str, caption: str = "") -> Slices:
    """The sums of a map along its three axes, on one grey scale."""
    return _on_one_scale(map_, tuple(map_.data.sum(axis) for axis in range(3)), title, name, caption)


def _on_one_scale(map_: Map, planes: Sequence[NDArray[np.float32]], title: str, name: str, caption: str) -> Slices:
    low, high = np.nanpercentile(np.stack(planes), [0.5, 99.8])
    images = {label: to_grey(plane, float(low), float(high)) for label, plane in zip(("xy", "xz", "yz"), planes, strict=True)}
    return Slices(title, name, images, map_.pixel_size_angstrom, caption)


def images_of(images: Mapping[str, NDArray[np.float32]], pixel_size_angstrom: float, title: str, name: str, caption: str = "") -> Slices:
    """Noisy images, each averaged down to at most 400 pixels a side and on a grey scale of its own, three deviations either way.

    Parameters
    ----------
    images : label -> (height, width)
    """
    factor = max(-(-max(image.shape) // 400) for image in images.values())
    grey = {}
    for label, image in images.items():
        height, width = (edge // factor for edge in image.shape)
        small = image[: height * factor, : width * factor].reshape(height, factor, width, factor).mean((1, 3))
        centre, spread = float(np.median(small)), 3 * float(small.std())
        grey[label] = to_grey(small, centre - spread, centre + spread)
    return Slices(title, name, grey, factor * pixel_size_angstrom, caption)


def directions_of(rotation: NDArray[np.float64], title: str = "Viewing directions", rows: int | None = None) -> Directions:
    """Along which directions of the reference the untilted particles are seen.

    Parameters
    ----------
    rotation : (P, 3, 3) reference -> tomogram; the beam, z of the tomogram, is Aᵀz in the reference, the third row of A
    rows : of the grid, with twice as many columns; by default as many as the number of particles fills
    """
    rows = int(np.clip(np.sqrt(len(rotation) / 4), 6, 18)) if rows is None else rows
    columns = 2 * rows
    x, y, z = np.moveaxis(np.asarray(rotation)[:, 2, :], -1, 0)
    row = np.clip(((1 - z) / 2 * rows).astype(int), 0, rows - 1)
    column = np.clip(((np.arctan2(y, x) / np.pi + 1) / 2 * columns).astype(int), 0, columns - 1)
    counts = np.zeros((rows, columns), dtype=np.int64)
    np.add.at(counts, (row, column), 1)
    return Directions(title, counts, f"{len(rotation)} particles; each cell covers the same solid angle.")


def iteration_chart(
    title: str, quantity: str, unit: str, curves: Mapping[str, Sequence[float]], first: int = 1, caption: str = ""
) -> Chart:
    """How quantities went from iteration to iteration."""
    series = [
        Series(label, [float(first + i) for i in range(len(values))], [float(value) for value in values])
        for label, values in curves.items()
    ]
    return Chart(title, Axis("Iteration", scale="integer"), Axis(quantity, unit), series, caption=caption)


def histogram_chart(title: str, values: ArrayLike, quantity: str, unit: str = "", counted: str = "Particles", caption: str = "") -> Chart:
    """How often values occur, in at most 40 bins."""
    finite = np.asarray(values, dtype=float).ravel()
    finite = finite[np.isfinite(finite)]
    counts, edges = np.histogram(finite, bins=min(40, max(5, int(np.sqrt(len(finite)) * 2))))
    centres = (edges[1:] + edges[:-1]) / 2
    x = Axis(quantity, unit, low=float(edges[0]), high=float(edges[-1]))
    return Chart(title, x, Axis(counted), [Series(counted, centres.tolist(), counts.tolist(), "bars")], caption=caption)


def tilt_angle_degrees(series: TiltSeries) -> NDArray[np.float64]:
    """(F,) YTilt of Rz·Ry·Rx: the third row of that product starts with -sin(YTilt)."""
    return np.degrees(np.arcsin(np.clip(-series.rotation[:, 2, 0], -1.0, 1.0)))

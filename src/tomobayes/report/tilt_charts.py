"""What is known of every tilt image, against its tilt angle: one set of points for each tilt series."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from tomobayes.model import TiltSeries
from tomobayes.report.content import Axis, Chart, Series
from tomobayes.report.figures import histogram_chart, tilt_angle_degrees

__all__ = ["AT_MOST", "defocus_chart", "defocus_histogram", "dose_chart", "scale_chart", "shift_charts"]

AT_MOST = 6
"""Tilt series that are drawn."""

Values = Callable[[TiltSeries], NDArray[np.float64]]


def defocus_chart(tilt_series: Sequence[TiltSeries]) -> Chart:
    """Mean defocus of each tilt image."""
    return _chart("Defocus", Axis("Underfocus", "µm"), tilt_series, _defocus_um)


def dose_chart(tilt_series: Sequence[TiltSeries]) -> Chart:
    """Dose received before each tilt image: the order of acquisition."""
    return _chart("Dose before each image", Axis("Dose", "e/Å²", low=0.0), tilt_series, lambda series: series.dose)


def shift_charts(tilt_series: Sequence[TiltSeries]) -> list[Chart]:
    """Shifts of the tilt images along x and y; none where nothing is shifted."""
    if not any(series.shift_angstrom.any() for series in tilt_series):
        return []

    def along(axis: int) -> Values:
        return lambda series: series.shift_angstrom[:, axis]

    return [_chart(f"Image shift along {name}", Axis("Shift", "Å"), tilt_series, along(axis)) for axis, name in enumerate("xy")]


def scale_chart(tilt_series: Sequence[TiltSeries]) -> list[Chart]:
    """How strong the signal is in each tilt image; none where it is 1 everywhere."""
    if all((series.scale == 1).all() for series in tilt_series):
        return []
    return [_chart("Scale", Axis("Amplitude of the signal"), tilt_series, lambda series: series.scale)]


def defocus_histogram(tilt_series: Sequence[TiltSeries]) -> Chart:
    """How often defoci occur among the tilt images of all tilt series."""
    return histogram_chart("Distribution of defocus", np.concatenate([*map(_defocus_um, tilt_series)]), "Underfocus", "µm", "Tilt images")


def _defocus_um(series: TiltSeries) -> NDArray[np.float64]:
    return (series.defocus_u_angstrom + series.defocus_v_angstrom) / 2e4


def _chart(title: str, quantity: Axis, tilt_series: Sequence[TiltSeries], values: Values) -> Chart:
    points = [_against_tilt(series, values(series)) for series in tilt_series[:AT_MOST]]
    caption = f"The first {AT_MOST} of {len(tilt_series)} tilt series." if len(tilt_series) > AT_MOST else ""
    return Chart(title, Axis("Tilt angle", "°"), quantity, points, caption=caption)


def _against_tilt(series: TiltSeries, values: NDArray[np.float64]) -> Series:
    angle = tilt_angle_degrees(series)
    order = np.argsort(angle)
    return Series(series.name, angle[order].tolist(), values[order].tolist(), "points")

"""Tracks and deformations as they are drawn."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from small_experiment import series
from tomobayes.jobs.motion_figures import TRACKS, deformation_chart, track_charts
from tomobayes.model import Deformation


def drawn_times(caption: str) -> float:
    found = re.search(r"([\d.]+) times as", caption)
    assert found is not None
    return float(found[1])


def test_tracks_run_in_the_order_of_dose_and_on_one_scale():
    dose = np.array([6.0, 0.0, 3.0])
    place = np.array([[0.0, 0.0, 0.0], [1200.0, 300.0, -50.0]])
    motion = [np.array([[2.0, 1.0, 4.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])] * 2
    charts = list(track_charts(motion, place, dose, "Told."))
    assert [chart.title for chart in charts] == ["Motion along x and y", "Motion along x and z", "Motion along y and z"]
    times = drawn_times(charts[0].caption)
    assert times == pytest.approx(1200 / 12 / 4, rel=0.01) and charts[0].caption.endswith("Told.")
    track = charts[1].series[0]
    assert track.x[:3] == pytest.approx([0, times, 2 * times]) and track.y[4:7] == pytest.approx([-50, -50 + times, -50 + 4 * times])
    assert np.isnan(track.x[3]) and charts[1].series[1].x == [0, 1200]


def test_motion_that_is_not_there_is_not_drawn_and_of_many_particles_some():
    still = [np.zeros((4, 3))] * 500
    assert list(track_charts(still, np.zeros((500, 3)), np.arange(4))) == []
    moving = [np.arange(12.0).reshape(4, 3)] * 500
    chart = next(track_charts(moving, np.random.default_rng(1).normal(size=(500, 3)), np.arange(4)))
    assert TRACKS / 2 < len(chart.series[1].x) <= TRACKS


def test_a_deformed_grid_is_where_the_deformation_puts_it():
    """An affine deformation that stretches along x by one in a thousand: of 800 pixels, at most 0.4 to either side."""
    bent = replace(series(800), image_size=(800, 600), deformation=Deformation("affine", np.array([1e-3, 0.0, 0.0])))
    chart = deformation_chart(bent)
    x, y = (np.array(values).reshape(-1, 10)[:, :9] for values in (chart.series[0].x, chart.series[0].y))
    times = drawn_times(chart.caption)
    assert times == pytest.approx(100, rel=0.01)
    flat = np.unique(np.round(x[:9], 6))
    assert flat == pytest.approx(400 + (np.linspace(0, 800, 9) - 400) * (1 + 1e-3 * 100))
    assert np.unique(np.round(y, 6)) == pytest.approx(np.linspace(0, 600, 9))

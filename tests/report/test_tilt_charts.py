"""What is known of every tilt image, against its tilt angle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from small_experiment import series
from tomobayes.report import defocus_chart, defocus_histogram, dose_chart, scale_chart, shift_charts
from tomobayes.report.tilt_charts import AT_MOST


def shuffled():
    """A tilt series whose rows are in no order, all of whose values say which tilt they belong to."""
    one = series(64)
    order = np.random.default_rng(1).permutation(one.n_tilts)
    tilt = np.linspace(-60, 60, one.n_tilts)[order]
    shift = np.stack([tilt, 2 * tilt], 1)
    return replace(
        one,
        rotation=Rotation.from_euler("y", tilt[:, None], degrees=True).as_matrix(),
        dose=np.abs(tilt),
        shift_angstrom=shift,
        scale=np.cos(np.radians(tilt)),
        defocus_u_angstrom=2e4 + 100 * tilt,
        defocus_v_angstrom=2e4 + 100 * tilt,
    )


def test_values_stand_at_their_angles():
    one = shuffled()
    along_x, along_y = shift_charts([one])
    (scale,) = scale_chart([one])
    expected = [
        (along_x, lambda tilt: tilt),
        (along_y, lambda tilt: 2 * tilt),
        (dose_chart([one]), np.abs),
        (scale, lambda tilt: np.cos(np.radians(tilt))),
        (defocus_chart([one]), lambda tilt: 2 + 0.01 * tilt),
    ]
    for chart, value in expected:
        (points,) = chart.series
        assert points.x == sorted(points.x) and points.x == pytest.approx(np.linspace(-60, 60, one.n_tilts).tolist())
        assert points.y == pytest.approx(value(np.array(points.x)).tolist())


def test_what_is_the_same_everywhere_is_not_drawn():
    plain = series(64)
    still = replace(plain, shift_angstrom=np.zeros((plain.n_tilts, 2)), scale=np.ones(plain.n_tilts))
    assert shift_charts([still]) == [] and scale_chart([still]) == []
    assert len(shift_charts([still, shuffled()])) == 2 and len(scale_chart([still, shuffled()])) == 1


def test_few_series_are_drawn_and_all_are_counted():
    many = [replace(shuffled(), name=f"TS_{at}") for at in range(AT_MOST + 3)]
    chart = defocus_chart(many)
    assert len(chart.series) == AT_MOST and f"of {AT_MOST + 3}" in chart.caption
    assert sum(defocus_histogram(many).series[0].y) == sum(one.n_tilts for one in many)

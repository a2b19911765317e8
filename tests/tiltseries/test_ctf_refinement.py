"""Optics that were planted are found within their error bars; optics that were right stay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from optics_scene import changed, first, imaged, refined, scene

from tomobayes.model import Dataset
from tomobayes.tiltseries.aberrations import Parity, basis_of
from tomobayes.tiltseries.defocus import DefocusPrior, defocus_of, with_defocus
from tomobayes.tiltseries.held_out import HeldOut, pooled
from tomobayes.tiltseries.lambert import Lambert, about_axis, fit_lambert, lambert_scale, normal_of
from tomobayes.tiltseries.magnification import stretched
from tomobayes.tiltseries.optics_groups import split_by_time

TRUTH = scene(7, 4)
SERIES = TRUTH.tilt_series[0]
TILTS = SERIES.n_tilts
SIGMA = 0.6


def with_value(value: np.ndarray) -> Dataset:
    u, v, angle = with_defocus(value)
    return changed(TRUTH, defocus_u_angstrom=u, defocus_v_angstrom=v, astigmatism_radians=angle)


@pytest.fixture(scope="module")
def right() -> Dataset:
    """Images of what is told."""
    return imaged(TRUTH, TRUTH, SIGMA)


def seen_with(dataset: Dataset, told: Dataset) -> Dataset:
    """The same images under other metadata."""
    return replace(told, tilt_series=(replace(told.tilt_series[0], images=dataset.tilt_series[0].images),))


def test_defocus_and_astigmatism_are_found_within_their_errors(right: Dataset) -> None:
    value = defocus_of(SERIES)
    wrong = value + np.random.default_rng(1).normal(0, [800, 400, 400], value.shape)
    found = refined(seen_with(right, with_value(wrong)), defocus=DefocusPrior()).series[0].defocus
    assert found is not None and found.kept.all()
    error = found.fit.value - value
    assert np.sqrt((error**2).mean()) < 0.4 * np.sqrt(((wrong - value) ** 2).mean())
    assert (np.abs(error) < 4 * found.fit.error).all()


@pytest.mark.parametrize("tilts", [slice(None), slice(3, 4)])
def test_a_start_two_thousand_angstrom_off_is_recovered(right: Dataset, tilts: slice) -> None:
    value = defocus_of(SERIES)
    value[tilts, 0] += 2000
    better = first(refined(seen_with(right, with_value(value)), defocus=DefocusPrior()))
    assert np.abs(defocus_of(better)[:, 0] - defocus_of(SERIES)[:, 0]).max() < 500


def test_right_optics_stay_within_their_errors(right: Dataset) -> None:
    both = (Parity(False, 4), Parity(True, 3))
    found = refined(right, defocus=DefocusPrior(), scale="tilt", aberrations=both, magnification=True)
    one, scale = found.series[0].defocus, found.scales[0]
    moved = (one.fit.value - one.before)[:, 0] / one.fit.error[:, 0]
    assert np.abs(moved).max() < 3
    ratio = scale.fit / np.average(scale.fit, weights=1 / scale.error**2)
    assert np.abs((ratio - 1) / scale.error).max() < 3.5
    for result in found.aberrations:
        phase, error = result.found.phase(np.array([[0.08, 0.0], [0.0, 0.08], [0.05, 0.05]]), result.parity)
        assert (np.abs(phase) < 4 * error + 0.02).all()
    assert (np.abs(found.magnifications[0].stretch) < 3.5 * found.magnifications[0].error).all()


def test_images_without_particles_change_nothing() -> None:
    empty = replace(TRUTH, particles=replace(TRUTH.particles, position_angstrom=TRUTH.particles.position_angstrom + 60))
    random = np.random.default_rng(0)
    images = replace(imaged(empty, TRUTH, SIGMA).tilt_series[0].images, values=random.normal(0, SIGMA, (TILTS, 256, 256)).astype("f4"))
    told = replace(TRUTH, tilt_series=(replace(SERIES, images=images),))
    better = first(refined(told, defocus=DefocusPrior(), scale="tilt"))
    changes = np.abs(defocus_of(better)[:, 0] - defocus_of(SERIES)[:, 0])
    assert np.sqrt((changes**2).mean()) < 250
    assert np.isfinite(better.scale).all()


def test_scales_are_found_within_their_errors(right: Dataset) -> None:
    wrong = np.exp(np.random.default_rng(2).normal(0, 0.3, TILTS))
    result = refined(seen_with(right, changed(TRUTH, scale=wrong)), scale="tilt").scales[0]
    after = result.after / np.average(result.after, weights=1 / result.error**2)
    assert result.kept.all()
    assert ((after - 1) ** 2 / result.error**2).mean() < 3
    assert np.abs(after - 1).max() < 0.15


def test_the_law_of_the_ice_is_told_in_relions_words() -> None:
    law = Lambert(1.4, 0.5, 0.1, np.zeros(3))
    true = changed(TRUTH, scale=lambert_scale(law, about_axis(SERIES.rotation)[0]))
    found = refined(imaged(true, TRUTH, SIGMA), scale="all")
    told = found.dataset.tilt_series[0].globals_
    thickness = float(told["rlnTomoRelativeIceThickness"])
    assert abs(thickness - 0.5) < 4 * found.scales[0].law.errors[1] < 1
    normal = [float(told[f"rlnTomoIceNormal{axis}"]) for axis in "XYZ"]
    assert np.linalg.norm(normal) == pytest.approx(1, abs=1e-5)
    ratio = first(found).scale / true.tilt_series[0].scale
    assert ratio.std() / ratio.mean() < 0.05


@pytest.mark.parametrize("parity", [Parity(False, 4), Parity(True, 3)])
def test_aberrations_are_found(parity: Parity) -> None:
    # Coma without its shift, and trefoil; or spherical aberration and tetrafoil: about a radian at 1/12 Å.
    planted = np.array([0, -1000.0, 1500, 0, -500, 0]) if parity.odd else np.array([0, 0, 0, 0, 20000.0, 0, 0, 0, 0])
    optics = replace(TRUTH.optics[0], **{"odd_zernike" if parity.odd else "even_zernike": tuple(planted)})
    images = imaged(replace(TRUTH, optics=(optics,)), TRUTH, SIGMA)
    result = refined(images, aberrations=(parity,)).aberrations[0]
    axis = np.linspace(-1 / 12, 1 / 12, 15)
    points = np.stack([one.ravel() for one in np.meshgrid(axis, axis)], -1)
    points = points[np.linalg.norm(points, axis=1) <= 1 / 12]
    (phase, error), wanted = result.found.phase(points, parity), planted @ basis_of(points, parity)
    off = phase - wanted
    if parity.odd:  # where the particles are takes up any shift
        off = off - points @ np.linalg.lstsq(points, off, rcond=None)[0]
    assert result.kept
    assert np.sqrt((off**2).mean()) < 0.35 * np.sqrt((wanted**2).mean())
    assert np.sqrt((off**2).mean()) < 3 * np.sqrt((error**2).mean())


def test_a_stretch_is_found_within_its_error() -> None:
    planted = ((1.015, 0.01), (0.01, 0.985))
    images = imaged(replace(TRUTH, optics=(replace(TRUTH.optics[0], magnification=planted),)), TRUTH, SIGMA)
    result = refined(images, magnification=True).magnifications[0]
    assert result.kept
    assert (np.abs(result.stretch - [0.015, 0.01]) < 3.5 * result.error).all()
    assert result.error.max() < 0.005


def test_a_stretch_is_symmetric_and_keeps_the_area() -> None:
    matrix = stretched(torch.eye(2, dtype=torch.float64), (0.01, -0.02)).numpy()
    np.testing.assert_allclose(matrix, [[1.01, -0.02], [-0.02, 0.99]])


def test_lamberts_law_is_found_whatever_the_brightness_of_the_series() -> None:
    tilts = [np.radians(np.arange(-60, 61, 3.0)), np.radians(np.arange(-50, 51, 5.0))]
    laws = [Lambert(1.7, 0.35, 0.1, np.zeros(3)), Lambert(1.7, 0.8, -0.05, np.zeros(3))]
    random = np.random.default_rng(0)
    exact = [lambert_scale(law, tilt) for law, tilt in zip(laws, tilts, strict=True)]
    scale = [one + random.normal(0, 0.01, one.shape) for one in exact]
    found = fit_lambert(scale, [np.full(len(one), 1e4) for one in exact], tilts)
    for one, law in zip(found, laws, strict=True):
        off = np.array(
            [np.log(one.luminance / law.luminance), one.thickness - law.thickness, one.inclination_radians - law.inclination_radians]
        )
        assert (np.abs(off) < 4 * one.errors).all()
        assert one.errors.max() < 0.1


def test_the_beam_turns_about_the_tilt_axis_by_the_tilt_angle() -> None:
    angle, directions = about_axis(SERIES.rotation)
    steps = np.degrees(np.diff(angle))
    np.testing.assert_allclose(np.abs(steps), 100 / (TILTS - 1), atol=1e-6)
    beam = SERIES.rotation[:, 2]
    np.testing.assert_allclose(beam @ normal_of(0.2, directions), np.cos(angle - 0.2), atol=1e-9)


def test_gains_are_judged_together() -> None:
    lucky = HeldOut(np.array([0.6, -0.4, -0.3, 0.5, -0.9]), np.full(5, 1.0))
    assert (pooled(lucky) <= 0).all()
    assert (pooled(replace(lucky, gain=lucky.gain + 0.5)) > 0).all()
    one_good = HeldOut(np.array([-2.0, -1.5, 60.0, -1.8, -2.2]), np.array([2.0, 2, 8, 2, 2]))
    assert (pooled(one_good) > 0).tolist() == [False, False, True, False, False]
    assert (pooled(HeldOut(np.zeros(3), np.zeros(3))) == 0).all()


def test_optics_groups_are_split_in_the_order_of_the_series() -> None:
    table = TRUTH.particles
    series = tuple(replace(SERIES, name=f"TS_{number}") for number in range(5))
    particles = replace(table, tilt_series=np.arange(len(table)) % 5)
    split = split_by_time(replace(TRUTH, tilt_series=series, particles=particles), 2)
    assert [one.name for one in split.optics] == ["a_1", "a_2"]
    assert [one.optics_name for one in split.tilt_series] == ["a_1"] * 3 + ["a_2"] * 2
    np.testing.assert_array_equal(split.particles.optics, (particles.tilt_series >= 3).astype(int))


def test_optics_groups_of_other_voltages_tell_of_the_same_defocus():
    """The first group has one particle and 300 kV, the other the rest and 120."""
    table = replace(TRUTH.particles, optics=(np.arange(len(TRUTH.particles)) > 0).astype(np.int64))
    slow = replace(TRUTH.optics[0], voltage_kv=120.0)
    truth = replace(TRUTH, particles=table, optics=(TRUTH.optics[0], slow))
    told = changed(truth, defocus_u_angstrom=SERIES.defocus_u_angstrom - 800, defocus_v_angstrom=SERIES.defocus_v_angstrom - 800)
    found = first(refined(imaged(truth, told, 0.3), defocus=DefocusPrior(known=(True, True))))
    assert np.abs(defocus_of(found)[:, 0] - defocus_of(SERIES)[:, 0]).mean() < 120

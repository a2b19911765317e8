"""What is drawn at random has the distribution it is said to have, and what is taken from an experiment is the experiment's."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.spatial.transform import Rotation

from tomobayes.imaging.views import views_of
from tomobayes.simulation.acquisition import Acquisition, ice_attenuation, tilt_order
from tomobayes.simulation.errors import Errors, tilt_degrees, with_errors
from tomobayes.simulation.motion import beam_induced_motion
from tomobayes.simulation.noise import NoiseSpectrum, noise_image, solvent, white
from tomobayes.simulation.scene import assign_classes, place, scene, scene_like

ACQUISITION = Acquisition(pixel_size_angstrom=8.0, image_size=(256, 240), thickness_angstrom=700.0)


def _random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def ice():
    return scene(ACQUISITION, n_series=2, n_particles=30, min_distance_angstrom=200.0, random=_random())


def test_tilts_hold_zero_and_the_ends_of_the_range():
    tilts = replace(ACQUISITION, tilt_range_degrees=(-61, 58), tilt_step_degrees=3).tilts_degrees
    assert tilts[0] == -60 and tilts[-1] == 57 and 0 in tilts


@pytest.mark.parametrize(
    ("scheme", "in_time"),
    [
        ("dose-symmetric", [0, 3, -3, -6, 6, 9, -9]),
        ("continuous", [-9, -6, -3, 0, 3, 6, 9]),
        ("bidirectional", [0, 3, 6, 9, -3, -6, -9]),
    ],
)
def test_schemes(scheme, in_time):
    tilts = np.arange(-9.0, 10, 3)
    assert tilts[np.argsort(tilt_order(tilts, scheme))].tolist() == in_time


def test_ice_dims_the_signal_at_high_tilt():
    scale = ice_attenuation(np.array([-60.0, 0.0, 60.0]), 800.0)
    assert scale[1] == 1 and scale[0] == scale[2] == pytest.approx(np.exp(-0.5 * 800 / 3000))


def test_particles_keep_their_distance_inside_the_ice(ice):
    for series in range(2):
        position = ice.particles.position_angstrom[ice.particles.tilt_series == series]
        assert len(position) == 30
        assert pdist(position).min() >= 200
        assert np.abs(position[:, 2]).max() <= 350
        visible = views_of(ice, np.flatnonzero(ice.particles.tilt_series == series)).visible
        assert visible.float().mean() > 0.95


def test_too_many_particles_are_refused():
    with pytest.raises(ValueError, match="ask for fewer"):
        place(100, np.array([500.0, 500.0, 100.0]), 200.0, _random())


def test_series_differ_and_seeds_repeat(ice):
    again = scene(ACQUISITION, 2, 30, 200.0, _random())
    assert np.array_equal(again.particles.rotation, ice.particles.rotation)
    assert not np.array_equal(ice.tilt_series[0].shift_angstrom, ice.tilt_series[1].shift_angstrom)


def test_classes_have_their_populations(ice):
    number = assign_classes(ice, [2, 1], _random()).particles.class_number
    assert np.bincount(number).tolist() == [0, 40, 20]
    assert len(np.unique(number[:30])) == 2


def test_scene_like_keeps_the_geometry_in_angstrom(ice):
    finer = scene_like(ice, pixel_size_angstrom=4.0)
    assert finer.tilt_series[0].image_size == (512, 480)
    rows = np.arange(5)
    old, new = (views_of(one, rows) for one in (ice, finer))
    centre = [(np.array(one.tilt_series[0].image_size) // 2) for one in (ice, finer)]
    np.testing.assert_allclose((new.centre_px.numpy() - centre[1]) * 4, (old.centre_px.numpy() - centre[0]) * 8, atol=1e-6)
    np.testing.assert_allclose(new.defocus_u_angstrom.numpy(), old.defocus_u_angstrom.numpy())


def test_errors_have_the_asked_standard_deviations(ice):
    errors = Errors(shift_angstrom=4, tilt_degrees=0.2, defocus_angstrom=300, pose_degrees=6, position_angstrom=5)
    wrong = with_errors(ice, errors, _random(1))
    before, after = ice.tilt_series[0], wrong.tilt_series[0]
    spread = {
        4: after.shift_angstrom - before.shift_angstrom,
        0.2: tilt_degrees(after.rotation) - tilt_degrees(before.rotation),
        300: after.defocus_u_angstrom - before.defocus_u_angstrom,
        5: wrong.particles.position_angstrom - ice.particles.position_angstrom,
        6: np.rad2deg(Rotation.from_matrix(np.swapaxes(ice.particles.rotation, 1, 2) @ wrong.particles.rotation).as_rotvec()),
    }
    for expected, values in spread.items():
        assert values.std() == pytest.approx(expected, rel=5 / np.sqrt(2 * values.size))


def test_a_tilt_error_changes_the_tilt_angle_alone(ice):
    wrong = with_errors(ice, Errors(tilt_degrees=1.0), _random(1))
    before, after = (Rotation.from_matrix(one.tilt_series[0].rotation).as_euler("ZYX", degrees=True) for one in (ice, wrong))
    np.testing.assert_allclose(after[:, [0, 2]], before[:, [0, 2]], atol=1e-6)
    np.testing.assert_allclose(after[:, 1], tilt_degrees(wrong.tilt_series[0].rotation), atol=1e-6)
    assert np.abs(after[:, 1] - before[:, 1]).max() > 0.5


def test_nothing_true_leaks_into_what_is_written(ice):
    moved = replace(assign_classes(ice, [1, 1], _random()), motion_angstrom=tuple(np.ones((41, 3)) for _ in range(60)))
    written = with_errors(moved, Errors(angles_known=False), _random())
    assert written.motion_angstrom is None
    assert (written.particles.class_number == 1).all()
    assert (written.particles.rotation == np.eye(3)).all()


def test_motion_starts_at_rest_grows_with_dose_and_is_smooth_in_space():
    position = np.array([[0.0, 0, 0], [100.0, 0, 0], [5000.0, 0, 0]])
    dose = np.array([6.0, 0.0, 3.0, 9.0])
    tracks = np.stack([beam_induced_motion(position, dose, 2.0, _random(seed), 500.0) for seed in range(400)])
    assert (tracks[:, :, 1] == 0).all()
    np.testing.assert_allclose(tracks[:, :, [2, 0, 3]].std((0, 1, 3)), 2 * np.sqrt([1, 2, 3]), rtol=0.1)
    near, far = (np.corrcoef(tracks[:, 0, 2].ravel(), tracks[:, other, 2].ravel())[0, 1] for other in (1, 2))
    assert near == pytest.approx(np.exp(-0.02), abs=0.02)
    assert abs(far) < 0.1


@pytest.mark.parametrize("size", [(256, 192), (255, 191)])
@pytest.mark.parametrize("spectrum", [white(), solvent(), NoiseSpectrum((0.0, 0.05), (0.2, 1.0))])
def test_noise_has_unit_variance_and_the_given_spectrum(size, spectrum):
    random = _random()
    images = np.stack([noise_image(spectrum, size, 5.0, random) for _ in range(12)])
    assert images.shape[1:] == size[::-1]
    assert images.var() == pytest.approx(1, rel=0.03)
    power = np.square(np.abs(np.fft.fft2(images))).mean(0)
    k = np.hypot(np.fft.fftfreq(size[1], 5.0)[:, None], np.fft.fftfreq(size[0], 5.0))
    shape = np.interp(k, spectrum.frequency, spectrum.amplitude) ** 2
    edges = [0.001, 0.01, 0.02, 0.04, 0.14]
    ratio = [power[band].sum() / shape[band].sum() for band in ((k > a) & (k <= b) for a, b in itertools.pairwise(edges))]
    np.testing.assert_allclose(ratio, ratio[-1], rtol=0.1)

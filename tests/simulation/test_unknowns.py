"""What is planted is in the images as told, and what is written lacks it or gets it wrong by as much as told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tomobayes.geometry.deformation import deformed
from tomobayes.imaging.views import views_of
from tomobayes.optics import even_phase, odd_phase
from tomobayes.simulation.acquisition import Acquisition
from tomobayes.simulation.density import density_map
from tomobayes.simulation.errors import Errors, with_errors
from tomobayes.simulation.images import clean_images
from tomobayes.simulation.motion import beam_induced_motion
from tomobayes.simulation.scattering import beads
from tomobayes.simulation.scene import scene, scene_like
from tomobayes.simulation.simulation import Motion, simulate
from tomobayes.simulation.unknowns import Unknowns, with_unknowns

PIXEL = 8.0
NYQUIST = 0.5 / PIXEL
ACQUISITION = Acquisition(PIXEL, (160, 144), 400.0, (-40, 40), 20.0, defocus_range_angstrom=(20000, 20000), shift_angstrom=20.0)
LONG = replace(ACQUISITION, tilt_range_degrees=(-60, 60), tilt_step_degrees=1.0)


def _random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def density():
    places = np.array([[30.0, 10.0, -20.0], [-40.0, 25.0, 10.0], [0.0, -45.0, 30.0], [10.0, 20.0, 40.0]])
    return density_map(beads(places, np.array([3.0, 2.0, 4.0, 1.0]), np.full(4, 9.0)), 32, PIXEL, b_factor_angstrom2=0.0)


@pytest.fixture(scope="module")
def ice():
    return scene(ACQUISITION, n_series=2, n_particles=4, min_distance_angstrom=150.0, random=_random(2))


@pytest.mark.parametrize(("kernel", "expected"), [("square-exponential", np.exp(-0.5)), ("exponential", np.exp(-1))])
def test_motion_correlates_as_its_kernel(kernel, expected):
    position = np.array([[0.0, 0, 0], [300.0, 0, 0]])
    tracks = np.stack([beam_induced_motion(position, np.arange(3.0), 2.0, _random(seed), 300.0, kernel) for seed in range(600)])
    assert np.corrcoef(tracks[:, 0, 1].ravel(), tracks[:, 1, 1].ravel())[0, 1] == pytest.approx(expected, abs=0.05)


def test_astigmatism_and_scale_are_written_wrong_by_as_much_as_told():
    plain = scene(LONG, 2, 4, 150.0, _random())
    wrong = with_errors(plain, Errors(astigmatism_angstrom=300, scale=0.05), _random(1))
    vectors = []
    for before, after in zip(plain.tilt_series, wrong.tilt_series, strict=True):
        np.testing.assert_allclose(
            after.defocus_u_angstrom + after.defocus_v_angstrom, before.defocus_u_angstrom + before.defocus_v_angstrom
        )
        vectors += [(one.defocus_u_angstrom - one.defocus_v_angstrom) * np.exp(2j * one.astigmatism_radians) for one in (before, after)]
        assert np.log(after.scale / before.scale).std() == pytest.approx(0.05, rel=0.2)
    error = np.concatenate([vectors[1] - vectors[0], vectors[3] - vectors[2]])
    assert error.real.std() == pytest.approx(300, rel=0.15) and error.imag.std() == pytest.approx(300, rel=0.15)


def test_errors_of_one_kind_do_not_change_those_of_another(ice):
    usual = Errors(shift_angstrom=4, defocus_angstrom=300, pose_degrees=3)
    more = replace(usual, astigmatism_angstrom=100, scale=0.1)
    first, second = (with_errors(ice, errors, _random(1)) for errors in (usual, more))
    np.testing.assert_array_equal(first.tilt_series[1].shift_angstrom, second.tilt_series[1].shift_angstrom)
    np.testing.assert_array_equal(first.particles.rotation, second.particles.rotation)


def test_scale_is_lamberts():
    """Eq 21, with luminance, optical thickness and normal as RELION names them; the written project does not tell them."""
    settings = replace(LONG, luminance=0.7, ice_tilt_degrees=6.0, thickness_spread_angstrom=150.0)
    plain = scene(settings, 3, 4, 150.0, _random())
    thickness = set()
    for series in plain.tilt_series:
        luminance, optical, *normal = (float(value) for value in series.globals_.values())
        seen = np.abs(series.rotation[:, 2] @ normal)
        np.testing.assert_allclose(series.scale, luminance * np.exp(-optical / seen), rtol=2e-3)
        assert luminance == pytest.approx(0.7) and normal[1] == 0 and np.linalg.norm(normal) == pytest.approx(1)
        assert abs(np.argmax(series.scale) - series.n_tilts // 2) < 20
        thickness.add(optical)
    assert len(thickness) == 3
    assert all(not one.globals_ for one in with_errors(plain, Errors(), _random()).tilt_series)


def _ring(share: float) -> torch.Tensor:
    angle = torch.linspace(0, 2 * np.pi, 361, dtype=torch.float64)[:-1]
    return share * NYQUIST * torch.stack([angle.cos(), angle.sin()], -1)


@pytest.mark.parametrize(("name", "fold", "power"), [("trefoil_degrees", 3, 3), ("coma_degrees", 1, 3), ("tetrafoil_degrees", 4, 4)])
def test_aberrations_have_their_symmetry_and_strength(ice, name, fold, power):
    optics = with_unknowns(ice, Unknowns(**{name: 50.0}), _random()).optics[0]
    for share in (1.0, 0.5):
        phase = (odd_phase(optics.odd_zernike, _ring(share)) + even_phase(optics.even_zernike, _ring(share))).numpy()
        assert np.rad2deg(phase.max()) == pytest.approx(50 * share**power, rel=1e-3)
        assert np.abs(np.fft.rfft(phase))[1:10].argmax() + 1 == fold
        assert np.abs(np.fft.rfft(phase))[fold] / 180 == pytest.approx(phase.max(), rel=1e-3)


def test_aberrant_images_are_the_plain_ones_with_their_phases_turned(ice, density):
    truth = with_unknowns(ice, Unknowns(trefoil_degrees=60, coma_degrees=40), _random())
    plain, aberrant = (np.fft.rfft2(next(clean_images(one, 0, [density]))) for one in (ice, truth))
    ky, kx = np.meshgrid(np.fft.fftfreq(144, PIXEL), np.fft.rfftfreq(160, PIXEL), indexing="ij")
    phase = odd_phase(truth.optics[0].odd_zernike, torch.from_numpy(np.stack([kx, ky], -1))).numpy()
    band = (np.hypot(kx, ky) < 0.9 * NYQUIST) & (kx > 0)
    left = np.linalg.norm((aberrant - plain * np.exp(1j * phase))[band]) / np.linalg.norm(aberrant[band])
    assert left < 0.03
    assert np.linalg.norm((aberrant - plain)[band]) / np.linalg.norm(aberrant[band]) > 0.05


def test_magnification_is_as_anisotropic_as_told(ice):
    matrix = np.array(with_unknowns(ice, Unknowns(aniso_magnification=0.005), _random()).optics[0].magnification)
    largest, least = np.linalg.svd(matrix, compute_uv=False)
    assert largest - least == pytest.approx(0.005) and largest + least == pytest.approx(2)
    np.testing.assert_allclose(matrix, matrix.T)


@pytest.mark.parametrize(("kind", "grid"), [("affine", (3, 3)), ("spline", (4, 3)), ("fourier", (4, 4))])
@pytest.mark.parametrize("per_tilt", [False, True])
def test_deformations_displace_by_as_much_as_told(ice, kind, grid, per_tilt):
    unknowns = Unknowns(deformation=kind, deformation_angstrom=7.0, deformation_grid=grid, deformation_per_tilt=per_tilt)
    truth = with_unknowns(ice, unknowns, _random())
    points = torch.from_numpy(_random(1).uniform(0, 1, (20000, 1, 2)) * [160, 144]).expand(-1, 5, -1)
    first, second = (one.deformation for one in truth.tilt_series)
    assert first is not None and second is not None
    assert first.coefficients.ndim == (2 if per_tilt else 1)
    assert not np.allclose(first.coefficients, second.coefficients)
    moved = PIXEL * (deformed(points, first, (160, 144)) - points).numpy()
    rms = np.sqrt(np.square(moved - moved.mean(0)).sum(-1).mean(0))
    np.testing.assert_allclose(rms, 7.0, rtol=0.04)
    if kind != "fourier":
        assert np.abs(moved.mean(0)).max() < 0.5


PLANTED = {
    "trefoil": {"unknowns": Unknowns(trefoil_degrees=90)},
    "coma": {"unknowns": Unknowns(coma_degrees=90)},
    "tetrafoil": {"unknowns": Unknowns(tetrafoil_degrees=90)},
    "magnification": {"unknowns": Unknowns(aniso_magnification=0.05)},
    "affine": {"unknowns": Unknowns(deformation="affine", deformation_angstrom=8)},
    "spline": {"unknowns": Unknowns(deformation="spline", deformation_angstrom=8)},
    "fourier": {"unknowns": Unknowns(deformation="fourier", deformation_angstrom=8)},
    "motion": {"motion": Motion(4.0, "exponential", 200.0)},
    "astigmatism": {"errors": Errors(astigmatism_angstrom=6000)},
    "scale": {"errors": Errors(scale=0.2)},
    "no scale": {"errors": Errors(scale_known=False)},
}


@pytest.mark.parametrize("name", PLANTED)
def test_the_truth_explains_the_images_and_what_is_written_does_not(ice, density, name):
    """Of the noise-free image of a late tilt, the written parameters leave something over; errors are not in the images, unknowns are."""
    simulation = simulate(ice, [density], seed=3, snr=1.0, **PLANTED[name])
    tilt = 0
    true, told = (list(clean_images(one, 0, simulation.maps))[tilt] for one in (simulation.truth, simulation.written))
    left = np.linalg.norm(true - told) / np.linalg.norm(true)
    assert left > 0.015, f"{name}: {left:.3f}"
    bare = simulate(ice, [density], seed=3, snr=1.0)
    plain = list(clean_images(bare.truth, 0, simulation.maps))[tilt]
    in_the_images = np.linalg.norm(true - plain) / np.linalg.norm(true)
    assert in_the_images == pytest.approx(0 if "errors" in PLANTED[name] else left, abs=0.001)


@pytest.mark.parametrize("kind", ["affine", "spline", "fourier"])
def test_an_imitated_experiment_is_deformed_by_as_many_angstrom(ice, kind):
    truth = with_unknowns(ice, Unknowns(deformation=kind, deformation_angstrom=20), _random())
    rows = np.arange(4)
    moved = []
    for pixel in (PIXEL, PIXEL / 2):
        bent, straight = (views_of(scene_like(one, pixel), rows).centre_px for one in (truth, ice))
        moved.append(pixel * (bent - straight))
    torch.testing.assert_close(moved[0], moved[1])


def test_motion_and_deformation_of_the_truth_move_the_particles(ice):
    """views_of, through which every job sees the truth, has them where the images do."""
    unknowns = Unknowns(deformation="spline", deformation_angstrom=20)
    truth = with_unknowns(ice, unknowns, _random())
    rows = np.arange(4)
    plain, moved = (views_of(one, rows).centre_px for one in (ice, truth))
    expected = deformed(plain, truth.tilt_series[0].deformation, (160, 144))
    torch.testing.assert_close(moved, expected)
    assert float((moved - plain).norm(dim=-1).max()) > 1

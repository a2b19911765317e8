"""Post-processing recovers a known B factor and RELION's numbers, and claims nothing on noise."""

import math

import mrcfile
import numpy as np
import pytest
import starfile

from tomobayes.maps.filters import apply_b_factor, low_pass
from tomobayes.maps.fsc import fsc
from tomobayes.maps.masks import sphere_mask
from tomobayes.maps.postprocess import Mtf, Sharpening, fit_guinier, fsc_weights, postprocess
from tomobayes.maps.spectra import radius, transform

BOX, PIXEL, B_TRUE = 64, 1.5, 120.0


@pytest.fixture(scope="module")
def blurred():
    """A white map inside a sphere blurred by a known B, twice with noise."""
    random = np.random.default_rng(0)
    truth = random.standard_normal((BOX,) * 3).astype(np.float32) * sphere_mask(BOX, 40, 4)
    signal = apply_b_factor(truth, PIXEL, B_TRUE)
    return truth, *((signal + 0.02 * random.standard_normal((BOX,) * 3)).astype(np.float32) for _ in range(2))


def test_recovers_the_b_factor_within_its_error(blurred):
    result = postprocess(*blurred[1:], PIXEL)
    assert result.b_factor_angstrom2 == pytest.approx(-B_TRUE, abs=5)
    assert abs(result.b_factor_angstrom2 + B_TRUE) < 4 * result.guinier_fit.b_factor_standard_error
    assert 0 < result.guinier_fit.b_factor_standard_error < 10
    assert result.guinier_fit.correlation < -0.95


def test_sharpened_map_is_flat_and_like_the_truth(blurred):
    truth, half1, half2 = blurred
    result = postprocess(half1, half2, PIXEL, sphere_mask(BOX, 46, 5))
    assert result.b_factor_angstrom2 == pytest.approx(-B_TRUE, abs=10)
    shells = slice(10, int(BOX * PIXEL / result.resolution_angstrom) - 1)
    assert np.ptp(result.guinier.sharpened[shells]) < 0.5
    assert fsc(result.map, truth)[shells].mean() > 0.7
    assert np.allclose(result.masked_map, result.map * sphere_mask(BOX, 46, 5))


def test_given_b_factor_is_applied_as_given(blurred):
    _, half1, half2 = blurred
    result = postprocess(half1, half2, PIXEL, sharpening=Sharpening(b_factor_angstrom2=-50, fsc_weighting=False))
    assert result.guinier_fit is None
    assert result.masked_map is None
    assert result.b_factor_angstrom2 == -50
    assert np.allclose(result.map, apply_b_factor(0.5 * (half1 + half2), PIXEL, -50), atol=1e-4)


def test_no_fit_where_nothing_lies_in_its_range(blurred):
    _, half1, half2 = blurred
    result = postprocess(half1, half2, 20.0)
    assert result.guinier_fit is None
    assert result.b_factor_angstrom2 == 0


def test_noise_beyond_the_resolution_has_no_b_factor():
    """Signal to 12 Å only, and noise at all the frequencies where a fit from 10 Å on would look."""
    random = np.random.default_rng(1)
    signal = low_pass(random.standard_normal((BOX,) * 3).astype(np.float32), 2.0, 12.0)
    halves = [signal + 0.05 * signal.std() * random.standard_normal(signal.shape).astype(np.float32) for _ in range(2)]
    result = postprocess(*halves, 2.0, sharpening=Sharpening(fsc_weighting=False))
    assert 10 < result.resolution_angstrom < 14
    assert result.guinier_fit is None and result.b_factor_angstrom2 == 0
    assert postprocess(*halves, 2.0, sharpening=Sharpening(fit_low_angstrom=40, fit_high_angstrom=15)).guinier_fit is not None


def test_mtf_is_divided_out(blurred):
    _, half1, half2 = blurred
    mtf = Mtf(np.array([0, 0.25, 0.5]), np.array([1, 0.8, 0.4]), pixel_size_angstrom=PIXEL / 2)
    options = {"b_factor_angstrom2": 0.0, "fsc_weighting": False}
    plain = postprocess(half1, half2, PIXEL, sharpening=Sharpening(**options))
    restored = postprocess(half1, half2, PIXEL, sharpening=Sharpening(**options, mtf=mtf))
    gain = np.abs(transform(restored.map)) / np.abs(transform(plain.map))
    assert np.allclose(gain, 1 / np.interp(radius(BOX) / BOX / 2, mtf.frequency_per_pixel, mtf.value), rtol=1e-2)
    assert np.allclose(
        restored.guinier.mtf_corrected - plain.guinier.original,
        -np.log(np.interp(np.arange(33) / 128, *(mtf.frequency_per_pixel, mtf.value))),
        atol=0.02,
    )


@pytest.mark.parametrize(("lowpass", "cutoff"), [(8.0, 8.0), (-1, None)])
def test_final_low_pass(blurred, lowpass, cutoff):
    _, half1, half2 = blurred
    result = postprocess(half1, half2, PIXEL, sharpening=Sharpening(b_factor_angstrom2=0.0, fsc_weighting=False, lowpass_angstrom=lowpass))
    power, beyond = np.abs(transform(result.map)), radius(BOX) > BOX * PIXEL / (cutoff or result.resolution_angstrom) + 1
    assert power[beyond].max() < 1e-4 * power.max()
    assert power[~beyond].max() == power.max()


def test_noise_gives_no_resolution_and_next_to_no_map():
    a, b = np.random.default_rng(3).standard_normal((2, 48, 48, 48)).astype(np.float32)
    result = postprocess(a, b, 1.0, sphere_mask(48, 30, 4))
    assert result.resolution_angstrom > 48 / 5
    assert result.map.std() < 0.1 * a.std()
    assert postprocess(a, -a, 1.0).resolution_angstrom == math.inf


def test_weights_end_where_the_fsc_first_vanishes():
    assert np.allclose(fsc_weights(np.array([1, 0.5, 0.0, 0.9])), [1, math.sqrt(2 / 3), 0, 0])


def test_guinier_fit_is_a_straight_line_with_its_error():
    x = np.linspace(0.02, 0.1, 30)
    noise = 0.1 * np.random.default_rng(0).standard_normal((400, 30))
    fits = [fit_guinier(x, 3 - 25 * x + e, 10, 0) for e in noise]
    assert np.mean([fit.slope for fit in fits]) == pytest.approx(-25, abs=0.1)
    assert np.mean([fit.intercept for fit in fits]) == pytest.approx(3, abs=0.01)
    assert np.std([fit.b_factor_angstrom2 for fit in fits]) == pytest.approx(
        np.mean([fit.b_factor_standard_error for fit in fits]), rel=0.15
    )
    assert fit_guinier(x, np.full(30, -np.inf), 10, 0) is None


def test_relions_numbers(shared):
    folder = shared / "data" / "simulated" / "ribosome_errors"
    half1, half2, mask, theirs = (
        mrcfile.read(folder / name) for name in ("relion/half1.mrc", "relion/half2.mrc", "mask.mrc", "relion/pp/run.mrc")
    )
    tables = starfile.read(folder / "relion" / "pp" / "run.star")
    result = postprocess(half1, half2, 4.0, mask)
    assert result.resolution_angstrom == pytest.approx(tables["general"]["rlnFinalResolution"], abs=1e-4)
    assert result.b_factor_angstrom2 == tables["general"]["rlnBfactorUsedForSharpening"] == 0
    assert result.box_over_particle == pytest.approx(tables["general"]["rlnParticleBoxFractionSolventMask"], abs=1e-5)
    assert np.abs(result.particle_fsc - tables["fsc"]["rlnFourierShellCorrelationParticleMaskFraction"]).max() < 0.01
    assert np.abs(result.guinier.original - tables["guinier"]["rlnLogAmplitudesOriginal"])[1:].max() < 0.03
    assert np.allclose(result.guinier.inverse_resolution_squared, tables["guinier"]["rlnResolutionSquared"], atol=1e-6)
    assert np.corrcoef(result.map.ravel(), theirs.ravel())[0, 1] > 0.995

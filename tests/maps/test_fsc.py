"""FSC: agreement with an independent program and with RELION, honesty under masks, calibrated error bars."""

import importlib.util
import math

import mrcfile
import numpy as np
import pytest
import starfile

from tomobayes.maps.fsc import fsc, fsc_standard_error, independent_fraction, last_shell_above, masked_fsc, randomise_phases, resolution_at
from tomobayes.maps.masks import sphere_mask
from tomobayes.maps.spectra import shell_index, transform


@pytest.fixture
def check(shared):
    spec = importlib.util.spec_from_file_location("independent_fsc", shared / "checks" / "fsc.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def relion(shared):
    folder = shared / "data" / "simulated" / "ribosome_errors"
    maps = [mrcfile.read(folder / name) for name in ("relion/half1.mrc", "relion/half2.mrc", "mask.mrc")]
    return *maps, starfile.read(folder / "relion" / "pp" / "run.star")["fsc"]


@pytest.mark.parametrize("box", [24, 25])
def test_agrees_with_an_independent_program(check, halves, box):
    a, b = halves(box, 1.0, 0.7, cutoff=8)
    ours, theirs = fsc(a, b), check.fsc(a, b)
    assert len(ours) == box // 2 + 1
    assert np.abs(ours[: box // 2] - theirs).max() < 1e-5
    for threshold in (0.5, 0.143, -1):
        assert resolution_at(ours[: box // 2], box, 1.7, threshold) == pytest.approx(
            check.crossing(theirs, 1.7, threshold) * box / (2 * (box // 2))
        )


def test_of_a_map_with_itself_its_negative_and_nothing(make_map):
    volume = make_map(24) + 0.1 * np.random.default_rng(0).standard_normal((24, 24, 24)).astype(np.float32)
    assert np.allclose(fsc(volume, volume), 1)
    assert np.allclose(fsc(volume, -volume)[1:], -1)
    assert np.array_equal(fsc(volume, 0 * volume), [1] + [0] * 12)


def _counting_half_space_once(a, b):
    """RELION sums over its half transform as it lies in memory, so that the plane x = 0 counts twice."""
    fa, fb, shell = np.fft.rfftn(a), np.fft.rfftn(b), shell_index(a.shape[0]).ravel()
    cross, power_a, power_b = (np.bincount(shell, v.ravel()) for v in ((fa * fb.conj()).real, np.abs(fa) ** 2, np.abs(fb) ** 2))
    return (cross / np.sqrt(power_a * power_b))[: a.shape[0] // 2 + 1]


def test_curves_of_relion_postprocess(relion):
    half1, half2, mask, table = relion
    curves = masked_fsc(half1, half2, 4.0, mask)
    theirs = {name: table[f"rlnFourierShellCorrelation{name}"].to_numpy() for name in ("UnmaskedMaps", "MaskedMaps", "Corrected")}
    assert np.abs(_counting_half_space_once(half1, half2) - theirs["UnmaskedMaps"])[1:].max() < 1e-4
    assert np.abs(_counting_half_space_once(half1 * mask, half2 * mask) - theirs["MaskedMaps"])[1:].max() < 1e-4
    assert np.abs(curves.unmasked - theirs["UnmaskedMaps"]).max() < 0.01
    assert np.abs(curves.masked - theirs["MaskedMaps"]).max() < 0.01
    # Both draw their own random phases, so that they may differ by √2 of the error bar in the mean.
    deviation = (curves.corrected - theirs["Corrected"])[1:] / curves.standard_error[1:]
    assert np.sqrt((deviation**2).mean()) < 1.5
    assert np.abs(deviation).max() < 4
    assert curves.randomised_from_shell == 12
    assert curves.resolution_angstrom() == pytest.approx(21.333333)


def test_last_shell_and_resolution():
    curve = np.array([1, 0.9, 0.5, 0.1, 0.4, 0.0])
    assert last_shell_above(curve) == 2
    assert resolution_at(curve, 10, 2.0) == pytest.approx(20 / 3)
    assert last_shell_above(np.ones(6)) == 5
    assert last_shell_above(np.array([1, 0.1, 0.9])) == 0


def test_random_phases_keep_amplitudes_and_low_shells(make_map):
    volume = make_map(32, width=1.0)
    randomised = randomise_phases(volume, 6, seed=1)
    before, after, far = transform(volume), transform(randomised), shell_index(32) >= 6
    assert np.abs(np.abs(before) - np.abs(after)).max() < 1e-5 * np.abs(before).max()
    assert np.abs((before - after)[~far]).max() < 1e-5 * np.abs(before).max()
    assert np.abs((before - after)[shell_index(32) == 6]).max() > 1e-3 * np.abs(before[shell_index(32) == 6]).max()
    assert np.abs(fsc(volume, randomised)[10:]).max() < 0.2
    assert np.array_equal(randomised, randomise_phases(volume, 6, seed=1))
    assert np.abs(fsc(randomised, randomise_phases(volume, 6, seed=2))[10:]).max() < 0.2


def test_correction_takes_away_what_a_tight_mask_brings(halves):
    """A wriggly mask with sharp edges correlates independent noise through the strong low shells."""
    box = 48
    mask = ((np.random.default_rng(5).random((box,) * 3) < 0.3) * sphere_mask(box, 40, 1)).astype(np.float32)
    repeats = [masked_fsc(*halves(box, 30.0, 0.5, cutoff=6, seed=seed), 2.0, mask, seed=seed) for seed in range(8)]
    beyond = {name: np.mean([getattr(curves, name)[12:] for curves in repeats]) for name in ("masked", "corrected", "unmasked")}
    assert {curves.randomised_from_shell for curves in repeats} == {6}
    assert beyond["masked"] > 0.3
    assert abs(beyond["corrected"]) < 0.03
    assert abs(beyond["unmasked"]) < 0.03


def test_correction_starts_two_shells_beyond_the_first_random_one(halves):
    curves = masked_fsc(*halves(32, 30.0, 0.5, cutoff=6), 1.0, sphere_mask(32, 12, 3))
    first = curves.randomised_from_shell + 2
    assert np.array_equal(curves.corrected[:first], curves.masked[:first])
    masked, randomised = curves.masked[first:], curves.randomised[first:]
    assert np.allclose(curves.corrected[first:], (masked - randomised) / (1 - randomised))


def test_noise_claims_no_resolution():
    for seed in range(5):
        a, b = np.random.default_rng(seed).standard_normal((2, 32, 32, 32)).astype(np.float32)
        curves = masked_fsc(a, b, 1.0, sphere_mask(32, 18, 3))
        assert curves.resolution_angstrom() > 32 / 4
    flat = masked_fsc(a, -a, 1.0)
    assert flat.resolution_angstrom() == math.inf


def test_identical_maps_need_no_randomisation(make_map):
    volume = make_map(24) + 0.1 * np.random.default_rng(0).standard_normal((24, 24, 24)).astype(np.float32)
    curves = masked_fsc(volume, volume, 1.0, sphere_mask(24, 12))
    assert curves.randomised is None
    assert curves.randomised_from_shell is None
    assert np.array_equal(curves.corrected, curves.masked)
    assert curves.resolution_angstrom() == 2.0


@pytest.mark.parametrize("mask", [None, sphere_mask(24, 12, 3)])
@pytest.mark.parametrize("signal", [0.0, 1.2])
def test_error_bars_are_the_scatter_of_repeated_experiments(halves, mask, signal):
    repeats = [halves(24, signal, 1.0, cutoff=24, seed=seed) for seed in range(120)]
    under = 1.0 if mask is None else mask
    curves = np.stack([fsc(a * under, b * under) for a, b in repeats])[:, 3:12]
    expected = fsc_standard_error(np.concatenate([np.ones(3), curves.mean(0), [0]]), 24, independent_fraction(mask))[3:12]
    ratio = curves.std(0) / expected
    assert ratio.mean() == pytest.approx(1, abs=0.1)
    assert np.all((ratio > 0.7) & (ratio < 1.4))

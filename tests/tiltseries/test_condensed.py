"""Condensed sums say of any change of the optics exactly what all pixels of all particles say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from optics_scene import DIAMETER, changed, imaged, references, scene

from tomobayes.imaging.views import transfer
from tomobayes.model import Dataset
from tomobayes.optics import even_phase, odd_phase, wavelength_angstrom
from tomobayes.tiltseries.aberrations import Parity, added_up, basis_of, fit_aberrations
from tomobayes.tiltseries.boxes import Cutter
from tomobayes.tiltseries.comparison import Calibration, Comparison, calibrate, compare, cut_for
from tomobayes.tiltseries.condensed import Condensed, condense, likelihood, together, turned
from tomobayes.tiltseries.defocus import defocus_of, defocus_phase, phase_per_angstrom, with_defocus
from tomobayes.tiltseries.own_noise import own_noise

ROWS = np.arange(4)


@pytest.fixture(scope="module")
def told() -> Dataset:
    truth = scene(5, 2)
    return imaged(truth, truth, sigma=0.8)


def compared(dataset: Dataset) -> Comparison:
    given = references(dataset)
    return compare(Cutter(dataset), ROWS, given, cut_for(dataset, ROWS, given, DIAMETER, None))


def direct(comparison: Comparison, calibration: Calibration) -> np.ndarray:
    """(F,) log likelihood, pixel by pixel."""
    prediction = comparison.predicted * calibration.amplitude[comparison.shell].float()
    gain = (comparison.image.conj() * prediction).real - 0.5 * prediction.abs().square()
    return (gain.sum(0) * calibration.precision(comparison.shell)).double().sum(-1).numpy()


def summed(comparison: Comparison, calibration: Calibration) -> Condensed:
    own = np.zeros(int(comparison.shell.max()) + 1)
    return condense(comparison, calibration, own, np.arange(len(comparison.particles)) % 2, 2)


def test_a_change_of_all_optics_costs_what_every_pixel_says(told: Dataset) -> None:
    before = compared(told)
    calibration, sums = calibrate([before]), summed(before, calibrate([before]))
    random = np.random.default_rng(0)
    start = defocus_of(told.tilt_series[0])
    value = start + random.normal(0, 400, start.shape)
    u, v, angle = with_defocus(value)
    even, odd = (0.1, 3.0, 20.0, -10.0, 3000.0), (0.0, 1.0, 900.0, -300.0)
    optics = replace(told.optics[0], even_zernike=even, odd_zernike=odd)
    scale = random.uniform(0.5, 1.5, len(u))
    other = changed(told, defocus_u_angstrom=u, defocus_v_angstrom=v, astigmatism_radians=angle, scale=scale)
    other = replace(other, optics=(optics,))
    frequency = torch.from_numpy(sums.frequency)
    phase = defocus_phase(value - start, sums.frequency, wavelength_angstrom(300)) - even_phase(even, frequency).numpy()
    gain = np.repeat(scale[:, None], len(frequency), 1)
    here = turned(sums, even=phase, odd=odd_phase(odd, frequency).numpy(), gain=gain)
    after = direct(compared(other), calibration)
    np.testing.assert_allclose(likelihood(sums).sum(0), direct(before, calibration), rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(likelihood(here).sum(0), after, rtol=1e-4, atol=1e-2)
    assert np.abs(after - direct(before, calibration)).min() > 1


def test_one_turn_after_the_other_is_one_turn(told: Dataset) -> None:
    one = compared(told)
    sums = summed(one, calibrate([one]))
    random = np.random.default_rng(1)
    first, second = random.uniform(-2, 2, (2, *sums.agreement.shape[1::2]))
    twice, once = turned(turned(sums, even=first, odd=second), even=second, odd=first), turned(sums, first + second, first + second)
    np.testing.assert_allclose(twice.power, once.power, atol=1e-4 * sums.power.max())
    np.testing.assert_allclose(twice.agreement, once.agreement, atol=1e-4 * np.abs(sums.agreement).max())


def test_particles_may_be_looked_at_in_portions(told: Dataset) -> None:
    one = compared(told)
    calibration, own, fold = calibrate([one]), np.zeros(int(one.shell.max()) + 1), np.array([0, 1, 1, 0])
    given = references(told)
    cut = cut_for(told, ROWS, given, DIAMETER, None)
    parts = [condense(compare(Cutter(told), rows, given, cut), calibration, own, fold[rows], 2) for rows in (ROWS[:1], ROWS[1:])]
    whole = condense(one, calibration, own, fold, 2)
    np.testing.assert_allclose(together(parts).agreement, whole.agreement, atol=1e-4 * np.abs(whole.agreement).max())


def test_slopes_are_those_of_finite_differences(told: Dataset) -> None:
    one = compared(told)
    sums = summed(one, calibrate([one])).folds([True, True])
    sums = replace(sums, agreement=sums.agreement.astype(np.complex128), power=sums.power.astype(np.float64))
    phase = phase_per_angstrom(sums.frequency, wavelength_angstrom(300))
    slope = (sums.agreement[0, :, 1].real - sums.power[0, :, 1]) @ phase.T
    for number in range(3):
        up, down = (likelihood(turned(sums, even=sign * phase[number]))[0] for sign in (1, -1))
        np.testing.assert_allclose(slope[:, number], (up - down) / 2, rtol=1e-3, atol=1e-3 * np.abs(slope[:, number]).max())


@pytest.mark.parametrize("parity", [Parity(False, 4), Parity(True, 3)])
def test_aberrations_end_where_the_likelihood_is_flat(told: Dataset, parity: Parity) -> None:
    one = compared(told)
    sums = added_up(summed(one, calibrate([one])), 1 / 60)
    folds = np.array([True, True])
    found = fit_aberrations([sums], parity, folds)
    whole = sums.folds(folds)
    double = replace(whole, agreement=whole.agreement.astype(np.complex128), power=whole.power.astype(np.float64))
    basis = basis_of(whole.frequency, parity)

    def score(coefficients: np.ndarray) -> float:
        phase = coefficients @ basis
        return float((likelihood(turned(double, odd=phase)) if parity.odd else likelihood(turned(double, even=-phase))).sum())

    best = score(found.coefficients)
    assert best > score(0 * found.coefficients)
    widths = np.sqrt(np.diag(found.covariance))
    for number in range(2 if parity.odd else 0, len(widths)):
        aside = found.coefficients.copy()
        direction = found.covariance[number] / widths[number]
        assert best > score(aside + direction)
        assert best > score(aside - direction)


def test_own_noise_in_a_reference_is_measured_and_taken_off() -> None:
    truth = scene(5, 4)
    told = imaged(truth, truth, sigma=2.0)
    rows, given = np.arange(16), references(told)
    other = compare(Cutter(told), rows, given, cut_for(told, rows, given, DIAMETER, None))
    calibration, share = calibrate([other]), 0.3
    precision = calibration.precision(other.shell)
    strength = torch.stack([transfer(other.views, tilt, other.frequency) for tilt in range(5)], 1)
    own = replace(other, slices=other.slices + share * strength * other.image * precision / other.window_share)
    found = own_noise([(own, other)], calibration)[0]
    assert np.median(found[3:]) == pytest.approx(share, rel=0.15)
    fold = np.zeros(16, dtype=np.int64)
    clean, biased = (condense(one, calibration, 0 * found, fold, 1).agreement[:, :, 0].real.sum() for one in (other, own))
    mended = condense(own, calibration, found, fold, 1).agreement[:, :, 0].real.sum()
    assert abs(mended - clean) < 0.2 * abs(biased - clean)

"""The Gaussian process of motion, and what is learned of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from alignment_scene import full_placement, true_dataset

from tomobayes.jobs.series_plan import Fitted
from tomobayes.tiltseries.alignment import Choice, Fitter, weak_prior
from tomobayes.tiltseries.information import Prior
from tomobayes.tiltseries.keeping import chosen_by_held_out
from tomobayes.tiltseries.motion import EXACT, MOST_MODES, chronological_rank, left_out_share, most_modes, motion_basis
from tomobayes.tiltseries.motion_scales import MotionPlan, Scales, learned_scales, modes_of
from tomobayes.tiltseries.placement import Placement, displacement, placement_of
from tomobayes.tiltseries.tables import Tables

PLACES = np.random.default_rng(0).uniform(-800, 800, (30, 3))


@pytest.mark.parametrize("kernel", ["square-exponential", "exponential"])
def test_modes_have_the_covariance_asked_for(kernel):
    basis = motion_basis(PLACES, 1.5, 700.0, kernel, left_out=0.0)
    distance = np.linalg.norm(PLACES[:, None] - PLACES, axis=-1) / 700
    expected = 2.25 * np.exp(-(distance**2) if kernel == "square-exponential" else -distance)
    np.testing.assert_allclose(basis @ basis.T, expected, atol=1e-9)
    fewer = motion_basis(PLACES, 1.5, 700.0, kernel, left_out=0.05)
    assert fewer.shape[1] < basis.shape[1]
    assert np.trace(fewer @ fewer.T) >= 0.95 * np.trace(expected)
    assert (np.diff((fewer**2).sum(0)) <= 1e-12).all()


@pytest.mark.parametrize("kernel", ["square-exponential", "exponential"])
def test_many_particles_move_in_few_modes(kernel):
    """Beyond `EXACT` particles modes come from the particles that are told least of by others: nearly as good as the best there are."""
    places = np.random.default_rng(1).uniform(-2000, 2000, (EXACT + 88, 3)) * [1, 1, 0.3]
    distance = np.linalg.norm(places[:, None] - places, axis=-1) / 1500
    covariance = 4.0 * np.exp(-(distance**2) if kernel == "square-exponential" else -distance)
    basis = motion_basis(places, 2.0, 1500.0, kernel)
    best = 1 - np.linalg.eigvalsh(covariance)[-basis.shape[1] :].sum() / np.trace(covariance)
    share = left_out_share(basis, 2.0)
    assert basis.shape[1] <= MOST_MODES
    assert share == pytest.approx(1 - np.trace(basis @ basis.T) / np.trace(covariance))
    assert share < max(2e-3, 1.2 * best + 0.01)
    lost = covariance - basis @ basis.T
    assert np.linalg.eigvalsh(lost)[0] > -1e-6 * np.trace(covariance)
    assert np.abs(lost).mean() < 0.3 * covariance.mean()


def test_memory_for_modes_has_an_end():
    """What grows with particles times modes grows no more; a series of 5,000 particles still walks in many."""
    assert most_modes(64) == MOST_MODES
    assert all(most_modes(count) * count <= 2.5e5 for count in (2_000, 5_000, 100_000))
    assert most_modes(5_000) >= 50
    assert Fitted(20.0, motion=True, coefficients=0).bytes(5_000, 41, 1 / 8) < 12e9


def test_rank_follows_dose():
    np.testing.assert_array_equal(chronological_rank(np.array([6.0, 0.0, 3.0, 9.0])), [2, 0, 1, 3])


def test_velocities_are_per_dose():
    at_three, at_six = (modes_of(PLACES, dose * np.arange(5), "exponential")(MotionPlan(0.5, 900.0)) for dose in (3.0, 6.0))
    np.testing.assert_allclose(at_six, 2 * at_three)
    assert np.sqrt((at_three**2).sum(1).mean()) == pytest.approx(1.5, rel=1e-3)


def test_scales_are_learned_from_what_particles_do():
    """Parabolic tables with peaks where a known process has put the particles: its scales are found to a factor of 2 or so."""
    dataset = true_dataset(6, 3.0)
    one = dataset.tilt_series[0]
    truth = MotionPlan(0.6, 800.0)
    rows = np.arange(36)
    modes = modes_of(dataset.particles.centre_angstrom, one.dose, "square-exponential")
    placement = placement_of(dataset, rows, modes(truth))
    random = torch.Generator().manual_seed(4)
    steps = torch.randn(placement.tilts, 3, placement.basis.shape[1], dtype=torch.float64, generator=random)
    parameters = torch.zeros(placement.size, dtype=torch.float64)
    steps[0] = 0
    placement.split(parameters)[1].copy_(torch.cumsum(steps, 0)[placement.rank])
    information = 4.0 * torch.eye(2, dtype=torch.float64).expand(36, placement.tilts, 2, 2)
    true = displacement(placement, parameters)
    seen = true + 0.5 * torch.randn(true.shape, dtype=torch.float64, generator=random)
    table = _parabolas(seen, information)
    choice = Choice(torch.ones(placement.tilts, dtype=torch.bool))

    def prior(scales: Scales) -> tuple[Placement, Prior]:
        placement = placement_of(dataset, rows, modes(scales.motion))
        return placement, weak_prior(placement).narrowed(scales.angles, scales.positions, len(rows))

    start = Scales(MotionPlan().usual)
    fit = Fitter(*_with(table, prior(start)), choice).fit()
    found = learned_scales(start, (True, True, True, True), prior, table, choice, fit.displacement)
    assert 0.3 <= found.motion.velocity <= 1.2
    assert 300 <= found.motion.divergence <= 1800
    assert found.angles * 1.0 < 0.3  # nothing was turned
    assert found.positions * 20.0 < 1.5  # nor put elsewhere
    kept = learned_scales(start, (False, True, True, True), prior, table, choice, fit.displacement)
    assert kept.motion.velocity == start.motion.velocity


def _with(table: Tables, made: tuple[Placement, Prior]) -> tuple[Placement, Tables, Prior]:
    return made[0], table, made[1]


def _parabolas(peak: torch.Tensor, information: torch.Tensor) -> Tables:
    """Tables whose every peak is a parabola: a flat table, beyond whose reach the parabola begins at once."""
    return Tables(torch.zeros(*peak.shape[:2], 8, 8), peak, 1.0, 0.0, information)


def test_the_fit_s_gradient_is_exact():
    """Finite differences in the whitened coordinates in which the fit runs."""
    _, placement, prior = full_placement()
    peak = torch.randn(placement.particles, placement.tilts, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    table = _parabolas(3 * peak, torch.eye(2, dtype=torch.float64).expand(placement.particles, placement.tilts, 2, 2))
    fitter = Fitter(placement, table, prior, Choice(torch.ones(placement.tilts, dtype=torch.bool)))
    weight = torch.ones(placement.particles, placement.tilts, dtype=torch.float64)
    random = torch.Generator().manual_seed(7)
    at, step = (torch.randn(placement.size, dtype=torch.float64, generator=random) for _ in range(2))
    _, gradient = fitter._cost(at, weight)
    change = fitter._cost(at + 1e-4 * step, weight)[0] - fitter._cost(at - 1e-4 * step, weight)[0]
    assert change / 2e-4 == pytest.approx(float(gradient @ step), rel=1e-5)


def test_tilts_that_are_left_out_tell_nothing_of_positions_and_motion():
    """Whatever their tables say, everything else is found as if they were not there."""
    _, placement, prior = full_placement()
    shape = (placement.particles, placement.tilts, 2)
    peak = 3 * torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(8))
    chosen = torch.arange(placement.tilts) % 3 > 0
    information = torch.eye(2, dtype=torch.float64).expand(*shape, 2)
    tables = [_parabolas(torch.where(chosen[:, None], peak, far), information) for far in (0.0, 100.0)]
    one, other = (Fitter(placement, table, prior, Choice(chosen)).fit() for table in tables)
    assert torch.equal(one.parameters, other.parameters)
    every = [Fitter(placement, table, prior, Choice(torch.ones_like(chosen))).fit() for table in tables]
    assert not torch.allclose(every[0].parameters, every[1].parameters)


def test_what_is_fitted_is_told_by_its_judges_alone():
    """Tables that all agree on a shift: it is kept where some particle judges that had no part in the priors' widths, else not."""
    _, placement, prior = full_placement()
    shape = (placement.particles, placement.tilts, 2)
    table = _parabolas(torch.full(shape, 5.0, dtype=torch.float64), torch.eye(2, dtype=torch.float64).expand(*shape, 2))
    wanted = Choice(torch.ones(placement.tilts, dtype=torch.bool))
    for judges, kept in ((torch.arange(placement.particles) % 2 == 0, True), (torch.zeros(placement.particles, dtype=torch.bool), False)):
        assert bool(chosen_by_held_out(placement, table, prior, wanted, judges).choice.tilts.any()) is kept

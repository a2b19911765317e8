"""Where particles are said to land is where the forward model puts them; gradients and information are those of that function."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from alignment_scene import full_placement, some_information, some_parameters, true_dataset

from tomobayes.imaging.views import views_of
from tomobayes.tiltseries.aligned import AlignedSeries
from tomobayes.tiltseries.alignment import Choice, free_parameters
from tomobayes.tiltseries.applied import applied
from tomobayes.tiltseries.chain import factorised
from tomobayes.tiltseries.information import information_chain, uncertainty
from tomobayes.tiltseries.placement import DeformationPlan, displacement, placement_of, pulled_back, tait_bryan


def _aligned(placement, parameters):
    rows = np.arange(placement.particles)
    return AlignedSeries(rows, placement, parameters, displacement(placement, parameters), uncertainty=None, signal=None)


@pytest.mark.parametrize("per_tilt", [False, True])
def test_applied_alignments_move_particles_as_the_fit_has_it(per_tilt):
    """Odd sizes of tomograms, motion by dose, turned and deformed images: all through the one forward model."""
    dataset, placement, _ = full_placement(per_tilt)
    parameters = some_parameters(placement)
    placement.split(parameters)[1][placement.rank == 0] = 0
    plan = DeformationPlan("affine", per_tilt=per_tilt)
    after = applied(dataset, [_aligned(placement, parameters)], plan)
    rows = np.arange(placement.particles)
    moved = (views_of(after, rows).centre_px - views_of(dataset, rows).centre_px) * dataset.tilt_series[0].pixel_size_angstrom
    expected = displacement(placement, parameters)
    # The deformation is fitted where particles were before: it differs by its slope, 1 %, of how far they move.
    assert (moved - expected).abs().max() < 0.02 * expected.abs().max()
    undeformed = parameters.clone()
    tilts, _, _, shared = placement.split(undeformed)
    tilts[:, 5:] = 0
    shared[:] = 0
    after = applied(dataset, [_aligned(placement, undeformed)], plan)
    moved = (views_of(after, rows).centre_px - views_of(dataset, rows).centre_px) * dataset.tilt_series[0].pixel_size_angstrom
    torch.testing.assert_close(moved, displacement(placement, undeformed), atol=1e-9, rtol=0)


def test_motion_that_is_there_is_kept_and_added_to():
    dataset, placement, _ = full_placement()
    there = tuple(np.random.default_rng(2).normal(size=(placement.tilts, 3)) for _ in range(placement.particles))
    dataset = replace(dataset, motion_angstrom=there)
    rows = np.arange(placement.particles)
    placement = placement_of(dataset, rows, placement.basis.numpy())
    parameters = some_parameters(placement)
    after = applied(dataset, [_aligned(placement, parameters)])
    moved = (views_of(after, rows).centre_px - views_of(dataset, rows).centre_px) * dataset.tilt_series[0].pixel_size_angstrom
    torch.testing.assert_close(moved, displacement(placement, parameters), atol=1e-9, rtol=0)


@pytest.mark.parametrize("per_tilt", [False, True])
def test_gradients_are_those_of_the_displacement(per_tilt):
    _, placement, _ = full_placement(per_tilt)
    parameters = some_parameters(placement).requires_grad_()
    slope = torch.randn(placement.particles, placement.tilts, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    (expected,) = torch.autograd.grad(displacement(placement, parameters), parameters, slope)
    torch.testing.assert_close(pulled_back(placement, parameters.detach(), slope), expected, rtol=1e-10, atol=1e-8)


def test_tait_bryan_angles_turn_about_x_first():
    angles = torch.tensor([[0.1, 0.2, 0.3]], dtype=torch.float64)
    only = [tait_bryan(angles * torch.eye(3, dtype=torch.float64)[axis])[0] for axis in range(3)]
    torch.testing.assert_close(tait_bryan(angles)[0], only[2] @ only[1] @ only[0])
    assert only[0][2, 1] > 0  # right-handed: y goes to z
    assert only[1][0, 2] > 0
    assert only[2][1, 0] > 0


@pytest.mark.parametrize("per_tilt", [False, True])
def test_information_is_that_of_the_derivative(per_tilt):
    """The chain, member by member, is Jᵀ I J with the prior; its inverse gives the errors of displacements J C Jᵀ."""
    _, placement, prior = full_placement(per_tilt)
    information = some_information(placement)
    choice = Choice(torch.arange(placement.tilts) != 1, positions=True)
    free = free_parameters(placement, choice)
    zero = torch.zeros(placement.size, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda x: displacement(placement, x), zero)
    eye = torch.eye(placement.size, dtype=torch.float64)
    penalty = torch.stack([prior.penalty(placement, one)[1] - prior.penalty(placement, zero)[1] for one in eye])
    whole = torch.einsum("pfia,pfij,pfjb->ab", jacobian, information, jacobian) + penalty
    expected = torch.zeros_like(whole)
    rows = free.nonzero()[:, 0]
    expected[rows[:, None], rows] = torch.linalg.inv(whole[rows[:, None], rows])
    factor = factorised(information_chain(placement, information, prior, free))
    found = uncertainty(placement, factor.inverse(), free)
    displaced = torch.einsum("pfia,ab,pfjb->pfij", jacobian, expected, jacobian)
    torch.testing.assert_close(found.displacement, displaced, rtol=1e-6, atol=1e-9)
    tilts, _, positions, shared = placement.split(expected.diagonal().clamp_min(0).sqrt())
    for one, two in ((found.tilts, tilts), (found.positions, positions), (found.shared, shared)):
        torch.testing.assert_close(one, two, rtol=1e-6, atol=1e-10)
    vector = torch.randn(placement.size, dtype=torch.float64, generator=torch.Generator().manual_seed(5)) * free
    solved = placement.by_row(factor.backward(factor.forward(placement.by_dose(vector))))
    torch.testing.assert_close(solved * free, expected @ vector, rtol=1e-6, atol=1e-9)


def test_the_prior_s_gradient_is_that_of_its_penalty():
    _, placement, prior = full_placement()
    at = some_parameters(placement)
    value, gradient = prior.penalty(placement, at)
    step = 1e-4 * torch.randn(placement.size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    change = prior.penalty(placement, at + step)[0] - prior.penalty(placement, at - step)[0]
    assert value > 0
    assert change == pytest.approx(2 * float(gradient @ step), rel=1e-6)


def test_particles_start_where_they_are():
    """All that is known about a particle's place in the first tilt, by dose, is its position."""
    placement = placement_of(true_dataset(), np.arange(16), np.ones((16, 1)))
    free = free_parameters(placement, Choice(torch.ones(placement.tilts, dtype=torch.bool)))
    motion = placement.split(free)[1]
    assert not motion[placement.rank == 0].any()
    assert motion[placement.rank > 0].all()

"""The likelihood against sums written out, and beliefs about poses."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from tomobayes.geometry.pointgroups import point_group
from tomobayes.geometry.rotations import matrix_from_vector
from tomobayes.inference.gain import GainSums, fit_gains
from tomobayes.inference.likelihood import log_likelihood, profile_likelihood, shift_phases
from tomobayes.inference.priors import PosePrior, log_prior_rotation, log_prior_shift


@pytest.fixture
def images() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """b of 2 particles and 3 shifts, w, and 4 slices, of 50 samples."""
    random = torch.Generator().manual_seed(0)
    data = torch.randn(2, 3, 50, dtype=torch.complex64, generator=random)
    return data, torch.rand(2, 50, generator=random), torch.randn(4, 50, dtype=torch.complex64, generator=random)


def test_likelihood_is_its_sum_written_out(images):
    data, weight, slices = images
    got = log_likelihood(*images)
    for p, m, o in np.ndindex(2, 3, 4):
        b, v = data[p, m].numpy(), slices[o].numpy()
        assert float(got[p, m, o]) == pytest.approx(
            float((b.conj() * v).real.sum() - 0.5 * (weight[p].numpy() * abs(v) ** 2).sum()), abs=1e-3
        )


def test_profile_likelihood_is_the_largest_over_positive_scales(images):
    data, weight, slices = images
    score, scale = profile_likelihood(*images)
    tried = torch.linspace(0, 3, 3001)
    best = torch.stack([log_likelihood(data, weight, s * slices) for s in tried]).max(0)
    torch.testing.assert_close(score, best.values, rtol=1e-3, atol=1e-3)
    assert (scale - tried[best.indices]).abs().max() < 2e-3
    assert (scale == 0).any() and (scale > 0).any()


def test_phases_bring_a_shifted_particle_home():
    points, shift = torch.tensor([[1.0, 2.0, 0.0], [-3.0, 0.0, 4.0]]), torch.tensor([[0.5, -1.0, 2.0]])
    there = torch.exp(-2j * math.pi / 16 * (points @ shift[0]))
    torch.testing.assert_close(there * shift_phases(points, shift, 16)[0], torch.ones(2, dtype=torch.complex64))


def _prior(**wishes) -> PosePrior:
    rotation = torch.from_numpy(Rotation.random(1, random_state=1).as_matrix())
    subtomogram = torch.from_numpy(Rotation.random(1, random_state=2).as_matrix())
    plain = {"sigma_rotation": math.inf, "tilt": torch.tensor([90.0]), "sigma_tilt": math.inf, "sigma_shift_angstrom": 3.0}
    return PosePrior(rotation=rotation, subtomogram=subtomogram, centre_angstrom=torch.zeros(1, 3), **plain | wishes)


def test_rotation_prior_is_gaussian_in_the_angle():
    prior = _prior(sigma_rotation=5.0)
    turns = torch.from_numpy(Rotation.from_rotvec(np.deg2rad([[0, 0, 0], [5, 0, 0], [0, 8, -6]])).as_matrix())
    torch.testing.assert_close(log_prior_rotation(prior, 0, prior.rotation[0] @ turns), torch.tensor([0.0, -0.5, -2.0]).double())
    assert (log_prior_rotation(_prior(), 0, turns) == 0).all()


def test_tilt_prior_looks_at_the_second_euler_angle_in_the_subtomogram():
    """A_sub·A_part with A_part = E(rot, tilt, psi)."""
    prior = _prior(sigma_tilt=10.0)
    angles = [[10, 90, 50], [200, 70, -30], [0, 120, 0]]
    part = torch.from_numpy(Rotation.from_euler("ZYZ", angles, degrees=True).as_matrix()).mT
    torch.testing.assert_close(log_prior_rotation(prior, 0, prior.subtomogram[0] @ part), torch.tensor([0.0, -2.0, -4.5]).double())
    without = _prior(sigma_tilt=10.0, tilt=torch.tensor([math.nan]))
    assert (log_prior_rotation(without, 0, prior.subtomogram[0] @ part) == 0).all()


def test_psi_prior_looks_at_the_third_euler_angle_and_wraps():
    """A_sub·A_part with A_part = E(rot, tilt, psi); 175° and -175° are ten degrees apart."""
    prior = _prior(sigma_psi=10.0, psi=torch.tensor([175.0]))
    angles = [[10, 90, 175], [200, 70, -175], [0, 120, 145], [30, 60, -5]]
    part = torch.from_numpy(Rotation.from_euler("ZYZ", angles, degrees=True).as_matrix()).mT
    torch.testing.assert_close(log_prior_rotation(prior, 0, prior.subtomogram[0] @ part), torch.tensor([0.0, -0.5, -4.5, -162]).double())
    without = replace(prior, psi=torch.tensor([math.nan]))
    assert (log_prior_rotation(without, 0, prior.subtomogram[0] @ part) == 0).all()


def test_rot_prior_looks_at_the_first_euler_angle_and_wraps():
    """A_sub·A_part with A_part = E(rot, tilt, psi); 175° and -175° are ten degrees apart."""
    prior = _prior(sigma_rot=10.0, rot=torch.tensor([175.0]))
    angles = [[175, 90, 10], [-175, 70, 200], [145, 120, 0], [-5, 60, 30]]
    part = torch.from_numpy(Rotation.from_euler("ZYZ", angles, degrees=True).as_matrix()).mT
    torch.testing.assert_close(log_prior_rotation(prior, 0, prior.subtomogram[0] @ part), torch.tensor([0.0, -0.5, -4.5, -162]).double())
    without = replace(prior, rot=torch.tensor([math.nan]))
    assert (log_prior_rotation(without, 0, prior.subtomogram[0] @ part) == 0).all()


@pytest.mark.parametrize(("symbol", "tilt"), [("C6", 90.0), ("D2", 90.0), ("D2", 0.0), ("O", 90.0), ("I1", 30.0)])
def test_priors_believe_in_whichever_mate_is_searched(symbol, tilt):
    """A pose at the centre of the priors and each of its mates are believed alike, and more than what is far from all of them."""
    group = torch.from_numpy(point_group(symbol))
    angles = np.random.default_rng(0).uniform(0, 360, (20, 3))
    angles[:, 1] = tilt
    poses = torch.from_numpy(Rotation.from_euler("ZYZ", angles, degrees=True).as_matrix()).mT
    leaning = _prior(sigma_tilt=10.0, tilt=torch.tensor([tilt]), sigma_psi=10.0, sigma_rot=10.0, group=group)
    for (rot, _, psi), pose in zip(angles, leaning.subtomogram[0] @ poses, strict=True):
        upright = replace(leaning, psi=torch.tensor([psi if tilt else math.nan]), rot=torch.tensor([rot if tilt else math.nan]))
        near = replace(upright, rotation=pose[None], sigma_rotation=5.0)
        for prior in (upright, near):
            belief = log_prior_rotation(prior, 0, pose @ group)
            torch.testing.assert_close(belief, belief[:1].expand_as(belief), atol=1e-6, rtol=0)
            assert belief[0] > -math.log(len(group)) - 1e-6
        turned = pose @ matrix_from_vector(torch.tensor([[0.14, -0.07, 0.1]]).double())
        assert log_prior_rotation(near, 0, turned) < belief[0] - 1.5


def test_shift_prior_is_gaussian_in_each_component():
    found = log_prior_shift(torch.tensor([[0.0, 0, 0], [3.0, 0, 0], [3.0, -3.0, 3.0]]), 3.0)
    torch.testing.assert_close(found, torch.tensor([0.0, -0.5, -1.5]).double())


def _gain_sums(gain: torch.Tensor, power: float, seed: int = 0) -> GainSums:
    noise = torch.randn(gain.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    sums = torch.full(gain.shape, power, dtype=torch.float64)
    return GainSums(gain * power + noise * power**0.5, sums)


def test_planted_gains_are_found():
    random = torch.Generator().manual_seed(1)
    planted = []
    for level in (0.6, 1.4):
        tilt, particle = (level + 0.2 * torch.rand(1, 20, generator=random) - 0.1), 1 + 0.3 * torch.rand(30, 1, generator=random)
        planted.append((tilt * particle).double())
    mean = torch.cat([gain.flatten() for gain in planted]).mean()
    found = fit_gains([_gain_sums(gain, 400.0, seed) for seed, gain in enumerate(planted)])
    for got, gain in zip(found, planted, strict=True):
        assert ((got - gain / mean) / (gain / mean)).abs().max() < 0.06
    assert float(torch.cat([gain.flatten() for gain in found]).mean()) == pytest.approx(1, abs=1e-6)


def test_without_information_gains_are_one():
    nothing = GainSums(*torch.zeros(2, 5, 7, dtype=torch.float64))
    torch.testing.assert_close(fit_gains([nothing, nothing])[0], torch.ones(5, 7, dtype=torch.float64))
    little = GainSums(torch.zeros(5, 7).double(), torch.full((5, 7), 1e-3).double())
    assert (fit_gains([little])[0] - 1).abs().max() < 0.1


def test_gain_sums_forget_the_gain_that_was_applied():
    gain = torch.tensor([[2.0, 0.5]]).double()
    plain = GainSums(torch.tensor([[3.0, 4.0]]).double() * gain, torch.tensor([[5.0, 6.0]]).double() * gain**2).without(gain)
    torch.testing.assert_close(plain.agreement, torch.tensor([[3.0, 4.0]]).double())
    torch.testing.assert_close(plain.power, torch.tensor([[5.0, 6.0]]).double())

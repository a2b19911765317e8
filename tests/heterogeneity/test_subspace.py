"""Directions in which particles differ: found whatever the seed, and none where there are none."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tomobayes.fourier.grids import half_space, shells
from tomobayes.heterogeneity.confounds import association, correlation_ratio
from tomobayes.heterogeneity.gridding import Gridded, gridded_box, masked
from tomobayes.heterogeneity.linear_start import linear_start
from tomobayes.heterogeneity.mixture import fit_mixture
from tomobayes.heterogeneity.subspace import Coefficients, log_evidence
from tomobayes.maps.masks import sphere_mask

RADIUS, COUNT = 5, 160


def _noise(random, shape):
    return torch.complex(*(torch.from_numpy(random.normal(size=shape)) for _ in range(2)))


def _particles(strength: float, seed: int = 0) -> tuple[Gridded, np.ndarray, torch.Tensor]:
    """Half of the particles show +δ and half -δ, each on a random half of the voxels, under noise; and the mask δ lives in."""
    random = np.random.default_rng(seed)
    box, samples = gridded_box(RADIUS), half_space(RADIUS)
    mask = torch.from_numpy(sphere_mask(box, 6, 2))
    difference = masked(_noise(random, (1, len(samples))), mask, RADIUS)[0]
    labels = random.permutation(COUNT) % 2
    weight = torch.from_numpy((random.random((COUNT, len(samples))) < 0.5).astype(np.float32))
    signal = strength * torch.from_numpy(2.0 * labels - 1)[:, None] * difference
    data = weight * signal + weight.sqrt() * _noise(random, weight.shape)
    nothing = torch.zeros(COUNT, dtype=torch.float64)
    gridded = Gridded(
        np.arange(COUNT), data.to(torch.complex64), torch.zeros_like(data).to(torch.complex64), weight, nothing, nothing, box, RADIUS
    )
    return gridded, labels, mask


@pytest.mark.parametrize("seed", range(3))
def test_two_states_are_found(seed):
    gridded, labels, mask = _particles(1.0)
    found = linear_start(gridded, mask, 2, seed)
    right = (found.posterior.argmax(1).numpy() == labels).mean()
    assert max(right, 1 - right) > 0.97
    assert found.rank == 1
    assert found.gain_nats[1] > 5 * found.standard_error[1]


def test_a_second_direction_is_not_invented():
    gridded, _, mask = _particles(1.0)
    found = linear_start(gridded, mask, 3, 0)
    assert found.rank == 1
    assert found.latent[:, 1].var() < 0.01


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_found_in_noise(seed):
    gridded, _, mask = _particles(0.0, seed)
    found = linear_start(gridded, mask, 2, seed)
    assert found.rank == 0
    assert found.gain_nats[1] < COUNT / 100
    assert torch.equal(found.posterior, torch.full_like(found.posterior, 0.5))


def test_evidence_is_the_integral_over_coefficients():
    linear, quadratic = torch.tensor([[0.7, -1.2]]).double(), torch.tensor([[[2.0, 0.5], [0.5, 1.5]]]).double()
    told = Coefficients(linear, quadratic, torch.tensor([4.0, 1.0]).double())
    axis = torch.linspace(-8, 8, 1601, dtype=torch.float64)
    x = torch.cartesian_prod(axis, axis)
    density = x @ linear[0] - 0.5 * torch.einsum("na,ab,nb->n", x, quadratic[0] + torch.diag(told.prior), x)
    numeric = torch.logsumexp(density, 0) + 2 * torch.log(axis[1] - axis[0]) - np.log(2 * np.pi) + 0.5 * told.prior.log().sum()
    assert float(log_evidence(told)[0]) == pytest.approx(float(numeric), abs=1e-6)


def test_contrast_is_integrated_out():
    random = torch.Generator().manual_seed(0)
    root = torch.randn(5, 3, 3, generator=random, dtype=torch.float64)
    told = Coefficients(torch.randn(5, 3, generator=random, dtype=torch.float64), root @ root.mT, torch.tensor([2.0, 1.0, 1.0]).double())
    linear, quadratic = told.without_contrast()
    alone = torch.linalg.solve(quadratic + torch.eye(2), linear)
    torch.testing.assert_close(alone, told.posterior()[0][:, 1:])


def test_masked_spectra_are_those_of_masked_maps():
    random = np.random.default_rng(0)
    box, samples = gridded_box(RADIUS), half_space(RADIUS)
    mask = torch.from_numpy(sphere_mask(box, 6, 2))
    values = _noise(random, (2, len(samples)))
    once = masked(values, torch.ones(box, box, box), RADIUS)
    torch.testing.assert_close(once, values)
    assert float(masked(values, mask, RADIUS).abs().square().sum()) < 0.6 * float(values.abs().square().sum())
    assert int(shells(samples).max()) == RADIUS


def test_mixture_does_not_depend_on_its_start():
    random = torch.Generator().manual_seed(1)
    centres = torch.tensor([[3.0, 0.0], [0.0, 3.0], [-3.0, -1.0], [0.0, 0.0]]).double()
    labels = torch.randint(4, (400,), generator=random)
    quadratic = 2 * torch.eye(2).double().expand(400, 2, 2)
    linear = 2 * centres[labels] + 2**0.5 * torch.randn(400, 2, generator=random, dtype=torch.float64)
    found = [fit_mixture(linear, quadratic, 4, seed) for seed in range(4)]
    assert np.ptp([one.log_likelihood for one in found]) < 0.1
    assert found[0].points[found[0].occupancy.argsort()].shape == (4, 2)
    assert torch.cdist(found[0].points, centres).amin(0).max() < 0.5


def test_confounds():
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 600)
    assert correlation_ratio(labels, random.normal(size=600)) < 0.1
    assert correlation_ratio(labels, labels + 0.01 * random.normal(size=600)) > 0.99
    series = random.integers(0, 100, 600)
    assert association(labels, series) < 0.15
    assert association(labels, labels * 7) == pytest.approx(1, abs=1e-6)
    assert correlation_ratio(labels, np.ones(600)) == 0

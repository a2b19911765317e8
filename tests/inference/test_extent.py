"""How far out a map has density: learned from what half-maps have in common, and used where images say little."""

from __future__ import annotations

import math

import pytest
import torch

from small_experiment import BOX, random_poses
from tomobayes.fourier.grids import half_plane
from tomobayes.fourier.slices import Accumulator, extract_slices
from tomobayes.fourier.volume import Sums, box_radii, from_map, shell_mean
from tomobayes.inference.extent import LEAST_OUTSIDE, Extent, extent_of
from tomobayes.inference.maximisation import solve
from tomobayes.maps.fsc import masked_fsc
from tomobayes.maps.masks import distance_from_centre, sphere_mask

RADIUS, DIAMETER, NOISE = BOX // 2 - 1, 0.4, 15.0
PLANE = torch.nn.functional.pad(half_plane(RADIUS).float(), (0, 1))


def _noise(seed: int) -> torch.Tensor:
    return torch.randn(BOX, BOX, BOX, generator=torch.Generator().manual_seed(seed))


def _ball(seed: int = 0) -> torch.Tensor:
    """As much signal in the last shell as in the first, inside the sphere."""
    return _noise(seed) * torch.from_numpy(sphere_mask(BOX, DIAMETER * BOX, 1))


def _learned(signal: torch.Tensor, noise: float) -> Extent | None:
    halves = signal + noise * _noise(1), signal + noise * _noise(2)
    curves = masked_fsc(halves[0].numpy(), halves[1].numpy(), 1.0, None)
    return extent_of(halves, curves, DIAMETER)


def test_nothing_is_expected_where_halves_share_nothing():
    found = _learned(_ball(), 0.5)
    assert found is not None and found.outside == LEAST_OUTSIDE


@pytest.mark.parametrize("outside", [0.3, 1.0])
def test_density_around_the_particle_is_seen(outside):
    """A crowded neighbourhood, or a lattice: the ratio of standard deviations comes back."""
    there = torch.from_numpy(distance_from_centre(BOX) < DIAMETER * BOX / 2)
    found = _learned(_noise(0) * torch.where(there, 1.0, outside), 0.5)
    assert found is not None and found.outside == pytest.approx(outside, abs=0.1)


def test_a_box_that_the_particle_fills_has_no_outside():
    halves = _noise(1), _noise(2)
    assert extent_of(halves, masked_fsc(halves[0].numpy(), halves[1].numpy(), 1.0, None), 2.0) is None


def _seen(truth: torch.Tensor, noise: float, seed: int = 3) -> Sums:
    """Noisy images whose contrast vanishes at the same frequencies in all."""
    accumulator, rotations = Accumulator(BOX, RADIUS), random_poses(300)
    factor = torch.sin(4 * math.pi * PLANE.square().sum(-1) / RADIUS**2 + 0.3)
    error = noise * torch.randn(len(rotations), len(PLANE), 2, generator=torch.Generator().manual_seed(seed))
    images = factor * extract_slices(from_map(truth), rotations, PLANE) + torch.view_as_complex(error)
    accumulator.insert(rotations, PLANE, factor * images / noise**2, (factor.square() / noise**2).expand(len(rotations), -1).contiguous())
    return accumulator.sums()


def _agreement(found: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """FSC of what is inside the particle's sphere."""
    shell, inside = box_radii(BOX).round().long(), torch.from_numpy(sphere_mask(BOX, DIAMETER * BOX, 2))
    one, two = (torch.fft.rfftn(torch.fft.ifftshift(x * inside)) for x in (found, truth))
    cross, first, second = (shell_mean(v, shell) for v in ((one * two.conj()).real, one.abs().square(), two.abs().square()))
    return (cross / (first * second).sqrt())[2:RADIUS]


def test_knowing_the_extent_helps_where_contrast_vanishes():
    """Every shell is as good or better, one at a gap much; too small a sphere costs what lies outside it."""
    truth, ssnr = _ball(), torch.full((RADIUS + 1,), 2.0)
    sums = _seen(truth, NOISE)
    without, known, narrow = (
        _agreement(solve(sums, ssnr, filtered=False, extent=one), truth) for one in (None, Extent(DIAMETER, 0.1), Extent(0.15, 0.1))
    )
    assert (known > without - 0.01).all()
    assert (known - without).max() > 0.08
    assert narrow.mean() < without.mean()


def test_an_even_extent_says_nothing():
    sums, ssnr = _seen(_ball(), NOISE), torch.full((RADIUS + 1,), 2.0)
    torch.testing.assert_close(solve(sums, ssnr, extent=Extent(DIAMETER, 1.0)), solve(sums, ssnr), rtol=1e-4, atol=1e-5)


def test_noise_alone_stays_uncorrelated():
    """A shared extent makes no agreement where there is none."""
    nothing, ssnr = torch.zeros(BOX, BOX, BOX), torch.full((RADIUS + 1,), 0.1)
    one, two = (solve(_seen(nothing, NOISE, seed), ssnr, filtered=False, extent=Extent(DIAMETER, 0.1)) for seed in (4, 5))
    inside = torch.from_numpy(sphere_mask(BOX, DIAMETER * BOX, 2))
    assert abs(float(torch.corrcoef(torch.stack([(inside * one).flatten(), (inside * two).flatten()]))[0, 1])) < 0.1

"""How far out a map has density: learned from what half-maps have in common, and used where images say little."""

from __future__ import annotations

import math

import pytest
import torch

from small_experiment import BOX, random_poses
from tomobayes.fourier.grids import half_plane
from tomobayes.fourier.slices import Accumulator, extract_slices
from tomobayes.fourier.toeplitz import Response, convolved, response
from tomobayes.fourier.volume import Sums, box_radii, from_map, shell_mean
from tomobayes.inference import least_squares
from tomobayes.inference.extent import LEAST_OUTSIDE, Extent, extent_of, sphere
from tomobayes.inference.maximisation import solve
from tomobayes.maps.fsc import masked_fsc
from tomobayes.maps.masks import distance_from_centre, sphere_mask

RADIUS, DIAMETER, NOISE = BOX // 2 - 1, 0.4, 15.0
PARTICLE = sphere(BOX, DIAMETER)
PLANE = torch.nn.functional.pad(half_plane(RADIUS).float(), (0, 1))


def _noise(seed: int) -> torch.Tensor:
    return torch.randn(BOX, BOX, BOX, generator=torch.Generator().manual_seed(seed))


def _ball(seed: int = 0) -> torch.Tensor:
    """As much signal in the last shell as in the first, inside the sphere."""
    return _noise(seed) * torch.from_numpy(sphere_mask(BOX, DIAMETER * BOX, 1))


def _learned(signal: torch.Tensor, noise: float) -> Extent | None:
    halves = signal + noise * _noise(1), signal + noise * _noise(2)
    curves = masked_fsc(halves[0].numpy(), halves[1].numpy(), 1.0, None)
    return extent_of(halves, curves, PARTICLE)


def test_least_is_expected_where_halves_share_nothing():
    found = _learned(_ball(), 0.5)
    assert found is not None and found.outside == LEAST_OUTSIDE


@pytest.mark.parametrize("outside", [0.3, 1.0])
def test_density_around_the_particle_is_seen(outside):
    """A crowded neighbourhood, or a lattice: the ratio of standard deviations comes back."""
    there = torch.from_numpy(distance_from_centre(BOX) < DIAMETER * BOX / 2)
    found = _learned(_noise(0) * torch.where(there, 1.0, outside), 0.5)
    assert found is not None and found.outside == pytest.approx(outside, abs=0.1)


def test_an_even_background_says_nothing_of_the_extent():
    without, with_background = _learned(_ball(), 0.5), _learned(_ball() + 5, 0.5)
    assert without is not None and with_background is not None
    assert with_background.outside == pytest.approx(without.outside, abs=0.02)


def test_noise_alone_tells_of_no_extent():
    nothing = torch.zeros(BOX, BOX, BOX)
    assert extent_of((nothing, nothing), masked_fsc(_noise(1).numpy(), _noise(2).numpy(), 1.0, None), PARTICLE) is None


def test_a_box_that_the_particle_fills_has_no_outside():
    halves = _noise(1), _noise(2)
    assert extent_of(halves, masked_fsc(halves[0].numpy(), halves[1].numpy(), 1.0, None), sphere(BOX, 2.0)) is None


def _seen(truth: torch.Tensor, noise: float, radius: int = RADIUS) -> Sums:
    """Noisy images whose contrast vanishes at the same frequencies in all."""
    accumulator, rotations, plane = Accumulator(BOX, radius), random_poses(300), PLANE[PLANE.norm(dim=-1) <= radius]
    factor = torch.sin(4 * math.pi * plane.square().sum(-1) / RADIUS**2 + 0.3)
    error = noise * torch.randn(len(rotations), len(plane), 2, generator=torch.Generator().manual_seed(3))
    images = factor * extract_slices(from_map(truth), rotations, plane) + torch.view_as_complex(error)
    accumulator.insert(rotations, plane, factor * images / noise**2, (factor.square() / noise**2).expand(len(rotations), -1).contiguous())
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
        _agreement(solve(sums, ssnr, filtered=False, extent=one), truth)
        for one in (None, Extent(PARTICLE, 0.1), Extent(sphere(BOX, 0.15), 0.1))
    )
    assert (known > without - 0.01).all()
    assert (known - without).max() > 0.08
    assert narrow.mean() < without.mean()


def test_an_even_extent_says_nothing(monkeypatch):
    monkeypatch.setattr(least_squares, "STEPS", least_squares.STEPS_WITHIN)
    sums, ssnr = _seen(_ball(), NOISE), torch.full((RADIUS + 1,), 2.0)
    torch.testing.assert_close(solve(sums, ssnr, extent=Extent(PARTICLE, 1.0)), solve(sums, ssnr), rtol=1e-4, atol=1e-5)


def test_a_map_of_less_resolution_has_the_same_extent():
    truth = _ball()
    found = solve(_seen(truth, 1.0, radius=8), torch.full((9,), 1e3), extent=Extent(PARTICLE, 0.1))
    assert _agreement(found, truth)[:5].min() > 0.9


def test_the_search_ends_at_the_solution(monkeypatch):
    """Given time: (D·W·D + 1/τ²)·u = D·Σb at V = D·u, on the frequencies that are known."""
    monkeypatch.setattr(least_squares, "STEPS_WITHIN", 60)
    passed, extent = response(_seen(_ball(), NOISE)), Extent(PARTICLE, 0.3)
    draws, known = torch.Generator().manual_seed(1), box_radii(BOX) <= RADIUS
    data = torch.where(known, least_squares.spectrum_of(torch.randn(BOX, BOX, BOX, generator=draws)), 0)
    weight = convolved_with_a_point(passed)
    prior = torch.full_like(weight, float(weight[known].mean()))
    inverse = torch.where(known, 1 / (weight.clamp_min(0) + prior), 0)
    width = extent.on(BOX)
    found = least_squares.least_squares(data, prior, inverse, passed, width)
    explained = least_squares.spectrum_of(width * (convolved(found, passed) - least_squares.from_spectrum(data)))
    left = explained + prior * least_squares.spectrum_of(found / width)
    assert left[known].norm() < 1e-3 * data.norm()


def convolved_with_a_point(passed: Response) -> torch.Tensor:
    """What the images pass on of each frequency, about."""
    point = torch.zeros(BOX, BOX, BOX)
    point[BOX // 2, BOX // 2, BOX // 2] = 1
    return least_squares.spectrum_of(convolved(point, passed)).real

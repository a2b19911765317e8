"""Falloffs of tilts: found where images show them, zero where there is nothing to see, and one for all is none."""

from __future__ import annotations

import pytest
import torch

from tomobayes.inference.falloff import FalloffSums, envelope, fit_falloffs

SHELLS, TILTS, REACH = 17, 12, 14


def _sums(falloff: torch.Tensor, strength: float, seed: int = 0) -> FalloffSums:
    """What images of a given strength (power at the first shell) say, up to REACH, of tilts that fall off so."""
    shell = torch.arange(SHELLS, dtype=torch.float64)
    power = (strength * torch.exp(-shell / 8))[:, None].repeat(1, TILTS)
    power[REACH + 1 :] = 0
    noise = torch.randn(power.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return FalloffSums(envelope(shell, falloff) * power + power.sqrt() * noise, power)


@pytest.fixture
def true_falloff() -> torch.Tensor:
    return torch.linspace(-0.5, 1.5, TILTS, dtype=torch.float64) / REACH**2


def test_what_the_images_show_is_found(true_falloff):
    (found,) = fit_falloffs([_sums(true_falloff, 1e4)])
    centred = true_falloff - true_falloff.mean()
    torch.testing.assert_close(found, centred, rtol=0.0, atol=0.15 / REACH**2)


def test_one_for_all_is_none(true_falloff):
    """A B factor common to all tilts belongs to the map."""
    (found,) = fit_falloffs([_sums(true_falloff, 1e5)])
    (shifted,) = fit_falloffs([_sums(true_falloff + 0.5 / REACH**2, 1e5)])
    torch.testing.assert_close(found, shifted, rtol=0.0, atol=0.15 / REACH**2)


def test_series_are_compared_with_each_other():
    flat = torch.zeros(TILTS, dtype=torch.float64)
    slow, fast = fit_falloffs([_sums(flat, 1e4), _sums(flat + 1 / REACH**2, 1e4, seed=1)])
    assert float((fast - slow).mean()) * REACH**2 == pytest.approx(1.0, abs=0.2)


def test_noise_shows_nothing():
    """Images that say next to nothing are believed to fall off as all others."""
    (found,) = fit_falloffs([_sums(torch.zeros(TILTS, dtype=torch.float64), 0.01)])
    assert float(found.abs().max()) * REACH**2 < 0.3


def test_sums_without_an_envelope_are_those_of_plain_images(true_falloff):
    plain = _sums(true_falloff, 100.0)
    applied = torch.flip(true_falloff, (0,))
    e = envelope(torch.arange(SHELLS), applied)
    back = FalloffSums(plain.agreement * e, plain.power * e.square()).without(applied)
    torch.testing.assert_close(back.agreement, plain.agreement)
    torch.testing.assert_close(back.power, plain.power)

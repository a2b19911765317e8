"""Noise spectra that change with dose: told from few images by similar doses and other tilt series, from many by the images alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tomobayes.imaging.noise import NoiseSums, spectra, spectrum

TILTS, SHELLS, SERIES = 41, 24, 6
DOSE = 3.0 * np.argsort(np.argsort(np.abs(np.arange(TILTS) - TILTS // 2)))
SEEN = slice(1, SHELLS)


def _truth(seed: int) -> np.ndarray:
    """σ² of a tilt series: a level of each tilt, and power at low frequency that fades with dose."""
    random, shell = np.random.default_rng(seed), np.arange(SHELLS)
    fading = 1.5 * np.exp(-DOSE / 30)[:, None] * np.exp(-shell / 4)
    own = 1 + 0.1 * random.normal() * np.cos(shell / 8)
    return np.exp(0.2 * random.normal(size=(TILTS, 1))) * own * (1 + fading) / (1 + shell / 20)


def _sums(sigma2: np.ndarray, particles: int, seed: int) -> NoiseSums:
    """What residuals of that noise add up to, E|n|² = 2σ²; nothing was seen of shell 0."""
    count = np.broadcast_to(particles * np.round(np.pi * np.arange(SHELLS)), sigma2.shape)
    power = 2 * sigma2 * np.random.default_rng(seed).gamma(np.maximum(count, 1e-9))
    return NoiseSums(*(torch.tensor(np.where(count > 0, each, 0.0)) for each in (power, 2.0 * count, 1.0 * count)), torch.tensor(DOSE))


def _error(found: torch.Tensor, truth: np.ndarray) -> float:
    """Relative, root mean square."""
    return float(np.sqrt(np.mean(np.log(found.numpy()[:, SEEN] / truth[:, SEEN]) ** 2)))


@pytest.mark.parametrize(("particles", "at_most_of_own", "at_most_of_flat"), [(1, 0.3, 0.8), (5, 0.4, 0.7), (500, 1.0, 1.0)])
def test_spectra_are_closer_to_the_truth_than_what_knows_less(particles, at_most_of_own, at_most_of_flat):
    """Less: a tilt's images alone, and one shape for all the tilts of a series alone."""
    truths = [_truth(seed) for seed in range(SERIES)]
    sums = [_sums(truth, particles, 100 + seed) for seed, truth in enumerate(truths)]
    own = [each.power / each.weight for each in sums]
    flat = [spectrum(replace(each, dose=0 * each.dose)) for each in sums]
    error, of_own, of_flat = (np.mean([_error(*both) for both in zip(found, truths, strict=True)]) for found in (spectra(sums), own, flat))
    assert error < at_most_of_own * of_own and error < at_most_of_flat * of_flat


def test_a_series_of_one_particle_is_told_by_its_group():
    truths = [_truth(seed) for seed in range(SERIES)]
    sums = [_sums(truth, 1 if seed == 0 else 40, 100 + seed) for seed, truth in enumerate(truths)]
    assert _error(spectra(sums)[0], truths[0]) < 0.85 * _error(spectrum(sums[0]), truths[0])


def test_levels_are_each_tilts_own():
    """Another grey scale of a tilt or a whole series changes that one's spectrum, and nobody else's."""
    sums = [_sums(_truth(seed), 3, seed) for seed in range(3)]
    before = spectra(sums)
    louder = torch.ones(TILTS, 1, dtype=torch.float64)
    louder[5] = 7.0
    after = spectra([sums[0], replace(sums[1], power=sums[1].power * 100), replace(sums[2], power=sums[2].power * louder)])
    for found, expected, factor in zip(after, before, (1.0, 100.0, louder), strict=True):
        torch.testing.assert_close(found[:, SEEN], (expected * factor)[:, SEEN], rtol=0.03, atol=0)


def test_what_nobody_saw_is_infinite():
    sums = _sums(_truth(0), 2, 0)
    blind = replace(sums, **{name: getattr(sums, name).clone() for name in ("power", "weight", "count")})
    for name in ("power", "weight", "count"):
        getattr(blind, name)[3] = 0
    found = spectra([blind, sums])
    assert torch.isinf(found[0][3]).all() and torch.isinf(found[0][:, 0]).all()
    assert torch.isfinite(found[0][[2, 4], 1:]).all() and torch.isfinite(found[1][:, 1:]).all()

"""Noise spectra: the variance of one real component per tilt and shell, with as much detail as the data can carry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from tomobayes.imaging.observation import Statistics

__all__ = ["NoiseSums", "precision", "residual_sums", "signal_free_sums", "spectra", "spectrum"]

DOSE_WIDTH = 20.0
"""e/Å² over which the shape of a noise spectrum changes."""


@dataclass(frozen=True)
class NoiseSums:
    """Squared residuals per tilt and shell, all (F, R+1) float64.

    Parameters
    ----------
    power : Σ|D - W·V|²; count : number of samples with W > 0
    weight : variance of D's noise if σ² were 1, that is Σ2W where no window took part of it
    dose : (F,) e/Å² before each tilt
    """

    power: Tensor
    weight: Tensor
    count: Tensor
    dose: Tensor

    def __add__(self, other: NoiseSums) -> NoiseSums:
        return NoiseSums(self.power + other.power, self.weight + other.weight, self.count + other.count, self.dose)


def residual_sums(statistics: Statistics, residual_power: Tensor) -> NoiseSums:
    """Sum squared residuals of D, (P, Q), or (Q',) for a leading part of Q summed over particles, into tilts and shells."""
    power = residual_power if residual_power.dim() == 1 else residual_power.sum(0)
    n = len(power)
    shell, n_tilts = statistics.shell, statistics.n_tilts
    bins = int(shell.max()) + 1

    def per_shell(values: Tensor) -> Tensor:
        grid = values.double().reshape(-1, n_tilts).T
        return torch.zeros(n_tilts, bins, dtype=torch.float64, device=grid.device).index_add_(1, shell[: grid.shape[1]], grid)

    weight = statistics.weight[:, :n]
    total = per_shell(2 * weight.sum(0)) * statistics.noise_share.T
    return NoiseSums(per_shell(power), total, per_shell((weight > 0).sum(0)), statistics.dose)


def signal_free_sums(statistics: Statistics) -> NoiseSums:
    """The sums under V = 0: where to start, since single images are nearly all noise."""
    power = torch.zeros(2 * statistics.data.shape[1], device=statistics.data.device)
    for row in torch.view_as_real(statistics.data).flatten(1):  # one particle at a time stays in the cache
        power.addcmul_(row, row)
    return residual_sums(statistics, power.reshape(-1, 2).sum(1))


def spectrum(sums: NoiseSums) -> Tensor:
    """σ² per tilt and shell, (F, R+1), of a tilt series alone; see ``spectra``."""
    return spectra([sums])[0]


def spectra(group: Sequence[NoiseSums]) -> list[Tensor]:
    """σ² per tilt and shell, (F, R+1) each, of the tilt series of one optics group, from eq 12 with W in the place of M.

    D's noise variance is 2W·σ². A spectrum is believed to be the level of its tilt times a shape that changes smoothly with dose,
    and that shape to be the one of the optics group: tilts differ from similar doses, and series from the group, by chance, how
    much is told by all of them together, shell by shell (empirical Bayes). So few samples are drawn to what the others show, and
    many, or ones that are unlike the others, stay as they are. Shells nobody has seen are infinite.
    """
    whole = _joined(group)
    common = (whole.power.sum(0) / whole.weight.sum(0)).nan_to_num()
    flat = [_at_level(sums, _level(sums, common.expand_as(sums.power))) for sums in group]
    profile = _by_dose(flat)
    near = [_smooth(sums.dose, sums) for sums in flat]
    of_group = [_smooth(sums.dose, profile).values for sums in flat]
    shapes = _drawn(near, of_group)
    expected = [_level(sums, shape)[:, None] * shape for sums, shape in zip(group, shapes, strict=True)]
    own = [_Estimate((sums.power / sums.weight).nan_to_num(), sums.count) for sums in group]
    found = _drawn(own, expected)
    return [torch.where((sums.weight > 0) & (one > 0), one, torch.inf) for sums, one in zip(group, found, strict=True)]


@dataclass(frozen=True)
class _Estimate:
    """Spectra, and how many samples' worth of noise they have, (F, R+1) both."""

    values: Tensor
    samples: Tensor


def _drawn(estimates: Sequence[_Estimate], expected: Sequence[Tensor]) -> list[Tensor]:
    """Estimates, drawn to what is expected as far as their scatter around it allows.

    An estimate from n samples scatters by 1/n around its truth, the truth by τ² around the expected (relative variances); of both
    together E[n·z²] = 1 + n·τ², z the relative difference. Posterior means under an inverse-gamma prior of 1/τ² samples.
    """
    n, own, prior = (torch.cat(list(each)) for each in ((one.samples for one in estimates), (one.values for one in estimates), expected))
    seen = (n > 0) & (prior > 0)
    squared = torch.where(seen, n * (own / prior.clamp_min(1e-300) - 1).square() - 1, 0)
    spread = (squared.sum(0) / torch.where(seen, n, 0).sum(0).clamp_min(1e-300)).clamp_min(0)
    trust = spread * n
    drawn = (trust * own + prior) / (trust + 1)
    return list(torch.split(drawn, [len(one.values) for one in estimates]))


def _level(sums: NoiseSums, shape: Tensor) -> Tensor:
    """(F,) how much stronger the noise of each tilt is than a shape (F, R+1)."""
    known = shape > 0
    scaled = torch.where(known, sums.power / shape.clamp_min(1e-300), 0).sum(1)
    return scaled / torch.where(known, sums.weight, 0).sum(1).clamp_min(1e-300)


def _at_level(sums: NoiseSums, level: Tensor) -> NoiseSums:
    """As if every tilt had noise of level 1; a tilt without noise has nothing to tell."""
    silent = (level <= 0)[:, None]
    weight, count = (torch.where(silent, 0, each) for each in (sums.weight, sums.count))
    return NoiseSums(sums.power / torch.where(silent, 1, level[:, None]), weight, count, sums.dose)


def _joined(series: Sequence[NoiseSums]) -> NoiseSums:
    """The tilts of several series, one after the other."""
    return NoiseSums(*(torch.cat([getattr(sums, name.name) for sums in series]) for name in fields(NoiseSums)))


def _by_dose(series: Sequence[NoiseSums]) -> NoiseSums:
    """The sums of several tilt series as if their tilts of the same dose, to 1 e/Å², were one."""
    whole = _joined(series)
    dose, place = torch.unique(whole.dose.round(), return_inverse=True)
    power, weight, count = (
        each.new_zeros(len(dose), each.shape[1]).index_add_(0, place, each) for each in (whole.power, whole.weight, whole.count)
    )
    return NoiseSums(power, weight, count, dose)


def _smooth(dose: Tensor, sums: NoiseSums) -> _Estimate:
    """Spectra around some doses (A,), weighted means over tilts of similar dose; 0 where nobody has looked."""
    near = torch.exp(-0.5 * ((dose[:, None] - sums.dose) / DOSE_WIDTH).square())
    power, weight, count = (near @ each for each in (sums.power, sums.weight, sums.count))
    values = torch.where(weight > 0, power / weight.clamp_min(1e-300), 0)
    return _Estimate(values, count.square() / (near.square() @ sums.count).clamp_min(1e-300))


def precision(statistics: Statistics, sigma2: Tensor) -> Tensor:
    """2W over the variance of D, which is 1/σ² unless a crop let noise leak into frequencies with little signal, (Q,) float32.

    A share below one only tells of noise that a window took from the border, where no signal is; it does not make the rest any better.
    """
    leaked = statistics.noise_share.T.clamp_min(1)
    return (1 / (sigma2 * leaked)[:, statistics.shell]).T.flatten().float()

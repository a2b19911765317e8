"""Noise spectra: the variance of one real component per tilt and shell, with as much detail as the data can carry."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tomobayes.imaging.observation import Statistics

__all__ = ["NoiseSums", "precision", "residual_sums", "signal_free_sums", "spectrum"]

PRIOR_COUNT = 50.0
"""Strength, in Fourier samples, of the belief that a tilt's spectrum is the series' spectrum times one number."""


@dataclass(frozen=True)
class NoiseSums:
    """Squared residuals per tilt and shell, all (F, R+1) float64.

    Parameters
    ----------
    power : Σ|D - W·V|²; count : number of samples with W > 0
    weight : variance of D's noise if σ² were 1, that is Σ2W where no window took part of it
    """

    power: Tensor
    weight: Tensor
    count: Tensor

    def __add__(self, other: NoiseSums) -> NoiseSums:
        return NoiseSums(self.power + other.power, self.weight + other.weight, self.count + other.count)


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
    return NoiseSums(per_shell(power), total, per_shell((weight > 0).sum(0)))


def signal_free_sums(statistics: Statistics) -> NoiseSums:
    """The sums under V = 0: where to start, since single images are nearly all noise."""
    power = torch.zeros(2 * statistics.data.shape[1], device=statistics.data.device)
    for row in torch.view_as_real(statistics.data).flatten(1):  # one particle at a time stays in the cache
        power.addcmul_(row, row)
    return residual_sums(statistics, power.reshape(-1, 2).sum(1))


def spectrum(sums: NoiseSums) -> Tensor:
    """σ² per tilt and shell, (F, R+1), from eq 12 with W in the place of M (D's noise variance is 2W·σ²).

    The estimate of each tilt is drawn towards a common spectrum times the tilt's own level, the more so the fewer
    samples it has (posterior mean under an inverse-gamma prior of PRIOR_COUNT samples). Shells nobody has seen are infinite.
    """
    common = sums.power.sum(0) / sums.weight.sum(0)
    seen = sums.weight > 0
    level = (sums.power / common).nan_to_num().sum(1) / sums.weight.sum(1)
    expected = (level[:, None] * common).expand_as(sums.power)
    own = sums.power / sums.weight
    blend = (sums.count * own + PRIOR_COUNT * expected) / (sums.count + PRIOR_COUNT)
    return torch.where(seen & (blend > 0), blend, torch.inf)


def precision(statistics: Statistics, sigma2: Tensor) -> Tensor:
    """2W over the variance of D, which is 1/σ² unless a crop let noise leak into frequencies with little signal, (Q,) float32.

    A share below one only tells of noise that a window took from the border, where no signal is; it does not make the rest any better.
    """
    leaked = statistics.noise_share.T.clamp_min(1)
    return (1 / (sigma2 * leaked)[:, statistics.shell]).T.flatten().float()

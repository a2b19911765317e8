"""How much of a particle's own noise is in the map it is compared with.

A half map is made of the particles it is compared with. The noise that a particle shares with it looks like a perfect agreement with
the parameters the map was made with, and where particles are few it outweighs the signal in the finest shells: scales come out too
large, defoci as they were.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from tomobayes.tiltseries.comparison import Calibration, Comparison

__all__ = ["own_agreement", "own_noise"]


def own_noise(pairs: Iterable[tuple[Comparison, Comparison]], calibration: Calibration) -> tuple[NDArray[np.float64], Calibration]:
    """How much of its own noise a particle's reference holds, and the calibration without its agreement with that.

    Parameters
    ----------
    pairs : the same particles with the map of their own half-set and with that of the other one, which holds none of their noise

    Returns
    -------
    (S,) h, so that the noise n of an image adds h·CTF·d·a·n/σ² to the reference at its samples, on average over a shell
    """
    sums = [(_agreement(own, calibration), _agreement(other, calibration), _strength(own, calibration)) for own, other in pairs]
    found, without, strength = (torch.stack(each).sum(0) for each in zip(*sums, strict=True))
    share = ((found - without) / strength.clamp_min(1e-300)).clamp_min(0)
    signal = found - share * strength
    amplitude = calibration.amplitude * (signal / found.clamp_min(1e-300)).clamp(0, 1)
    return share.numpy(), replace(calibration, amplitude=amplitude)


def own_agreement(comparison: Comparison, own: torch.Tensor) -> torch.Tensor:
    """What its own noise adds on average to X*·prediction of a particle, where the map was made of it: 2h·(CTF·d·a)², (P, F, J)."""
    return comparison.factor.square() * (2 * own[comparison.shell]).float() * comparison.views.visible[..., None]


def _agreement(comparison: Comparison, calibration: Calibration) -> torch.Tensor:
    """(S,) Σ Re(X*·prediction)/σ²."""
    prediction = comparison.predicted
    product = comparison.image.real * prediction.real + comparison.image.imag * prediction.imag
    return _per_shell((product.sum(0) * calibration.precision(comparison.shell)).sum(0), comparison.shell)


def _strength(comparison: Comparison, calibration: Calibration) -> torch.Tensor:
    """(S,) Σ 2 (CTF·d·a)²/σ², what noise of unit share adds to the agreement."""
    noisy = (comparison.factor.square() * comparison.views.visible[..., None]).sum(0)
    return _per_shell((2 * calibration.precision(comparison.shell) * noisy).sum(0), comparison.shell)


def _per_shell(values: torch.Tensor, shell: torch.Tensor) -> torch.Tensor:
    return torch.zeros(int(shell.max()) + 1, dtype=torch.float64).index_add_(0, shell, values.double())

"""How much of a particle's own noise is in the map it is compared with.

A half map is made of the particles it is compared with. The noise that a particle shares with it looks like a perfect agreement with
the parameters the map was made with, and where particles are few it outweighs the signal in the finest shells: scales come out too
large, defoci as they were.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from tomobayes.imaging.views import transfer
from tomobayes.tiltseries.comparison import Calibration, Comparison, predicted

__all__ = ["own_share", "without_own_noise"]


def own_share(own: Comparison, other: Comparison, calibration: Calibration) -> NDArray[np.float64]:
    """(S,) h, so that the noise n of an image adds h·CTF·d·a·n/σ² to the reference at its samples, on average over a shell.

    Parameters
    ----------
    own, other : the same particles with the map of their own half-set and with that of the other one, which holds none of their noise
    """
    share, strength = _agreement(own, calibration) - _agreement(other, calibration), _strength(own, calibration)
    h: NDArray[np.float64] = (share / strength.clamp_min(1e-300)).clamp_min(0).numpy()
    return h


def without_own_noise(calibration: Calibration, comparison: Comparison, own: NDArray[np.float64]) -> Calibration:
    """The calibration with the amplitude that is left once the agreement with a particle's own noise is taken off."""
    found = _agreement(comparison, calibration)
    signal = found - torch.from_numpy(own) * _strength(comparison, calibration)
    amplitude = calibration.amplitude * (signal / found.clamp_min(1e-300)).clamp(0, 1)
    return Calibration(amplitude, calibration.sigma2)


def _agreement(comparison: Comparison, calibration: Calibration) -> torch.Tensor:
    """(S,) Σ Re(X*·prediction)/σ²."""
    prediction = predicted(comparison)
    product = comparison.image.real * prediction.real + comparison.image.imag * prediction.imag
    return _per_shell((product.sum(0) * calibration.precision(comparison.shell)).sum(0), comparison.shell)


def _strength(comparison: Comparison, calibration: Calibration) -> torch.Tensor:
    """(S,) Σ 2 (CTF·d·a)²/σ², what noise of unit share adds to the agreement."""
    views, total = comparison.views, torch.zeros(len(comparison.shell))
    for tilt, precision in enumerate(calibration.precision(comparison.shell)):
        factor = transfer(views, tilt, comparison.frequency).square()
        total += 2 * precision * (views.visible[:, tilt, None] * factor).sum(0)
    return _per_shell(total, comparison.shell)


def _per_shell(values: torch.Tensor, shell: torch.Tensor) -> torch.Tensor:
    return torch.zeros(int(shell.max()) + 1, dtype=torch.float64).index_add_(0, shell, values.double())

"""How strong the signal of a tilt series is, shell by shell and tilt by tilt, where its particles are known to be.

Before an alignment the images agree less with the reference than they could, the finer the less. Once displacements are fitted, both are
measured anew, so that the fit that follows weighs every shell and tilt by what it really holds, and its error bars are honest.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from tomobayes.tiltseries.comparison import PRIOR_NATS, Calibration, Comparison
from tomobayes.tiltseries.own_noise import own_agreement

__all__ = ["Signal", "measured_signal", "signal_of"]

TILT_VARIANCE = 0.25
"""Prior variance of the signal's strength in a tilt around that of all tilts, which is 1."""
TURNS = 3


@dataclass(frozen=True)
class Signal:
    """What multiplies the prediction of particles, and the noise it stands against.

    Parameters
    ----------
    amplitude : (S,) per shell; gain : (F,) per tilt
    sigma2 : (F, S) variance of one real component of the noise
    """

    amplitude: Tensor
    gain: Tensor
    sigma2: Tensor

    def scale(self, shell: Tensor) -> Tensor:
        """(F, J) float32 of samples in shells (J,)."""
        return (self.gain[:, None] * self.amplitude[shell]).float()

    def precision(self, shell: Tensor) -> Tensor:
        """(F, J) float32, 1/σ²."""
        return (1 / self.sigma2)[:, shell].float()


def signal_of(calibration: Calibration) -> Signal:
    """The signal before anything is known of single tilts."""
    return Signal(calibration.amplitude, torch.ones(len(calibration.sigma2), dtype=torch.float64), calibration.sigma2)


def measured_signal(compared: Iterable[tuple[Comparison, Tensor]], sigma2: Tensor, own: Tensor | None = None) -> Signal:
    """Regression of images on the prediction, (shell x tilt).

    Parameters
    ----------
    compared : comparisons, and how far (P, F, 2) Å their particles are from where their boxes were cut
    sigma2 : (F, S)
    own : (S,) how much of a particle's own noise its reference holds (`own_noise.own_noise`), put there where its boxes were cut
    """
    agreement, power = (torch.stack(each).sum(0) for each in zip(*(_sums(one, away, own) for one, away in compared), strict=True))
    known, expected = agreement / sigma2, power / sigma2
    gain = torch.ones(len(known), dtype=torch.float64)
    amplitude = _regression((gain @ known), (gain.square() @ expected))
    for _ in range(TURNS):
        nats = expected @ amplitude.square()
        if not nats.any():  # the images know nothing of the reference
            return Signal(amplitude, torch.ones_like(gain), sigma2)
        gain = ((known @ amplitude + 1 / TILT_VARIANCE) / (nats + 1 / TILT_VARIANCE)).clamp_min(0)
        gain = gain / ((nats @ gain) / nats.sum()).clamp_min(1e-9)
        amplitude = _regression(gain @ known, gain.square() @ expected)
    return Signal(amplitude, gain, sigma2)


def _regression(known: Tensor, expected: Tensor) -> Tensor:
    """(S,) known/expected, each shell drawn to what all have in common."""
    common = float(known.sum() / expected.sum().clamp_min(1e-300))
    if common <= 0:
        return torch.zeros_like(known)
    prior = PRIOR_NATS / common**2
    return ((known + prior * common) / (expected + prior)).clamp_min(0)


def _sums(comparison: Comparison, away_angstrom: Tensor, own: Tensor | None) -> tuple[Tensor, Tensor]:
    """ΣRe(X*·prediction) and Σ|prediction|², (F, S) float64 each."""
    agreement, power = torch.zeros(2, comparison.slices.shape[1], len(comparison.shell))
    excess = None if own is None else own_agreement(comparison, own)
    wave = -2 * math.pi * comparison.frequency.T
    for particle, (image, prediction) in enumerate(zip(comparison.image, comparison.predicted, strict=True)):
        phase = away_angstrom[particle].float() @ wave
        product = image.conj() * prediction
        real = product.real if excess is None else product.real - excess[particle]
        agreement.addcmul_(real, phase.cos()).addcmul_(product.imag, phase.sin(), value=-1)
        power += torch.view_as_real(prediction).square().sum(-1)
    bins = int(comparison.shell.max()) + 1
    sums = torch.zeros(2, len(power), bins, dtype=torch.float64)
    sums.index_add_(2, comparison.shell, torch.stack([agreement, power]).double())
    return sums[0], sums[1]

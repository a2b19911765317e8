"""How strong the signal of each tilt and particle really is, compared with what the metadata says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["GainSums", "fit_gains"]

TILT_VARIANCE, PARTICLE_VARIANCE = 0.25, 0.1
"""Prior variances of the gain of a tilt around its series' and of a particle around 1."""
LEAST, MOST = 0.1, 5.0


@dataclass(frozen=True)
class GainSums:
    """Likelihood of the gain a of each particle and tilt, a·agreement - ½·a²·power nats, both (P, F).

    Parameters
    ----------
    agreement : Re Σ conj(b)·V; power : Σ w·|V|²
    """

    agreement: Tensor
    power: Tensor

    def without(self, gain: Tensor) -> GainSums:
        """The same sums for statistics that had no ``gain`` (P, F) applied."""
        return GainSums(self.agreement / gain, self.power / gain.square())

    def each(self) -> tuple[GainSums, ...]:
        """The sums of each particle, (F,) both."""
        return tuple(GainSums(*both) for both in zip(self.agreement, self.power, strict=True))

    @classmethod
    def of(cls, each: Sequence[GainSums]) -> GainSums:
        """The sums of several particles; the inverse of ``each``."""
        return cls(torch.stack([one.agreement for one in each]), torch.stack([one.power for one in each]))


def fit_gains(groups: Sequence[GainSums]) -> list[Tensor]:
    """Posterior means of gain = series x tilt x particle for several tilt series, (P, F) each, with mean 1 over all.

    Gaussian likelihood and Gaussian priors: a tilt is drawn to the level of its series and a particle to 1, unless their
    images say otherwise. Series are compared with each other because poor alignment, ice and dose weaken the signal of all
    their particles alike (RELION's group scale).
    """
    gains = [_fit_one(sums) for sums in groups]
    images = sum(gain.numel() for gain in gains)
    mean = sum(float(gain.sum()) for gain in gains) / max(images, 1)
    return [(gain / mean).clamp(LEAST, MOST) for gain in gains]


def _fit_one(sums: GainSums) -> Tensor:
    level = (sums.agreement.sum() + 1) / (sums.power.sum() + 1)
    tilt = (sums.agreement.sum(0) + level / TILT_VARIANCE) / (sums.power.sum(0) + 1 / TILT_VARIANCE)
    tilt = tilt.clamp_min(LEAST * float(level.clamp_min(LEAST)))
    particle = ((sums.agreement * tilt).sum(1) + 1 / PARTICLE_VARIANCE) / ((sums.power * tilt.square()).sum(1) + 1 / PARTICLE_VARIANCE)
    return particle.clamp_min(LEAST)[:, None] * tilt

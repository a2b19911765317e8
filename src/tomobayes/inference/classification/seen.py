"""What the images of some particles say in the light of several maps, whether their poses are known or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tomobayes.fourier.volume import FourierVolume
from tomobayes.imaging.noise import NoiseSums
from tomobayes.inference.expectation import PoseEstimates
from tomobayes.inference.falloff import FalloffSums
from tomobayes.inference.gain import GainSums

__all__ = ["LEAST", "References", "Seen", "memberships"]

LEAST = 1e-4
"""Particles that belong to a class with a smaller probability add nothing to it."""


@dataclass(frozen=True)
class References:
    """What the particles of one fold are compared with.

    Parameters
    ----------
    classes : of each class; common : of all together
    alignment : the part of the common map that poses are found with; None: poses and classes are found together
    """

    classes: Sequence[FourierVolume]
    common: FourierVolume
    alignment: FourierVolume | None = None


@dataclass(frozen=True)
class Seen:
    """What P particles show.

    Parameters
    ----------
    posterior : (P, K); log_evidence : (P,) nats
    gain_nats : (P,) log of how much likelier the maps of all classes make the images than their common map does
    estimates : poses of each particle under its likeliest class; None where poses were given
    noise, gains, falloffs : what the images say about noise and the strength of the signal, posterior means over classes and poses
    """

    posterior: Tensor
    log_evidence: Tensor
    gain_nats: Tensor
    estimates: PoseEstimates | None
    noise: NoiseSums
    gains: GainSums
    falloffs: FalloffSums


def memberships(scores: Tensor, occupancy: Tensor) -> tuple[Tensor, Tensor]:
    """(B, K) posterior of the classes and (B,) log evidence, from log likelihoods (B, K) and occupancies (K,)."""
    joint = scores + occupancy.clamp_min(1e-300).log()
    total = torch.logsumexp(joint, 1)
    return torch.exp(joint - total[:, None]), total

"""What the images say besides their class: noise, and how strong the signal is in each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.imaging.gathering import Portion
from tomobayes.inference.classification.expectation import ClassFound
from tomobayes.inference.classification.state import ClassState
from tomobayes.inference.falloff import fit_falloffs
from tomobayes.inference.gain import GainSums, fit_gains
from tomobayes.inference.reconstruction import NoiseSpectra, noise_spectra

__all__ = ["Nuisance", "next_nuisance"]

Members = Mapping[tuple[int, int], NDArray[np.int64]]


@dataclass(frozen=True)
class Nuisance:
    """(tilt series, half) -> noise spectrum, gains and falloffs, as of a refinement's ``State``."""

    sigma2: NoiseSpectra
    gain: Mapping[tuple[int, int], Tensor]
    falloff: Mapping[tuple[int, int], Tensor]


def next_nuisance(state: ClassState, found: ClassFound, members: Members, parts: Sequence[Portion]) -> Nuisance:
    """As the last expectation has it; as before where it had no maps to compare the images with."""
    if not found.noise:
        return Nuisance(*({key: known[key] for key in members} for known in (state.sigma2, state.gain, state.falloff)))
    of_particle = dict(zip(found.particles.tolist(), found.gains, strict=True))
    strength = [GainSums.of([of_particle[row] for row in rows.tolist()]) for rows in members.values()]
    return Nuisance(
        sigma2=_noise(state, found, members, parts),
        gain=dict(zip(members, fit_gains(strength), strict=True)),
        falloff=dict(zip(members, fit_falloffs([found.falloffs[key] for key in members]), strict=True)),
    )


def _noise(state: ClassState, found: ClassFound, members: Members, parts: Sequence[Portion]) -> dict[tuple[int, int], Tensor]:
    """The new spectra where this expectation looked, the old ones beyond."""
    after = {}
    for key, new in noise_spectra({key: found.noise[key] for key in members}, parts).items():
        compared = int(found.noise[key].weight.sum(0).nonzero().max()) + 1
        after[key] = torch.cat([new[:, :compared], state.sigma2[key][:, compared:]], 1)
    return after

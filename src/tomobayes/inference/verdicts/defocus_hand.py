"""Whether defocus grows or falls with depth: images under both signs, beside maps that they had no part in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.compute.executors import InProcess
from tomobayes.fourier.volume import from_map
from tomobayes.imaging.gathering import Gatherer, Portion, Source, portions
from tomobayes.imaging.noise import precision
from tomobayes.inference.maximisation import solve
from tomobayes.inference.reconstruction import NoiseSpectra, reconstruct_halves, signal_free_noise
from tomobayes.inference.verdicts.agreement import Agreement, agreement, held_out_likelihood
from tomobayes.inference.verdicts.verdict import Verdict, verdict
from tomobayes.model import Dataset

__all__ = ["HandVerdict", "defocus_hand", "flipped_hand"]


@dataclass(frozen=True)
class HandVerdict:
    """Of the sign of the defocus gradient.

    Parameters
    ----------
    verdict : of all tilt series together; per_series : of each, by name
    map_told, map_flipped : (n, n, n) of all particles, as told and under the other sign
    """

    verdict: Verdict
    per_series: dict[str, Verdict]
    map_told: Tensor
    map_flipped: Tensor


def flipped_hand(dataset: Dataset) -> Dataset:
    """The same experiment with the other sign of rlnTomoHand."""
    return replace(dataset, tilt_series=tuple(replace(one, hand=-one.hand) for one in dataset.tilt_series))


def defocus_hand(
    dataset: Dataset, source: Source, usable: NDArray[np.bool_], mask: NDArray[np.float32], group: NDArray[np.float64]
) -> HandVerdict:
    """Likelihood of each half's images under both signs, each with the other half's map made under that sign.

    Parameters
    ----------
    dataset : with tilt images, poses and half-sets
    source : of tilt images; the CTF that stored images were multiplied with cannot be exchanged
    usable : (P,) which particles take part
    mask : (n, n, n) around the particle; group : (G, 3, 3) its point group
    """
    parts = portions(dataset, usable)
    both = [_Hypothesis(one, Gatherer(one, source, source.box // 2 - 1)) for one in (dataset, flipped_hand(dataset))]
    # The noise is in the images: it is the same whatever is believed of the optics.
    spectra = [signal_free_noise(parts, one.gather, InProcess())[0] for one in both]
    sigma2 = {key: 0.5 * (spectra[0][key] + spectra[1][key]) for key in spectra[0]}
    halves = [one.maps(parts, sigma2, source, group) for one in both]
    likelihood = [one.held_out(parts, sigma2, maps, mask) for one, maps in zip(both, halves, strict=True)]
    ratios = (likelihood[0] - likelihood[1]).numpy()[usable]
    of_series = dataset.particles.tilt_series[usable]
    per_series = {dataset.tilt_series[i].name: verdict(ratios[of_series == i]) for i in np.unique(of_series).tolist()}
    return HandVerdict(verdict(ratios), per_series, *(0.5 * (first + second) for first, second in halves))


@dataclass(frozen=True)
class _Hypothesis:
    """The experiment under one sign."""

    dataset: Dataset
    gather: Gatherer

    def maps(self, parts: Sequence[Portion], sigma2: NoiseSpectra, source: Source, group: NDArray[np.float64]) -> tuple[Tensor, Tensor]:
        """Of both halves, from the particles' own poses."""
        particles = self.dataset.particles
        sums, _ = reconstruct_halves(
            parts,
            self.gather,
            sigma2,
            torch.from_numpy(particles.rotation),
            torch.from_numpy(particles.centre_angstrom),
            box=source.box,
            radius=source.box // 2 - 1,
            group=torch.from_numpy(group),
            executor=InProcess(),
        )
        return solve(sums[1, 0], None), solve(sums[2, 0], None)

    def held_out(self, parts: Sequence[Portion], sigma2: NoiseSpectra, maps: tuple[Tensor, Tensor], mask: NDArray[np.float32]) -> Tensor:
        """(P,) nats of each particle beside the map of the other half, zero of those that take no part."""
        particles, likelihood = self.dataset.particles, torch.zeros(len(self.dataset.particles), dtype=torch.float64)
        for half in (1, 2):
            volume = from_map(maps[2 - half] * torch.from_numpy(mask))
            mine = [part for part in parts if part.half == half]
            found: list[Agreement] = []
            for part in mine:
                rows, statistics = torch.from_numpy(part.particles), self.gather(part)
                pose = torch.from_numpy(particles.rotation)[rows], torch.from_numpy(particles.centre_angstrom)[rows]
                weight = precision(statistics, sigma2[part.tilt_series, half])
                found.append(agreement(statistics, weight, volume, *pose, volume.radius))
            rows = torch.from_numpy(np.concatenate([part.particles for part in mine]))
            whole = Agreement(torch.cat([one.found for one in found]), torch.cat([one.expected for one in found]))
            likelihood[rows] = held_out_likelihood(whole)
        return likelihood

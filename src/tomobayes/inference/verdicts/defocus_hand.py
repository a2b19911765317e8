"""Whether defocus grows or falls with depth: images under both signs, beside maps that they had no part in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.compute.executors import InProcess
from tomobayes.fourier.volume import FourierVolume, Sums, from_map
from tomobayes.imaging.gathering import Gatherer, Portion, Source, folds_for, portions, rows_of
from tomobayes.imaging.noise import precision
from tomobayes.inference.maximisation import solve
from tomobayes.inference.reconstruction import FoldSums, NoiseSpectra, reconstruct_halves, signal_free_noise
from tomobayes.inference.verdicts.agreement import Agreement, agreement, held_out_likelihood
from tomobayes.inference.verdicts.common_signal import common_ssnr
from tomobayes.inference.verdicts.verdict import Verdict, verdict
from tomobayes.model import Dataset

__all__ = ["HandVerdict", "defocus_hand", "flipped_hand"]

FAINTEST = 1e-3
"""Signal to noise that every shell is granted, however little its halves share."""


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
    """Likelihood of each fold's images under both signs, each with the map that all other folds make under that sign.

    Parameters
    ----------
    dataset : with tilt images, poses and half-sets
    source : of tilt images; the CTF that stored images were multiplied with cannot be exchanged
    usable : (P,) which particles take part
    mask : (n, n, n) around the particle; group : (G, 3, 3) its point group
    """
    parts = portions(dataset, usable, folds=folds_for(int(usable.sum()) // 2))
    both = [_Hypothesis(one, Gatherer(one, source, source.box // 2 - 1)) for one in (dataset, flipped_hand(dataset))]
    # The noise is in the images: it is the same whatever is believed of the optics.
    spectra = [signal_free_noise(parts, one.gather, InProcess())[0] for one in both]
    sigma2 = {key: 0.5 * (spectra[0][key] + spectra[1][key]) for key in spectra[0]}
    sums = [one.sums(parts, sigma2, source, group) for one in both]
    likelihood = [one.held_out(parts, sigma2, folds, mask) for one, folds in zip(both, sums, strict=True)]
    ratios = (likelihood[0] - likelihood[1]).numpy()[usable]
    of_series = dataset.particles.tilt_series[usable]
    names = {dataset.tilt_series[i].name: of_series == i for i in np.unique(of_series).tolist()}
    per_series = {name: verdict(ratios[rows], mutual=True) for name, rows in names.items()}
    return HandVerdict(verdict(ratios, mutual=True), per_series, *(_whole_map(folds) for folds in sums))


@dataclass(frozen=True)
class _Hypothesis:
    """The experiment under one sign."""

    dataset: Dataset
    gather: Gatherer

    def sums(self, parts: Sequence[Portion], sigma2: NoiseSpectra, source: Source, group: NDArray[np.float64]) -> FoldSums:
        """Of every fold, from the particles' own poses."""
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
        return sums

    def held_out(self, parts: Sequence[Portion], sigma2: NoiseSpectra, sums: FoldSums, mask: NDArray[np.float32]) -> Tensor:
        """(P,) nats of each particle beside the map of all other folds, zero of those that take no part."""
        (one, other), ssnr = _halves(sums), _ssnr(sums)
        rows, found = [], []
        for (half, fold), own in sums.items():
            rest = solve(one + other - own, ssnr * (1 - 1 / len(sums)))
            volume = from_map(rest * torch.from_numpy(mask))
            for part in (part for part in parts if part.half == half):
                rows.append(torch.from_numpy(part.particles[part.rows_of(fold)]))
                found.append(self._beside(volume, part, fold, sigma2[part.tilt_series, half]))
        likelihood = torch.zeros(len(self.dataset.particles), dtype=torch.float64)
        whole = Agreement(torch.cat([one.found for one in found]), torch.cat([one.expected for one in found]))
        likelihood[torch.cat(rows)] = held_out_likelihood(whole)
        return likelihood

    def _beside(self, volume: FourierVolume, part: Portion, fold: int, sigma2: Tensor) -> Agreement:
        """Of a portion's particles of one fold with a map."""
        statistics, particles = rows_of(self.gather(part), part.rows_of(fold)), self.dataset.particles
        rows = torch.from_numpy(statistics.particles)
        pose = torch.from_numpy(particles.rotation)[rows], torch.from_numpy(particles.centre_angstrom)[rows]
        return agreement(statistics, precision(statistics, sigma2), volume, *pose, volume.radius)


def _halves(sums: FoldSums) -> tuple[Sums, Sums]:
    """Those of each half-set."""
    total: dict[int, Sums] = {}
    for (half, _), one in sums.items():
        total[half] = total[half] + one if half in total else one
    return total[1], total[2]


def _ssnr(sums: FoldSums) -> Tensor:
    """Of the map of all, (R+1,)."""
    return common_ssnr(*_halves(sums)).clamp_min(FAINTEST)


def _whole_map(sums: FoldSums) -> Tensor:
    """Of all particles, with the amplitudes that the images have."""
    one, other = _halves(sums)
    return solve(one + other, _ssnr(sums), filtered=False)

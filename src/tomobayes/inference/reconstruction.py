"""Maps of two half-sets from poses that are given, and the noise of the images before any map is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from tomobayes.fourier.slices import Accumulator
from tomobayes.fourier.volume import Sums
from tomobayes.imaging.gathering import Portion
from tomobayes.imaging.noise import NoiseSums, precision, signal_free_sums, spectrum
from tomobayes.imaging.observation import Statistics
from tomobayes.inference.maximisation import backproject, symmetrised

__all__ = ["Gather", "NoiseSpectra", "reconstruct_halves", "signal_free_noise"]

Gather = Callable[[Portion], Statistics]
NoiseSpectra = Mapping[tuple[int, int], Tensor]
"""(tilt series, half) -> σ² per tilt and shell, (F, R+1)."""


def signal_free_noise(parts: Sequence[Portion], gather: Gather) -> dict[tuple[int, int], Tensor]:
    """Noise spectra under V = 0, one per tilt series and half-set."""
    sums: dict[tuple[int, int], NoiseSums] = {}
    for part in parts:
        key = (part.tilt_series, part.half)
        new = signal_free_sums(gather(part))
        sums[key] = sums[key] + new if key in sums else new
    return {key: spectrum(value) for key, value in sums.items()}


def reconstruct_halves(
    parts: Sequence[Portion],
    gather: Gather,
    sigma2: NoiseSpectra,
    rotation: Tensor,
    centre_angstrom: Tensor,
    *,
    box: int,
    radius: int,
    group: Tensor,
) -> tuple[Sums, Sums]:
    """Σb and Σw of each half-set with every particle inserted at its one given pose.

    Parameters
    ----------
    rotation, centre_angstrom : (P, 3, 3) reference -> tomogram and (P, 3) in the tomogram, of all particles of the data set
    box : edge of the map; radius : finest Fourier radius inserted, < box/2
    group : (G, 3, 3) point group
    """
    sums = []
    for half in (1, 2):
        accumulator = Accumulator(box, radius)
        for part in (one for one in parts if one.half == half):
            statistics = gather(part)
            rows = torch.from_numpy(part.particles)
            weight = precision(statistics, sigma2[part.tilt_series, half])
            backproject(accumulator, statistics, weight, rotation[rows], centre_angstrom[rows])
        sums.append(symmetrised(accumulator.sums(), group))
    return sums[0], sums[1]

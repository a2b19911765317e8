"""Maps that tilt images are compared with: each particle with a map of its own half-set, as fine as the halves agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.compute.executors import Executor
from tomobayes.fourier.volume import FourierVolume, from_map
from tomobayes.imaging.gathering import Gatherer, Source, folds_for, portions
from tomobayes.inference.halves import by_half, regularised
from tomobayes.inference.reconstruction import reconstruct_halves, signal_free_noise
from tomobayes.inference.state import Settings
from tomobayes.maps.filters import multiply_shells
from tomobayes.maps.fsc import FscCurves, last_shell_above, masked_fsc
from tomobayes.model import Dataset

__all__ = ["References", "from_half_maps", "rebuilt"]

RESOLVED = 0.143
"""FSC of the half maps below which nothing is compared."""
MARGIN = 1.3
"""How much finer than the resolution so far rebuilt maps may become: better parameters bring new shells."""


@dataclass(frozen=True)
class References:
    """What every particle is compared with.

    Parameters
    ----------
    volumes : per half-set and fold, a masked and filtered map; a particle of fold k meets the map of the other folds
    fold : (N,) fold of each particle of the data set
    pixel_size_angstrom : of the maps
    radius : Fourier pixels of the map's box up to which images are compared
    fsc : of the two half maps
    """

    volumes: tuple[tuple[FourierVolume, ...], tuple[FourierVolume, ...]]
    fold: NDArray[np.int64]
    pixel_size_angstrom: float
    radius: int
    fsc: FscCurves

    @property
    def extent_angstrom(self) -> float:
        """Edge of the maps' box."""
        return self.volumes[0][0].box * self.pixel_size_angstrom

    @property
    def finest_frequency(self) -> float:
        """1/Å up to which images are compared."""
        return self.radius / self.extent_angstrom


def from_half_maps(
    halves: tuple[NDArray[np.float32], NDArray[np.float32]],
    mask: NDArray[np.float32],
    pixel_size_angstrom: float,
    particles: int,
    symmetry_order: int = 1,
) -> References:
    """Half maps on any grey scale, each weighted by its expected share of signal FSC (its own, not that of the mean map).

    Parameters
    ----------
    halves, mask : (n, n, n) each
    particles : how many the data set has; all are compared with the whole map of their half
    """
    curves = masked_fsc(halves[0], halves[1], pixel_size_angstrom, mask, symmetry_order=symmetry_order)
    radius = _resolved(curves)
    weight = np.where(np.arange(len(curves.corrected)) <= radius, curves.corrected.clip(0, 1), 0)
    first, second = (from_map(torch.from_numpy(multiply_shells(half * mask, weight)), radius + 1) for half in halves)
    return References(((first,), (second,)), np.zeros(particles, dtype=np.int64), pixel_size_angstrom, radius, curves)


def rebuilt(dataset: Dataset, usable: NDArray[np.bool_], source: Source, settings: Settings, radius: int, executor: Executor) -> References:
    """Half maps from the images as the data set's parameters have them; where particles are few, each without its own fold.

    Parameters
    ----------
    usable : (N,) which particles take part
    source : how images are cut for maps of ``settings``
    radius : of the references so far; the new ones may be finer by `MARGIN`
    """
    reach = min(settings.largest_radius, round(MARGIN * radius))
    folds = folds_for(int(usable.sum()) // 2)
    parts = portions(dataset, usable, folds=folds)
    gather = Gatherer(dataset, source, reach)
    sigma2, without = signal_free_noise(parts, gather, executor)
    sums, _ = reconstruct_halves(
        [part for part in parts if part.tilt_series not in without],
        gather,
        sigma2,
        torch.from_numpy(dataset.particles.rotation),
        torch.from_numpy(dataset.particles.centre_angstrom),
        box=settings.box,
        radius=reach,
        group=torch.from_numpy(settings.group),
        executor=executor,
    )
    maps, curves = regularised(by_half(sums, folds), settings)
    radius = min(reach, _resolved(curves))
    fold = np.zeros(len(usable), dtype=np.int64)
    for part in parts:
        fold[part.particles] = part.folds
    mask = torch.from_numpy(settings.mask)

    def volumes(references: tuple[Tensor, ...]) -> tuple[FourierVolume, ...]:
        return tuple(from_map(one * mask, radius + 1) for one in references)

    first, second = (volumes(references) for references in maps.fold_references)
    return References((first, second), fold, settings.pixel_size_angstrom, radius, curves)


def _resolved(curves: FscCurves) -> int:
    """The finest shell in which the halves agree; some shells are compared in any case."""
    return min(max(last_shell_above(curves.corrected, RESOLVED), 4), curves.box // 2 - 2)

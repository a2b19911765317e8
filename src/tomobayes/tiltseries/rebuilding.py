"""References made of the very boxes that are compared with them, as the data set's parameters have it.

Where particles are few, each is compared with a map without its own fold: it never meets its own noise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.compute.executors import Executor
from tomobayes.fourier.slices import Accumulator
from tomobayes.fourier.volume import FourierVolume, Sums, from_map
from tomobayes.imaging.gathering import coarsest_pixel, folds_for
from tomobayes.imaging.noise import NoiseSums, spectrum
from tomobayes.imaging.views import odd_phase_factor, slice_rotation
from tomobayes.inference.halves import HalfSums, by_half
from tomobayes.inference.maximisation import solve, symmetrised
from tomobayes.inference.reconstruction import EmptyHalfError, sums_together
from tomobayes.inference.state import Settings
from tomobayes.maps.filters import multiply_shells
from tomobayes.maps.fsc import FscCurves, masked_fsc
from tomobayes.model import Dataset
from tomobayes.tiltseries.boxes import Boxes, Cutter, cut_holding, portions_of, transfers
from tomobayes.tiltseries.references import References, resolved_radius

__all__ = ["rebuilt"]

FoldSums = dict[tuple[int, int], Sums]


@dataclass(frozen=True)
class _Backprojection:
    """Σb and Σw, by half-set and fold, of the particles of one tilt series and optics group.

    Parameters
    ----------
    fold : (N,) of each particle of the data set
    box, pixel_size_angstrom : of the maps; radius : Fourier pixels up to which they are made
    """

    cutter: Cutter
    fold: NDArray[np.int64]
    box: int
    pixel_size_angstrom: float
    radius: int
    diameter_angstrom: float
    max_dose: float | None

    def __call__(self, rows: NDArray[np.int64]) -> FoldSums:
        sigma2 = spectrum(_added([_noise(boxes) for boxes in self._boxes(rows)]))
        sums: FoldSums = {}
        for boxes in self._boxes(rows):
            sums = sums_together(sums, self._sums(boxes, sigma2))
        return sums

    def _boxes(self, rows: NDArray[np.int64]) -> Iterator[Boxes]:
        extent = self.box * self.pixel_size_angstrom
        finest = self.radius / extent
        cut = cut_holding(self.cutter.dataset, rows, extent, finest, self.diameter_angstrom, self.max_dose)
        for portion in portions_of(self.cutter.dataset, rows, cut, finest):
            yield self.cutter(portion, cut, finest)

    def _sums(self, boxes: Boxes, sigma2: Tensor) -> FoldSums:
        data, weight = _statistics(boxes, sigma2, self._grey(boxes))
        table, points = self.cutter.dataset.particles, boxes.frequency * (self.box * self.pixel_size_angstrom)
        seen = slice_rotation(boxes.views) @ torch.from_numpy(table.rotation[boxes.particles])[:, None]
        sums: FoldSums = {}
        for half, fold in sorted(set(zip(table.half[boxes.particles].tolist(), self.fold[boxes.particles].tolist(), strict=True))):
            mine = torch.from_numpy((table.half[boxes.particles] == half) & (self.fold[boxes.particles] == fold))
            chosen = boxes.views.visible & mine[:, None]
            accumulator = Accumulator(self.box, self.radius)
            accumulator.insert(seen[chosen], torch.nn.functional.pad(points, (0, 1)), data[chosen], weight[chosen])
            sums[half, fold] = accumulator.sums()
        return sums

    def _grey(self, boxes: Boxes) -> float:
        """The grey value of a map is what a density adds to an unbinned pixel of the coarsest images along one voxel of theirs."""
        pixel = boxes.views.pixel_size_angstrom
        binning = self.pixel_size_angstrom / pixel
        return coarsest_pixel(self.cutter.dataset) / pixel * boxes.edge / (binning**3 * self.box)


def _noise(boxes: Boxes) -> NoiseSums:
    """Noise of images under V = 0: single images are nearly all noise."""
    power = boxes.image.real.square().sum(0) + boxes.image.imag.square().sum(0)
    bins, seen = int(boxes.shell[-1]) + 1, boxes.views.visible.sum(0).double()
    per_shell = torch.zeros(len(power), bins, dtype=torch.float64).index_add_(1, boxes.shell, power.double())
    count = torch.bincount(boxes.shell, minlength=bins) * seen[:, None]
    return NoiseSums(per_shell, 2 * boxes.window_share * count, count, boxes.views.dose)


def _added(parts: list[NoiseSums]) -> NoiseSums:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _statistics(boxes: Boxes, sigma2: Tensor, grey: float) -> tuple[Tensor, Tensor]:
    """b and w of every sample, (P, F, J)."""
    precision = (1 / sigma2)[:, boxes.shell].float()
    factor = transfers(boxes.views, boxes.frequency)
    scaled = factor * precision
    turn = grey * torch.ones(len(boxes.frequency), dtype=torch.complex64)
    if boxes.views.optics.odd_zernike:
        turn = turn * odd_phase_factor(boxes.views, boxes.frequency).conj()
    return boxes.image * scaled * turn, scaled * factor


def rebuilt(
    cutter: Cutter, usable: NDArray[np.bool_], settings: Settings, reach: int, max_dose: float | None, executor: Executor
) -> References:
    """Half maps from the images as the data set's parameters have them; where particles are few, each without its own fold.

    Parameters
    ----------
    cutter : of the data set; usable : (N,) which particles take part
    settings : of the maps
    reach : Fourier pixels up to which they may be resolved
    """
    dataset, reach = cutter.dataset, min(settings.largest_radius, reach)
    folds = folds_for(int(usable.sum()) // 2)
    fold = _dealt(dataset, usable, folds)
    task = _Backprojection(cutter, fold, settings.box, settings.pixel_size_angstrom, reach, settings.particle_diameter, max_dose)
    outcome = executor.map_reduce(task, groups_of(dataset, usable), sums_together)
    sums = outcome.result or {}
    if {half for half, _ in sums} != {1, 2}:
        raise EmptyHalfError(outcome.failures)
    group = torch.from_numpy(settings.group)
    halves = by_half({key: symmetrised(one, group) for key, one in sorted(sums.items())}, folds)
    curves = _agreement(halves, settings)
    resolved = min(reach, resolved_radius(curves))
    first, second = (tuple(_references(half, curves, resolved, settings)) for half in halves)
    return References((first, second), fold, settings.pixel_size_angstrom, resolved, curves, cut_radius=reach)


def _agreement(halves: HalfSums, settings: Settings) -> FscCurves:
    """FSC of the maps of both halves, all folds together."""
    first, second = (solve(_total(half), None).numpy() for half in halves)
    return masked_fsc(first, second, settings.pixel_size_angstrom, settings.mask, symmetry_order=len(settings.group))


def _references(folds: Sequence[Sums], curves: FscCurves, resolved: int, settings: Settings) -> Iterator[FourierVolume]:
    """For each fold the map of all others, masked, each shell weighted by its expected share of signal.

    The quotient Σb / Σw: the least-squares map is better where no image shows much, and there nothing is compared with it either.
    It would take longer than all else of an alignment.
    """
    total, shells = _total(folds), np.arange(len(curves.corrected))
    weight = np.where(shells <= total.radius, curves.corrected.clip(0, 1), 0)
    for fold in folds:
        quotient = solve(total if len(folds) == 1 else total - fold, None).numpy()
        yield from_map(torch.from_numpy(multiply_shells(quotient, weight) * settings.mask), resolved + 1)


def _total(folds: Sequence[Sums]) -> Sums:
    total = folds[0]
    for fold in folds[1:]:
        total = total + fold
    return total


def groups_of(dataset: Dataset, usable: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Rows of the usable particles of every tilt series and optics group."""
    table, rows = dataset.particles, np.flatnonzero(usable)
    keys = np.stack([table.tilt_series[rows], table.optics[rows]], 1)
    return [rows[(keys == key).all(1)] for key in np.unique(keys, axis=0)]


def _dealt(dataset: Dataset, usable: NDArray[np.bool_], folds: int) -> NDArray[np.int64]:
    """(N,) the fold of each particle; those of a half-set are dealt in turn."""
    fold = np.zeros(len(usable), dtype=np.int64)
    for half in (1, 2):
        members = np.flatnonzero((dataset.particles.half == half) & usable)
        fold[members] = np.arange(len(members)) % folds
    return fold

"""Maps of two half-sets from what the images of their folds add up to, as good as the halves' agreement allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tomobayes.fourier.volume import Sums
from tomobayes.inference.maximisation import solve, ssnr_from_fsc
from tomobayes.inference.reconstruction import FoldSums
from tomobayes.inference.state import FoldMaps, Settings
from tomobayes.maps.fsc import FscCurves, masked_fsc

__all__ = ["HalfSums", "Maps", "by_half", "regularised"]

HalfSums = tuple[Sequence[Sums], Sequence[Sums]]
"""Per half, Σb and Σw of each of its folds."""


@dataclass(frozen=True)
class Maps:
    """Maps of the two halves, fields as in ``State``: unregularised, filtered, and filtered without each fold."""

    half_maps: tuple[Tensor, Tensor]
    references: tuple[Tensor, Tensor]
    fold_references: FoldMaps


def by_half(sums: FoldSums, folds: int) -> HalfSums:
    """The sums of both halves, fold by fold; folds that have lost all their particles add nothing."""
    some = next(iter(sums.values()))
    nothing = Sums(torch.zeros_like(some.data), torch.zeros_like(some.weight), some.box, some.radius)
    one, two = ([sums.get((half, fold), nothing) for fold in range(folds)] for half in (1, 2))
    return one, two


def regularised(sums: HalfSums, settings: Settings) -> tuple[Maps, FscCurves]:
    """The maps that the sums of every fold and the FSC of the two halves make (eq 13), and that FSC."""
    totals = (_total(sums[0]), _total(sums[1]))
    halves = (solve(totals[0], None), solve(totals[1], None))
    curves = masked_fsc(
        halves[0].numpy(), halves[1].numpy(), settings.pixel_size_angstrom, settings.mask, symmetry_order=len(settings.group)
    )
    trusted = torch.from_numpy(np.where(np.arange(len(curves.corrected)) <= totals[0].radius, curves.corrected, 0))
    ssnr = ssnr_from_fsc(trusted, settings.tau2_fudge)
    references = (solve(totals[0], ssnr), solve(totals[1], ssnr))
    if len(sums[0]) == 1:
        return Maps(halves, references, (references[:1], references[1:])), curves
    without = [tuple(solve(total - fold, ssnr) for fold in folds) for total, folds in zip(totals, sums, strict=True)]
    return Maps(halves, references, (without[0], without[1])), curves


def _total(sums: Sequence[Sums]) -> Sums:
    total = sums[0]
    for one in sums[1:]:
        total = total + one
    return total

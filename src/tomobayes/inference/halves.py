"""Maps of two half-sets from what the images of their folds add up to, as good as the halves' agreement allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from tomobayes.compute.threads import side_by_side
from tomobayes.fourier.volume import Sums, radii
from tomobayes.inference.extent import extent_of, sphere
from tomobayes.inference.maximisation import solve, ssnr_from_fsc
from tomobayes.inference.reconstruction import FoldSums
from tomobayes.inference.state import FoldMaps, Settings
from tomobayes.maps.fsc import FscCurves, masked_fsc

__all__ = ["HalfSums", "Maps", "by_half", "of_all_images", "regularised", "shared_prior", "unfiltered"]

HalfSums = tuple[Sequence[Sums], Sequence[Sums]]
"""Per half, Σb and Σw of each of its folds."""


@dataclass(frozen=True)
class Maps:
    """Fields as in ``State``: unregularised maps of the two halves, the same filtered, filtered without each fold, and of all images."""

    half_maps: tuple[Tensor, Tensor]
    references: tuple[Tensor, Tensor]
    fold_references: FoldMaps
    merged: Tensor


def by_half(sums: FoldSums, folds: int) -> HalfSums:
    """The sums of both halves, fold by fold; folds that have lost all their particles add nothing."""
    some = next(iter(sums.values()))
    nothing = Sums(torch.zeros_like(some.data), torch.zeros_like(some.weight), some.box, some.radius)
    one, two = ([sums.get((half, fold), nothing) for fold in range(folds)] for half in (1, 2))
    return one, two


def regularised(sums: HalfSums, settings: Settings, together: int = 1) -> tuple[Maps, FscCurves]:
    """The maps that the sums of every fold and the FSC of the two halves make (eq 13), and that FSC.

    Below ``settings.join_resolution`` the references see the images of both halves, so that the two cannot drift apart; the half maps,
    whose FSC is taken, never do. ``together`` maps are solved for at a time.
    """
    totals = (_total(sums[0]), _total(sums[1]))
    half_maps, curves = unfiltered(totals, settings, together)
    ssnr = _trusted_ssnr(curves, totals[0].radius, settings.tau2_fudge)
    shared = joined_shells(settings)
    ssnr[: shared + 1] *= 2
    both = totals[0] + totals[1]

    def reference(half: int, fold: int | None) -> Tensor:
        own, everyone = (totals[half], both) if fold is None else (totals[half] - sums[half][fold], both - sums[half][fold])
        return solve(joined(own, everyone, shared), ssnr)

    left_out = [None] if len(sums[0]) == 1 else [None, *range(len(sums[0]))]
    calls = [partial(reference, half, fold) for half in (0, 1) for fold in left_out]
    slowest = partial(of_all_images, both, half_maps, curves, settings)
    merged, *found = side_by_side([slowest, *calls], together)
    one, two = found[: len(left_out)], found[len(left_out) :]
    without = (tuple(one[1:] or one), tuple(two[1:] or two))
    return Maps(half_maps, (one[0], two[0]), without, merged), curves


def unfiltered(totals: tuple[Sums, Sums], settings: Settings, together: int = 1) -> tuple[tuple[Tensor, Tensor], FscCurves]:
    """Maps (n, n, n) of two halves, each shell with the amplitude that the images give it, and their FSC."""

    def correlation(one: Tensor, two: Tensor) -> FscCurves:
        return masked_fsc(one.numpy(), two.numpy(), settings.pixel_size_angstrom, settings.mask, symmetry_order=len(settings.group))

    ssnr = shared_prior(totals, correlation, settings.tau2_fudge)
    first, second = side_by_side([partial(solve, total, ssnr, filtered=False) for total in totals], together)
    return (first, second), correlation(first, second)


def of_all_images(both: Sums, half_maps: tuple[Tensor, Tensor], curves: FscCurves, settings: Settings) -> Tensor:
    """The filtered map (n, n, n) of all images, expected to have its density where the particle is.

    That is inside the sphere of the particle's diameter or the mask, whichever reaches further, and elsewhere as far as the halves tell.
    """
    ball = sphere(settings.box, settings.particle_diameter / (settings.box * settings.pixel_size_angstrom))
    extent = extent_of(half_maps, curves, torch.maximum(ball, torch.from_numpy(settings.mask)))
    return solve(both, 2 * _trusted_ssnr(curves, both.radius, settings.tau2_fudge), extent=extent)


def joined_shells(settings: Settings) -> int:
    """Last shell in which the references of the two halves are one; -1 for none."""
    return -1 if settings.join_resolution is None else settings.shell(settings.join_resolution)


def joined(own: Sums, both: Sums, shells: int) -> Sums:
    """A half's own sums, with half of those of both halves in the first shells: the same map there, known twice as well."""
    if shells < 0:
        return own
    low = radii(own.data.shape[-1] - 1) <= shells + 0.5
    return replace(own, data=torch.where(low, both.data / 2, own.data), weight=torch.where(low, both.weight / 2, own.weight))


def shared_prior(totals: tuple[Sums, Sums], correlation: Callable[[Tensor, Tensor], FscCurves], tau2_fudge: float = 1.0) -> Tensor:
    """(radius+1,) signal-to-noise for the unfiltered maps of two halves, or of both, from how well their plain quotients agree.

    It is twice that of a half map: each half has half of the prior, so that the sum of the halves is weighted as the map of all images is.
    """
    plain = correlation(solve(totals[0], None), solve(totals[1], None))
    return 2 * _trusted_ssnr(plain, totals[0].radius, tau2_fudge)


def _trusted_ssnr(curves: FscCurves, radius: int, tau2_fudge: float) -> Tensor:
    trusted = np.where(np.arange(len(curves.corrected)) <= radius, curves.corrected, 0)
    return ssnr_from_fsc(torch.from_numpy(trusted), tau2_fudge)


def _total(sums: Sequence[Sums]) -> Sums:
    total = sums[0]
    for one in sums[1:]:
        total = total + one
    return total

"""Maps of all classes from what the images add to them: one map for what all have in common, and how each differs from it.

    V_k = μ + m·δ_k,    (Σ p_k·w + 1/τ_k²)·δ_k = Σ p_k·b - Σ p_k·w·μ

μ is known from all images and δ_k only as well as the half-sets agree about it (τ_k² from the FSC of the difference in both halves), so
a class that differs nowhere becomes the common map, and noise tells no classes apart. m is the focus: the whole particle or a part of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.fourier.volume import Sums
from tomobayes.inference.classification.expectation import ClassSums
from tomobayes.inference.classification.state import ClassMaps, ClassSettings
from tomobayes.inference.halves import of_all_images, unfiltered
from tomobayes.inference.maximisation import difference, solve, ssnr_from_fsc
from tomobayes.maps.spectra import shell_sum, transform

__all__ = ["class_maps", "difference_fsc"]

Float = NDArray[np.float64]


def class_maps(sums: ClassSums, settings: ClassSettings, folds: int) -> ClassMaps:
    """The maps that the sums of every half, fold and class make; folds that have lost all their particles add nothing."""
    n_classes = settings.n_classes
    every = _every(sums, folds, n_classes)
    halves = [
        (_total(every[1, fold, k] for fold in range(folds)), _total(every[2, fold, k] for fold in range(folds))) for k in range(n_classes)
    ]
    consensus, curves = unfiltered((_total(of[0] for of in halves), _total(of[1] for of in halves)), settings.images)
    found = [unfiltered(both, settings.images) for both in halves]
    whole = [of_all_images(one + two, maps, curve, settings.images) for (one, two), (maps, curve) in zip(halves, found, strict=True)]
    agreement = [_difference_fsc(maps, consensus, settings, halves[0][0].radius) for maps, _ in found]
    ssnr = 2 * _ssnr(curves.corrected, halves[0][0].radius, settings)
    tell = [2 * _ssnr(curve, halves[0][0].radius, settings) for curve in agreement]

    def compared(half: int, fold: int) -> tuple[Tensor, ...]:
        others = [_total(one for key, one in every.items() if key[2] == k and key[:2] != (half, fold)) for k in range(n_classes)]
        return _references(others, ssnr, tell, settings)

    return ClassMaps(
        references=(tuple(compared(1, fold) for fold in range(folds)), tuple(compared(2, fold) for fold in range(folds))),
        maps=tuple(whole),
        half_maps=tuple(maps for maps, _ in found),
        fsc=tuple(curve for _, curve in found),
        consensus_fsc=curves,
        difference_fsc=tuple(agreement),
    )


def _every(sums: ClassSums, folds: int, n_classes: int) -> dict[tuple[int, int, int], Sums]:
    some = next(iter(sums.values()))
    nothing = Sums(torch.zeros_like(some.data), torch.zeros_like(some.weight), some.box, some.radius)
    keys = [(half, fold, k) for half in (1, 2) for fold in range(folds) for k in range(n_classes)]
    return {key: sums.get(key, nothing) for key in keys}


def _total(parts: Iterable[Sums]) -> Sums:
    return reduce(Sums.__add__, parts)


def _ssnr(curve: Float, radius: int, settings: ClassSettings) -> Tensor:
    trusted = np.where(np.arange(len(curve)) <= radius, curve, 0)
    return ssnr_from_fsc(torch.from_numpy(trusted), settings.images.tau2_fudge)


def _difference_fsc(maps: tuple[Tensor, Tensor], consensus: tuple[Tensor, Tensor], settings: ClassSettings, radius: int) -> Float:
    focus = settings.focus
    one, two = ((own - common).numpy() * focus for own, common in zip(maps, consensus, strict=True))
    return difference_fsc(one, two)


def difference_fsc(one: NDArray[np.float32], two: NDArray[np.float32]) -> Float:
    """FSC of two difference maps, (n//2+1,), each shell with its neighbours: small parts have few independent voxels."""
    box = len(one)
    a, b = transform(one), transform(two)
    sums = np.stack([shell_sum(values, box) for values in ((a * b.conj()).real, np.abs(a) ** 2, np.abs(b) ** 2)])
    near = np.pad(sums, ((0, 0), (1, 1)))
    cross, first, second = near[:, :-2] + near[:, 1:-1] + near[:, 2:]
    power = np.sqrt(first * second)
    return np.asarray(np.divide(cross, power, out=np.zeros_like(cross), where=power > 0))


def _references(sums: Sequence[Sums], ssnr: Tensor, tell: Sequence[Tensor], settings: ClassSettings) -> tuple[Tensor, ...]:
    """The maps of all classes inside the solvent mask, and after them the map they have in common."""
    solvent, focus = torch.from_numpy(settings.images.mask), torch.from_numpy(settings.focus)
    common = solve(_total(sums), ssnr) * solvent
    if len(sums) == 1:
        return common, common
    return (*(common + focus * difference(one, common, known) for one, known in zip(sums, tell, strict=True)), common)

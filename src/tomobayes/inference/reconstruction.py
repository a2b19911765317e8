"""Maps of two half-sets from poses that are given, and the noise of the images before any map is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

import torch
from torch import Tensor

from tomobayes.compute.device import CPU, best_device, moved
from tomobayes.compute.executors import Executor, Failure, Outcome
from tomobayes.fourier.slices import Accumulator
from tomobayes.fourier.volume import Sums
from tomobayes.imaging.gathering import Portion, rows_of
from tomobayes.imaging.noise import NoiseSums, precision, signal_free_sums, spectra
from tomobayes.imaging.observation import Statistics
from tomobayes.inference.maximisation import backproject, symmetrised

__all__ = [
    "EmptyHalfError",
    "FoldSums",
    "Gather",
    "NoiseSpectra",
    "added",
    "noise_spectra",
    "reconstruct_halves",
    "set_aside",
    "signal_free_noise",
    "sums_together",
]

Gather = Callable[[Portion], Statistics]
NoiseSpectra = Mapping[tuple[int, int], Tensor]
"""(tilt series, half) -> σ² per tilt and shell, (F, R+1)."""
FoldSums = Mapping[tuple[int, int], Sums]
"""(half, fold) -> Σb and Σw."""


class EmptyHalfError(RuntimeError):
    """Raised where a half-set has lost all its particles; the account of the first failure is noted."""

    def __init__(self, failures: Sequence[Failure[Any]]):
        super().__init__("no particle of a half-set could be worked on" + "".join(f" ({failure.error})" for failure in failures[:1]))
        for failure in failures[:1]:
            self.add_note(failure.account)


Key = TypeVar("Key")


def sums_together(total: dict[Key, Sums], more: Mapping[Key, Sums]) -> dict[Key, Sums]:
    """``total`` with more added in place: these are the largest arrays there are, and copies would cost as much again."""
    for key, new in more.items():
        if key in total:
            total[key].data.add_(new.data)
            total[key].weight.add_(new.weight)
        else:
            total[key] = new
    return total


class Addable(Protocol):
    """What has a sum."""

    def __add__(self, other: Self) -> Self: ...


Value = TypeVar("Value", bound=Addable)


def added(one: Mapping[Key, Value], two: Mapping[Key, Value]) -> dict[Key, Value]:
    """Both mappings in one; where both have a key, the sum of its values."""
    return {**one, **{key: one[key] + value if key in one else value for key, value in two.items()}}


def set_aside(failures: Sequence[Failure[Portion]]) -> dict[int, str]:
    """Tilt series whose images cannot be worked on, and why not."""
    return {failure.task.tilt_series: failure.error for failure in failures}


@dataclass(frozen=True)
class _SignalFree:
    """Noise of a portion's images under V = 0."""

    gather: Gather

    def __call__(self, part: Portion) -> dict[tuple[int, int], NoiseSums]:
        return {(part.tilt_series, part.half): signal_free_sums(self.gather(part))}


def signal_free_noise(parts: Sequence[Portion], gather: Gather, executor: Executor) -> tuple[dict[tuple[int, int], Tensor], dict[int, str]]:
    """Noise spectra under V = 0, one per tilt series and half-set; and tilt series that had to be set aside."""
    outcome = executor.map_reduce(_SignalFree(gather), parts, added)
    return noise_spectra(_of_both_halves(outcome, 1), parts), set_aside(outcome.failures)


def noise_spectra(sums: Mapping[tuple[int, int], NoiseSums], parts: Sequence[Portion]) -> dict[tuple[int, int], Tensor]:
    """Noise spectra of each tilt series and half-set, those of an optics group and half-set helping each other."""
    optics = {(part.tilt_series, part.half): part.optics for part in parts}
    groups: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for key in sums:
        groups.setdefault((optics[key], key[1]), []).append(key)
    found = {key: one for keys in groups.values() for key, one in zip(keys, spectra([sums[key] for key in keys]), strict=True)}
    return {key: found[key] for key in sums}


def _of_both_halves(outcome: Outcome[Portion, dict[tuple[int, int], Value]], place: int) -> dict[tuple[int, int], Value]:
    """The result, if there is one of each half; its number is at some place of the keys."""
    result = outcome.result or {}
    if len({key[place] for key in result}) < 2:
        raise EmptyHalfError(outcome.failures)
    return result


@dataclass(frozen=True)
class _Backprojection:
    """Σb and Σw of a portion's particles at their given poses, fold by fold."""

    gather: Gather
    sigma2: NoiseSpectra
    rotation: Tensor
    centre_angstrom: Tensor
    box: int
    radius: int

    def __call__(self, part: Portion) -> dict[tuple[int, int], Sums]:
        place = best_device()
        statistics, rotation, centre, sigma2 = moved(
            (self.gather(part), self.rotation, self.centre_angstrom, self.sigma2[part.tilt_series, part.half]), place
        )
        weight = precision(statistics, sigma2)
        sums = {}
        for fold in dict.fromkeys(part.folds.tolist()):
            some, rows = part.rows_of(fold), torch.from_numpy(part.particles[part.rows_of(fold)])
            accumulator = Accumulator(self.box, self.radius, place)
            backproject(accumulator, rows_of(statistics, some), weight, rotation[rows], centre[rows])
            sums[part.half, fold] = moved(accumulator.sums(), CPU)
        return sums


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
    executor: Executor,
) -> tuple[dict[tuple[int, int], Sums], dict[int, str]]:
    """Σb and Σw of each fold of each half-set, every particle inserted at its one given pose; and tilt series set aside.

    Parameters
    ----------
    rotation, centre_angstrom : (P, 3, 3) reference -> tomogram and (P, 3) in the tomogram, of all particles of the data set
    box : edge of the map; radius : finest Fourier radius inserted, < box/2
    group : (G, 3, 3) point group
    """
    outcome = executor.map_reduce(_Backprojection(gather, sigma2, rotation, centre_angstrom, box, radius), parts, sums_together)
    sums = {key: symmetrised(one, group) for key, one in sorted(_of_both_halves(outcome, 0).items())}
    return sums, set_aside(outcome.failures)

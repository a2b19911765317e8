"""Which class the images of each particle show, and what that adds to every class: the expectation at given poses.

    p(k | X) ∝ π_k · exp( Re Σ conj(b)·V_k - ½ Σ w·|V_k|² )

with b and w of the particle at its pose. Where poses are known this is the whole expectation; the sum over poses goes inside the
exponential otherwise. Occupancies that weigh the images in a reconstruction (FREALIGN's) are these same p(k | X).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.compute.device import CPU, best_device, moved
from tomobayes.fourier.slices import Accumulator, extract_slices
from tomobayes.fourier.volume import FourierVolume, Sums, from_map
from tomobayes.imaging.gathering import Portion, rows_of
from tomobayes.imaging.noise import NoiseSums, precision, residual_sums
from tomobayes.imaging.observation import Statistics
from tomobayes.inference.classification.state import ClassSettings, ClassState
from tomobayes.inference.falloff import FalloffSums, envelope
from tomobayes.inference.gain import GainSums
from tomobayes.inference.likelihood import shift_phases
from tomobayes.inference.maximisation import relative_pose
from tomobayes.inference.reconstruction import Gather, added, sums_together

__all__ = ["Aligned", "ClassExpectation", "ClassFound", "ClassSums", "aligned", "class_found_together", "class_scores", "memberships"]

ClassSums = Mapping[tuple[int, int, int], Sums]
"""(half, fold, class) -> Σb and Σw."""

BATCH_FLOATS = 24_000_000
"""Largest number of floats of the slices that are in memory at a time."""
LEAST = 1e-4
"""Particles that belong to a class with a smaller probability add nothing to it."""


@dataclass(frozen=True)
class ClassFound:
    """What expectations of some portions find.

    Parameters
    ----------
    sums : (half, fold, class) -> Σb and Σw
    noise, particles, gains, falloffs : as of a refinement's ``Found``; no noise and no gains where there was nothing to compare with
    posterior : (p, K); log_evidence, gain_nats : (p,), of the same particles
    """

    sums: dict[tuple[int, int, int], Sums]
    noise: Mapping[tuple[int, int], NoiseSums]
    particles: NDArray[np.int64]
    posterior: Tensor
    log_evidence: Tensor
    gain_nats: Tensor
    gains: tuple[GainSums, ...]
    falloffs: Mapping[tuple[int, int], FalloffSums]


def class_found_together(one: ClassFound, two: ClassFound) -> ClassFound:
    """What two expectations find; the sums of the first become those of both."""
    return ClassFound(
        sums_together(one.sums, two.sums),
        added(one.noise, two.noise),
        np.concatenate([one.particles, two.particles]),
        torch.cat([one.posterior, two.posterior]),
        torch.cat([one.log_evidence, two.log_evidence]),
        torch.cat([one.gain_nats, two.gain_nats]),
        one.gains + two.gains,
        added(one.falloffs, two.falloffs),
    )


@dataclass(frozen=True)
class Aligned:
    """The images of some particles, moved to where their particles are.

    Parameters
    ----------
    rotation : (P, 3, 3) reference -> shared frame; points : (n, 3)
    data : (P, n) complex64, D; weight : (P, n) float32, W; precision : (n,) float32, 1/σ²
    """

    rotation: Tensor
    points: Tensor
    data: Tensor
    weight: Tensor
    precision: Tensor

    def batches(self, maps: int = 1) -> Iterator[slice]:
        """Rows whose slices of so many maps fit into memory together."""
        step = max(1, BATCH_FLOATS // (2 * max(maps, 1) * len(self.points)))
        return (slice(start, start + step) for start in range(0, len(self.data), step))


def aligned(statistics: Statistics, weight: Tensor, rotation: Tensor, centre_angstrom: Tensor, radius: int) -> Aligned:
    """Statistics up to a Fourier radius at one pose per particle.

    Parameters
    ----------
    weight : (Q,) 1/σ²; rotation, centre_angstrom : (P, 3, 3) and (P, 3) in the tomogram
    """
    n = statistics.count(radius)
    points = statistics.points[:n]
    frame_rotation, shift = relative_pose(statistics, rotation, centre_angstrom)
    data = statistics.data[:, :n]
    if shift.any():
        data = data * shift_phases(points, shift, statistics.box)
    return Aligned(frame_rotation.float(), points, data, statistics.weight[:, :n], weight[:n])


def class_scores(images: Aligned, rows: slice, slices: Sequence[Tensor]) -> Tensor:
    """(B, M) log likelihood of a batch of particles under M maps, nats relative to an empty map, from each map's slices (B, n)."""
    data, weight = images.data[rows], images.weight[rows]
    scores = [images.precision @ ((data.conj() * one).real - 0.5 * weight * one.abs().square()).T for one in slices]
    return torch.stack(scores, 1).double()


def memberships(scores: Tensor, occupancy: Tensor) -> tuple[Tensor, Tensor]:
    """(B, K) posterior of the classes and (B,) log evidence, from log likelihoods (B, K) and occupancies (K,)."""
    joint = scores + occupancy.clamp_min(1e-300).log()
    total = torch.logsumexp(joint, 1)
    return torch.exp(joint - total[:, None]), total


@dataclass(frozen=True)
class _Compared:
    """What a group of particles shows in the light of the maps of all classes."""

    posterior: Tensor
    log_evidence: Tensor
    gain_nats: Tensor
    residual: Tensor
    strength: Tensor


@dataclass(frozen=True)
class ClassExpectation:
    """The expectation of a portion's particles under a state."""

    gather: Gather
    settings: ClassSettings
    state: ClassState
    _volumes: dict[tuple[int, int], list[FourierVolume]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __call__(self, part: Portion) -> ClassFound:
        statistics = self.gather(part)
        found: ClassFound | None = None
        for fold in dict.fromkeys(part.folds.tolist()):
            rows = part.rows_of(fold)
            one = self._of_fold(replace(part, particles=part.particles[rows], folds=part.folds[rows]), rows_of(statistics, rows), fold)
            found = one if found is None else class_found_together(found, one)
        assert found is not None
        return found

    def _of_fold(self, part: Portion, plain: Statistics, fold: int) -> ClassFound:
        state, key, rows, place = self.state, (part.tilt_series, part.half), torch.from_numpy(part.particles), best_device()
        gain, falloff = state.gain[key][state.slots(part)], state.falloff[key]
        plain, gain, sigma2, rotation, centre = moved(
            (plain, gain, state.sigma2[key], state.rotation[rows], state.centre_angstrom[rows]), place
        )
        statistics = plain.with_gain(gain, envelope(plain.shell, falloff.to(place)))
        images = aligned(statistics, precision(statistics, sigma2), rotation, centre, state.radius)
        if state.maps is None:
            posterior, blank = state.posterior[rows], torch.zeros(len(rows), dtype=torch.float64)
            return ClassFound(self._sums(images, posterior, part.half, fold), {}, part.particles, posterior, blank, blank, (), {})
        seen = self._compared(statistics, images, self._references(part.half, fold))
        sums = self._sums(images, seen.posterior, part.half, fold)
        of_particles, of_shells = seen.strength.sum(2), seen.strength.sum(0)
        gains = moved(GainSums(of_particles[:, 0], of_particles[:, 1]), CPU).without(gain.to(CPU))
        fall = moved(FalloffSums(*of_shells), CPU).without(falloff)
        noise = moved(residual_sums(statistics, seen.residual), CPU)
        told = moved((seen.posterior, seen.log_evidence, seen.gain_nats), CPU)
        return ClassFound(sums, {key: noise}, part.particles, *told, gains.each(), {key: fall})

    def _compared(self, statistics: Statistics, images: Aligned, volumes: Sequence[FourierVolume]) -> _Compared:
        """Memberships; the posterior mean of |D - W·V|², (n,); Re Σ conj(b)·V and Σ w·|V|² of each particle, shell and tilt."""
        occupancy = self.state.occupancy.to(images.data.device)
        shell = statistics.shell[: len(images.points) // statistics.n_tilts]
        residual = torch.zeros(len(images.points), device=images.data.device)
        parts = []
        for rows in images.batches(len(volumes)):
            slices = [extract_slices(one, images.rotation[rows], images.points) for one in volumes]
            scores = class_scores(images, rows, slices)
            posterior, evidence = memberships(scores[:, : len(occupancy)], occupancy)
            expected = torch.stack([p[:, None].float() * one for p, one in zip(posterior.T, slices, strict=False)]).sum(0)
            power = torch.stack([p[:, None].float() * one.abs().square() for p, one in zip(posterior.T, slices, strict=False)]).sum(0)
            agreement, power = (images.data[rows].conj() * expected).real, images.weight[rows] * power
            residual += (images.data[rows].abs().square() + images.weight[rows] * (power - 2 * agreement)).sum(0)
            both = (images.precision * torch.stack([agreement, power], 1)).double()
            strength = both.new_zeros(len(both), 2, statistics.box // 2 + 1, statistics.n_tilts)
            strength.index_add_(2, shell, both.reshape(len(both), 2, -1, statistics.n_tilts))
            parts.append((posterior, evidence, evidence - scores[:, -1], strength))
        told, evidence, gain, strength = (torch.cat(column) for column in zip(*parts, strict=True))
        return _Compared(told, evidence, gain, residual, strength)

    def _sums(self, images: Aligned, posterior: Tensor, half: int, fold: int) -> dict[tuple[int, int, int], Sums]:
        """Σ p·b and Σ p·w of every class."""
        found = {}
        for k, share in enumerate(posterior.to(images.data.device).float().T):
            accumulator = Accumulator(self.settings.images.box, self.state.radius, images.data.device)
            for rows in images.batches():
                some = share[rows] > LEAST
                if not some.any():
                    continue
                weight = share[rows][some, None] * images.precision
                data = torch.view_as_complex(torch.view_as_real(images.data[rows][some]) * weight[..., None])
                accumulator.insert(images.rotation[rows][some], images.points, data, images.weight[rows][some] * weight)
            found[half, fold, k] = moved(accumulator.sums(), CPU)
        return found

    def _references(self, half: int, fold: int) -> list[FourierVolume]:
        """Transforms of what the particles of a fold are compared with; those of the other half are forgotten."""
        assert self.state.maps is not None
        if (half, fold) not in self._volumes:
            for other in [key for key in self._volumes if key[0] != half]:
                del self._volumes[other]
            maps = self.state.maps.references[half - 1][fold]
            self._volumes[half, fold] = [from_map(one.to(best_device()), self.state.radius) for one in maps]
        return self._volumes[half, fold]

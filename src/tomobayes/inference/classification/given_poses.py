"""Which class the images of each particle show where its pose is known: the expectation without a search.

    p(k | X) ∝ π_k · exp( Re Σ conj(b)·V_k - ½ Σ w·|V_k|² )

with b and w of the particle at its pose. Occupancies that weigh the images in a reconstruction (FREALIGN's) are these same p(k | X).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tomobayes.fourier.slices import Accumulator, extract_slices
from tomobayes.imaging.noise import residual_sums
from tomobayes.imaging.observation import Statistics
from tomobayes.inference.classification.climb import hops
from tomobayes.inference.classification.seen import LEAST, References, Seen, memberships
from tomobayes.inference.classification.state import Climb
from tomobayes.inference.falloff import FalloffSums
from tomobayes.inference.gain import GainSums
from tomobayes.inference.likelihood import shift_phases
from tomobayes.inference.maximisation import relative_pose

__all__ = ["Aligned", "aligned", "class_scores", "compared", "insert_classes"]

BATCH_FLOATS = 24_000_000
"""Largest number of floats of the slices that are in memory at a time."""


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


def compared(
    statistics: Statistics,
    images: Aligned,
    references: References,
    occupancy: Tensor,
    climb: Climb | None = None,
    before: Tensor | None = None,
) -> Seen:
    """Memberships of a group of particles, and what their images say about noise and strength in the light of the maps of all classes.

    Parameters
    ----------
    climb, before : choose one class for each particle, from the posterior (P, K) of before, instead of weighing all
    """
    volumes = (*references.classes, references.common)
    occupancy = occupancy.to(images.data.device)
    shell = statistics.shell[: len(images.points) // statistics.n_tilts]
    residual = torch.zeros(len(images.points), device=images.data.device)
    parts = []
    for rows in images.batches(len(volumes)):
        slices = [extract_slices(one, images.rotation[rows], images.points) for one in volumes]
        scores = class_scores(images, rows, slices)
        posterior, evidence = memberships(scores[:, : len(occupancy)], occupancy)
        if climb is not None and before is not None:
            posterior = hops(scores[:, : len(occupancy)], before[rows], statistics.particles[rows], climb)
        expected = torch.stack([p[:, None].float() * one for p, one in zip(posterior.T, slices, strict=False)]).sum(0)
        power = torch.stack([p[:, None].float() * one.abs().square() for p, one in zip(posterior.T, slices, strict=False)]).sum(0)
        agreement, power = (images.data[rows].conj() * expected).real, images.weight[rows] * power
        residual += (images.data[rows].abs().square() + images.weight[rows] * (power - 2 * agreement)).sum(0)
        both = (images.precision * torch.stack([agreement, power], 1)).double()
        strength = both.new_zeros(len(both), 2, statistics.box // 2 + 1, statistics.n_tilts)
        strength.index_add_(2, shell, both.reshape(len(both), 2, -1, statistics.n_tilts))
        parts.append((posterior, evidence, evidence - scores[:, -1], strength))
    told, evidence, gain, strength = (torch.cat(column) for column in zip(*parts, strict=True))
    of_particles, of_shells = strength.sum(2), strength.sum(0)
    strengths = GainSums(of_particles[:, 0], of_particles[:, 1])
    return Seen(told, evidence, gain, None, residual_sums(statistics, residual), strengths, FalloffSums(*of_shells))


def insert_classes(images: Aligned, posterior: Tensor, accumulators: Sequence[Accumulator]) -> None:
    """Σ p·b and Σ p·w of every class, each into its accumulator."""
    for share, accumulator in zip(posterior.to(images.data.device).float().T, accumulators, strict=True):
        for rows in images.batches():
            some = share[rows] > LEAST
            if not some.any():
                continue
            weight = share[rows][some, None] * images.precision
            data = torch.view_as_complex(torch.view_as_real(images.data[rows][some]) * weight[..., None])
            accumulator.insert(images.rotation[rows][some], images.points, data, images.weight[rows][some] * weight)

"""Which class and which pose the images of each particle show, both unknown: one more sum around that over poses.

    p(k, A, T | X) ∝ π_k · p(A, T) · p(X | A, T, V_k)

so p(k | X) ∝ π_k · Z_k with Z_k = ∫ p(A, T) · p(X | A, T, V_k), the evidence of the same search of poses that a refinement makes, once
for every class. Where a mask says by which part particles are aligned, poses are those of that part of the common map alone and classes
are told apart at them, p(k, A, T | X) = q(A, T) · p(k | A, T, X): what classes differ in cannot turn the particles.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tomobayes.fourier.slices import Accumulator
from tomobayes.imaging.noise import residual_sums
from tomobayes.inference.classification.seen import LEAST, References, Seen, memberships
from tomobayes.inference.expectation import PoseEstimates, accumulate, summary
from tomobayes.inference.falloff import FalloffSums
from tomobayes.inference.gain import GainSums
from tomobayes.inference.posterior import Posterior, trimmed
from tomobayes.inference.sampling import Plan
from tomobayes.inference.search import searched
from tomobayes.inference.task import Task, own_scores

__all__ = ["Believed", "apart", "expect_classes", "jointly"]


@dataclass(frozen=True)
class Believed:
    """What is believed of one particle.

    Parameters
    ----------
    poses : of each class, whose probabilities sum to that of the class; None where that is next to nothing
    log_evidence : nats; gain_nats : log of how much likelier the maps of all classes make the images than their common map does
    """

    poses: tuple[Posterior | None, ...]
    log_evidence: float
    gain_nats: float

    @property
    def probability(self) -> Tensor:
        """(K,) of each class."""
        return torch.tensor([0.0 if one is None else float(one.probability.double().sum()) for one in self.poses], dtype=torch.float64)

    @property
    def likeliest(self) -> Posterior:
        """Poses of the likeliest class, summing to one."""
        best = self.poses[int(self.probability.argmax())]
        assert best is not None
        return replace(best, probability=best.probability / best.probability.sum())


def jointly(task: Task, references: References, plan: Plan, grid: Tensor | None, occupancy: Tensor) -> Iterator[Believed]:
    """Every class with its own search of poses; how likely the common map is, at the poses of the likeliest class."""
    common = replace(task, volume=references.common)
    for found in zip(*(searched(replace(task, volume=one), plan, grid) for one in references.classes), strict=True):
        scores = torch.tensor([[one.log_evidence for one in found]], dtype=torch.float64)
        share, evidence = memberships(scores, occupancy.cpu())
        poses = tuple(_weighed(trimmed(one), float(p)) for one, p in zip(found, share[0], strict=True))
        best = int(share[0].argmax())
        lead = float(evidence) - found[best].log_evidence
        yield Believed(poses, float(evidence), lead - _log_ratio(trimmed(found[best]), common))


def _weighed(posterior: Posterior, share: float) -> Posterior | None:
    return replace(posterior, probability=share * posterior.probability) if share > LEAST else None


def _log_ratio(posterior: Posterior, other: Task) -> float:
    """log Z'/Z of another map's evidence over a posterior's, the mean of the ratio of their likelihoods over its poses."""
    score, _ = own_scores(other, posterior.row, posterior.rotations, posterior.shifts_px)
    ratio = (score - posterior.log_density).double() + posterior.probability.double().clamp_min(1e-30).log()
    return float(torch.logsumexp(ratio.flatten(), 0))


def apart(task: Task, references: References, plan: Plan, grid: Tensor | None, occupancy: Tensor) -> Iterator[Believed]:
    """One search of poses with the part that particles are aligned by, and at each of those poses the classes."""
    assert references.alignment is not None
    log_occupancy = occupancy.to(task.data.device).clamp_min(1e-300).log()
    for wide in searched(replace(task, volume=references.alignment), plan, grid):
        aligned = trimmed(wide)
        where = aligned.row, aligned.rotations, aligned.shifts_px
        scored = [own_scores(replace(task, volume=one), *where) for one in references.classes]
        joint = torch.stack([score for score, _ in scored]).double() + log_occupancy[:, None, None]
        total = torch.logsumexp(joint, 0)
        share = torch.exp(joint - total) * aligned.probability
        kept = [_told(aligned, p.float(), *one) for p, one in zip(share, scored, strict=True)]
        alike, _ = own_scores(replace(task, volume=references.common), *where)
        gain = float((aligned.probability * (total - alike)).sum())
        yield Believed(tuple(kept), wide.log_evidence + gain, gain)


def _told(aligned: Posterior, share: Tensor, score: Tensor, slices: Tensor) -> Posterior | None:
    """The poses of a class that has a share (M, K) of them."""
    return replace(aligned, probability=share, log_density=score, slices=slices) if float(share.sum()) > LEAST else None


def expect_classes(task: Task, precision: Tensor, believed: Iterator[Believed], accumulators: Sequence[Accumulator]) -> Seen:
    """What is believed of each of a task's particles in turn, summed up; Σb and Σw of each class go into its accumulator."""
    statistics, rows, estimates = task.statistics, [], []
    residual: Tensor | None = None
    strength = torch.zeros(len(task.data), 2, statistics.box // 2 + 1, statistics.n_tilts, dtype=torch.float64, device=precision.device)
    for row, one in enumerate(believed):
        for poses, accumulator in zip(one.poses, accumulators, strict=True):
            if poses is not None:
                own, power = accumulate(statistics, precision, poses, accumulator)
                residual = own if residual is None else residual + own
                strength[row] += power
        rows.append((one.probability, torch.tensor([one.log_evidence, one.gain_nats], dtype=torch.float64)))
        estimates.append(summary(statistics, task.prior, one.likeliest))
    assert residual is not None
    posterior, told = (torch.stack(column) for column in zip(*rows, strict=True))
    of_particles, of_shells = strength.sum(2), strength.sum(0)
    return Seen(
        posterior / posterior.sum(1, keepdim=True),
        told[:, 0],
        told[:, 1],
        PoseEstimates(*(torch.stack(column) for column in zip(*estimates, strict=True))),
        residual_sums(statistics, residual),
        GainSums(of_particles[:, 0], of_particles[:, 1]),
        FalloffSums(*of_shells),
    )

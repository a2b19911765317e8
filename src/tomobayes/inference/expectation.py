"""The one expectation: what the posterior of every particle's pose says, and what it adds to the maximisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from tomobayes.fourier.slices import Accumulator
from tomobayes.fourier.volume import FourierVolume
from tomobayes.geometry.rotations import matrix_from_vector, vector_from_matrix
from tomobayes.imaging.noise import NoiseSums, residual_sums
from tomobayes.imaging.observation import Statistics
from tomobayes.inference.falloff import FalloffSums
from tomobayes.inference.gain import GainSums
from tomobayes.inference.likelihood import shift_phases
from tomobayes.inference.posterior import Posterior, trimmed
from tomobayes.inference.priors import PosePrior
from tomobayes.inference.sampling import Plan
from tomobayes.inference.search import posteriors

__all__ = ["PoseEstimates", "accumulate", "expect", "summary"]


@dataclass(frozen=True)
class PoseEstimates:
    """Posterior means and widths of P particles, in the tomogram's frame.

    Parameters
    ----------
    rotation : (P, 3, 3); centre_angstrom : (P, 3)
    sigma_rotation : (P,) degrees, sigma_shift_angstrom : (P,), standard deviations of one component
    spread_angstrom2 : (P,) posterior mean of the squared distance from the prior centre
    best_probability : (P,) largest share that one pose of the sum has: of a grid, or of the nodes of a cubature (0.4² for a Gaussian)
    significant : (P,) number of poses that hold the mass; log_evidence : (P,) nats, over radians and box pixels
    discarded : (P,) share of the posterior that the coarse levels of the search dropped, as they saw it
    """

    rotation: Tensor
    centre_angstrom: Tensor
    sigma_rotation: Tensor
    sigma_shift_angstrom: Tensor
    spread_angstrom2: Tensor
    best_probability: Tensor
    significant: Tensor
    log_evidence: Tensor
    discarded: Tensor

    def together(self, other: PoseEstimates) -> PoseEstimates:
        """Of these particles and then of others."""
        return PoseEstimates(*(torch.cat([getattr(each, one.name) for each in (self, other)]) for one in fields(PoseEstimates)))

    def chosen(self, rows: Tensor) -> PoseEstimates:
        """Of some of the particles, in the order given."""
        return PoseEstimates(*(getattr(self, one.name)[rows] for one in fields(PoseEstimates)))


def accumulate(statistics: Statistics, precision: Tensor, posterior: Posterior, accumulator: Accumulator) -> tuple[Tensor, Tensor]:
    """Insert Σ_T p·b and p·w at every orientation; where the particle may show other maps, p sums to the probability of this one.

    Returns
    -------
    Σ p·|D - W·V|², (Q',) over the compared samples, and Re Σ conj(b)·V and Σ w·|V|² per shell and tilt, (2, R+1, F)
    """
    n = statistics.count(accumulator.radius)
    row, points = posterior.row, statistics.points[:n]
    moved = statistics.data[row, :n] * shift_phases(points, posterior.shifts_px, statistics.box)
    share = posterior.probability.sum(0)
    data = torch.view_as_complex((posterior.probability.T @ torch.view_as_real(moved).flatten(1)).reshape(-1, n, 2))
    weight = statistics.weight[row, :n]
    accumulator.insert(posterior.rotations, points, data * precision[:n], share[:, None] * (weight * precision[:n]))
    q = min(n, posterior.slices.shape[1])
    weight, slices = weight[:q], posterior.slices[:, :q]
    agreement = (data[:, :q].conj() * slices).real.sum(0)
    power = weight * (share[:, None] * (slices.real.square() + slices.imag.square())).sum(0)
    residual = share.sum() * statistics.data[row, :q].abs().square() + weight * (power - 2 * agreement)
    strength = (precision[:q] * torch.stack([agreement, power])).reshape(2, -1, statistics.n_tilts).double()
    shell = statistics.shell[: strength.shape[1]]
    return residual, strength.new_zeros(2, statistics.box // 2 + 1, statistics.n_tilts).index_add_(1, shell, strength)


def summary(statistics: Statistics, prior: PosePrior, posterior: Posterior) -> tuple[Tensor, ...]:
    """Mean pose in the tomogram and the widths around it: one particle's fields of ``PoseEstimates``, in their order."""
    row, probability = posterior.row, posterior.probability.double()
    share, place = probability.sum(0), probability.sum(1)
    best = posterior.rotations[share.argmax()].double()
    vectors = vector_from_matrix(best.T @ posterior.rotations.double())
    near = share * (vectors.norm(dim=-1) < 0.35)  # one mode: the mean of two far apart is neither
    turn = (near[:, None] * vectors).sum(0) / near.sum()
    shift = (place[:, None] * posterior.shifts_px.double()).sum(0)
    if posterior.covariance is None:
        variance = (near * (vectors - turn).square().sum(-1)).sum() / near.sum() / 3
        spread = (place * (posterior.shifts_px.double() - shift).square().sum(-1)).sum() / 3
    else:
        variance, spread = posterior.covariance.diagonal().reshape(2, 3).mean(1)
    frame = statistics.frame[row]
    pixel = statistics.pixel_size_angstrom
    places = statistics.anchor_angstrom[row] + pixel * (posterior.shifts_px.double() @ frame.T)
    return (
        frame @ best @ matrix_from_vector(turn),
        statistics.anchor_angstrom[row] + pixel * (frame @ shift),
        torch.rad2deg(variance.sqrt()),
        pixel * spread.sqrt(),
        (place * (places - prior.centre_angstrom[row]).square().sum(-1)).sum(),
        probability.max(),
        (probability > probability.max() * 1e-3).sum().double(),
        torch.as_tensor(posterior.log_evidence, dtype=torch.float64, device=frame.device),
        torch.as_tensor(posterior.discarded, dtype=torch.float64, device=frame.device),
    )


def expect(
    statistics: Statistics,
    precision: Tensor,
    volume: FourierVolume,
    prior: PosePrior,
    plan: Plan,
    rotation: Tensor,
    centre_angstrom: Tensor,
    accumulators: Sequence[Accumulator],
    grid: Tensor | None = None,
    relion4: bool = False,
) -> tuple[PoseEstimates, NoiseSums, GainSums, FalloffSums]:
    """E-step of one group of particles; parameters as in ``posteriors``. Σb and Σw of each go into its own of ``accumulators``."""
    residual: Tensor | None = None
    rows = []
    strength = torch.zeros(len(statistics.particles), 2, statistics.box // 2 + 1, statistics.n_tilts, dtype=torch.float64).to(
        precision.device
    )
    for wide in posteriors(statistics, precision, volume, prior, plan, rotation, centre_angstrom, grid, relion4):
        posterior = trimmed(wide)
        own, strength[posterior.row] = accumulate(statistics, precision, posterior, accumulators[posterior.row])
        residual = own if residual is None else residual + own
        rows.append(summary(statistics, prior, posterior))
    assert residual is not None
    estimates = PoseEstimates(*(torch.stack(column) for column in zip(*rows, strict=True)))
    of_particles, of_shells = strength.sum(2), strength.sum(0)
    return estimates, residual_sums(statistics, residual), GainSums(of_particles[:, 0], of_particles[:, 1]), FalloffSums(*of_shells)

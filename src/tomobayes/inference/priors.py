"""Prior beliefs on poses, in nats up to constants."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

__all__ = ["PosePrior", "log_prior_rotation", "log_prior_shift"]


def _identity() -> Tensor:
    return torch.eye(3, dtype=torch.float64)[None]


@dataclass(frozen=True)
class PosePrior:
    """What is believed of the poses of P particles before looking at their images.

    Parameters
    ----------
    rotation : (P, 3, 3) reference -> tomogram, centre of a Gaussian in the angular distance; used if sigma_rotation is finite
    sigma_rotation : degrees; infinite for no prior
    subtomogram : (P, 3, 3) subtomogram -> tomogram, the frame of tilt and psi (pre-oriented particles)
    tilt : (P,) degrees, prior centre of the tilt; NaN = none
    sigma_tilt : degrees; infinite for no prior
    centre_angstrom : (P, 3) tomogram, where the particle is believed to be
    sigma_shift_angstrom : standard deviation of one component of its distance from there
    psi : (P,) degrees, prior centre of psi; NaN = none, needed if sigma_psi is finite
    sigma_psi : degrees; infinite for no prior
    rot : (P,) degrees, prior centre of rot; NaN = none, needed if sigma_rot is finite
    sigma_rot : degrees; infinite for no prior
    group : (G, 3, 3) float64 rotations g of the reference: a pose A is believed as much as its mates A·g
    """

    rotation: Tensor
    sigma_rotation: float
    subtomogram: Tensor
    tilt: Tensor
    sigma_tilt: float
    centre_angstrom: Tensor
    sigma_shift_angstrom: float
    psi: Tensor | None = None
    sigma_psi: float = math.inf
    rot: Tensor | None = None
    sigma_rot: float = math.inf
    group: Tensor = field(default_factory=_identity)


def log_prior_rotation(prior: PosePrior, row: int, rotations: Tensor) -> Tensor:
    """(K,) log prior of orientations (K, 3, 3) reference -> tomogram of one particle: log (1/G) Σ_g exp(belief in A·g).

    A search visits one mate of each pose, whichever it is; the prior may have been centred on another. The angle from R to A·g
    follows from its trace, <R·gᵀ, A>. Tilt, psi and rot are Euler angles of A_subᵀ·A·g, whose last column, where the particle's z axis
    points in the subtomogram, is (-sin tilt·cos psi, sin tilt·sin psi, cos tilt), and whose last row, where the subtomogram's z axis
    points in the particle, is (sin tilt·cos rot, sin tilt·sin rot, cos tilt).
    """
    exact = rotations.double()
    belief = torch.zeros(len(exact), 1, dtype=torch.float64, device=exact.device)
    if prior.sigma_rotation < math.inf:
        trace = exact.flatten(1) @ (prior.rotation[row] @ prior.group.mT).flatten(1).T
        belief = belief - 0.5 * (_angle((trace - 1) / 2) / prior.sigma_rotation).square()
    if prior.sigma_tilt < math.inf and not torch.isnan(prior.tilt[row]):
        belief = belief - 0.5 * ((_angle(_axes(prior, row, exact)[:, 2]) - prior.tilt[row]) / prior.sigma_tilt).square()
    if prior.psi is not None and prior.sigma_psi < math.inf and not torch.isnan(prior.psi[row]):
        x, y, _ = _axes(prior, row, exact).unbind(1)
        belief = belief - 0.5 * (_turn(y, -x, prior.psi[row]) / prior.sigma_psi).square()
    if prior.rot is not None and prior.sigma_rot < math.inf and not torch.isnan(prior.rot[row]):
        x, y, _ = _seen_from_particle(prior, row, exact).unbind(1)
        belief = belief - 0.5 * (_turn(y, x, prior.rot[row]) / prior.sigma_rot).square()
    return torch.logsumexp(belief, 1) - math.log(belief.shape[1])


def _axes(prior: PosePrior, row: int, rotations: Tensor) -> Tensor:
    """(K, 3, G) where the z axis of a particle points in its subtomogram, of each orientation and mate."""
    return (prior.subtomogram[row].T @ rotations) @ prior.group[:, :, 2].T


def _seen_from_particle(prior: PosePrior, row: int, rotations: Tensor) -> Tensor:
    """(K, 3, G) where the z axis of the subtomogram points in its particle, of each orientation and mate."""
    return torch.einsum("i,kij,gjl->klg", prior.subtomogram[row][:, 2], rotations, prior.group)


def _turn(y: Tensor, x: Tensor, centre_degrees: Tensor) -> Tensor:
    """By how many degrees, within ±180, the direction of (x, y) is off a centre."""
    return (torch.rad2deg(torch.atan2(y, x)) - centre_degrees + 180) % 360 - 180


def _angle(cosine: Tensor) -> Tensor:
    return torch.rad2deg(torch.acos(cosine.clamp(-1, 1)))


def log_prior_shift(shifts_angstrom: Tensor, sigma_angstrom: float) -> Tensor:
    """(M,) log prior of displacements (M, 3) from the prior centre."""
    return -0.5 * shifts_angstrom.double().square().sum(-1) / sigma_angstrom**2

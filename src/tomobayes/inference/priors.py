"""Prior beliefs on poses, in nats up to constants."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tomobayes.geometry.rotations import angular_distance_degrees

__all__ = ["PosePrior", "log_prior_rotation", "log_prior_shift"]


@dataclass(frozen=True)
class PosePrior:
    """What is believed of the poses of P particles before looking at their images.

    Parameters
    ----------
    rotation : (P, 3, 3) reference -> tomogram, centre of a Gaussian in the angular distance; used if sigma_rotation is finite
    sigma_rotation : degrees; infinite for no prior
    subtomogram : (P, 3, 3) subtomogram -> tomogram, whose z axis the tilt is measured from (pre-oriented priors)
    tilt : (P,) degrees, prior centre of the tilt; NaN = none
    sigma_tilt : degrees; infinite for no prior
    centre_angstrom : (P, 3) tomogram, where the particle is believed to be
    sigma_shift_angstrom : standard deviation of one component of its distance from there
    """

    rotation: Tensor
    sigma_rotation: float
    subtomogram: Tensor
    tilt: Tensor
    sigma_tilt: float
    centre_angstrom: Tensor
    sigma_shift_angstrom: float


def log_prior_rotation(prior: PosePrior, row: int, rotations: Tensor) -> Tensor:
    """(K,) log prior of orientations (K, 3, 3) reference -> tomogram of one particle.

    The tilt is the second Euler angle of A_subᵀ·A, whose cosine is that matrix's last element.
    """
    total = torch.zeros(len(rotations), dtype=torch.float64, device=rotations.device)
    exact = rotations.double()
    if prior.sigma_rotation < float("inf"):
        total -= 0.5 * (angular_distance_degrees(prior.rotation[row].expand_as(exact), exact) / prior.sigma_rotation).square()
    if prior.sigma_tilt < float("inf") and not torch.isnan(prior.tilt[row]):
        cosine = torch.einsum("i,ki->k", prior.subtomogram[row][:, 2], exact[:, :, 2])
        tilt = torch.rad2deg(torch.acos(cosine.clamp(-1, 1)))
        total -= 0.5 * ((tilt - prior.tilt[row]) / prior.sigma_tilt).square()
    return total


def log_prior_shift(shifts_angstrom: Tensor, sigma_angstrom: float) -> Tensor:
    """(M,) log prior of displacements (M, 3) from the prior centre."""
    return -0.5 * shifts_angstrom.double().square().sum(-1) / sigma_angstrom**2

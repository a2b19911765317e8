"""What prior and images are expected to tell of the alignment, as a chain of tilts in the order of dose, and how well it is known then.

The expected Fisher information is Σ_pf J_pfᵀ I_pf J_pf, with J_pf the derivative of a particle's displacement in a tilt and I_pf the
information of its table. Motion is a random walk from tilt to tilt, so tilts are tied to their neighbours in dose by its prior alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tomobayes.tiltseries.chain import Chain, ChainInverse
from tomobayes.tiltseries.placement import Placement

__all__ = ["Prior", "Uncertainty", "information_chain", "uncertainty"]


@dataclass(frozen=True)
class Prior:
    """Independent Gaussians for all but motion, whose steps from tilt to tilt are standard normal in every mode and axis.

    Parameters
    ----------
    tilt_precision, tilt_mean : (F, local); border_precision, border_mean : (G,)
    """

    tilt_precision: Tensor
    tilt_mean: Tensor
    border_precision: Tensor
    border_mean: Tensor

    def narrowed(self, angles: float, positions: float, particles: int) -> Prior:
        """With standard deviations of angles and positions multiplied by factors.

        Parameters
        ----------
        particles : P, whose positions come first in the border
        """
        tilt, border = self.tilt_precision.clone(), self.border_precision.clone()
        tilt[:, :3] /= angles**2
        border[: 3 * particles] /= positions**2
        return replace(self, tilt_precision=tilt, border_precision=border)

    def penalty(self, placement: Placement, parameters: Tensor) -> tuple[float, Tensor]:
        """-log density of parameters (N,), but for a constant, and its gradient."""
        gradient = torch.zeros_like(parameters)
        tilts, motion, _, _ = placement.split(parameters)
        by_tilt, by_motion, _, _ = placement.split(gradient)
        away = tilts - self.tilt_mean
        by_tilt.copy_(self.tilt_precision * away)
        start = placement.tilts * placement.member
        beyond = parameters[start:] - self.border_mean
        gradient[start:] = self.border_precision * beyond
        steps = motion[placement.rank.argsort()].diff(dim=0)
        padded = torch.nn.functional.pad(steps, (0, 0, 0, 0, 1, 1))
        by_motion.copy_((padded[:-1] - padded[1:])[placement.rank])
        value = (by_tilt * away).sum() + gradient[start:] @ beyond + steps.square().sum()
        return 0.5 * float(value), gradient


@dataclass(frozen=True)
class Uncertainty:
    """Standard errors of what was fitted, and of where that puts the particles; zero for what was not free.

    Parameters
    ----------
    tilts : (F, local) radians and Å; positions : (P, 3) Å; motion : (P, F, 3) Å; shared : (D,)
    displacement : (P, F, 2, 2) Å², covariance of where particles are seen
    """

    tilts: Tensor
    positions: Tensor
    motion: Tensor
    shared: Tensor
    displacement: Tensor


def information_chain(placement: Placement, information: Tensor, prior: Prior, free: Tensor) -> Chain:
    """Prior and expected information about the parameters, members in the order of dose.

    Parameters
    ----------
    information : (P, F, 2, 2) about displacements
    free : (N,) bool; what is not free gets a one on the diagonal and nothing else
    """
    place, order = placement, placement.rank.argsort()
    axes, near, basis = place.rotation[:, :2], _local(place), place.basis
    weighted = torch.einsum("pfij,pfjk->pfik", information, near)
    seen = torch.einsum("pfij,fjk->pfik", information, axes)
    solid = torch.einsum("fij,pfik->pfjk", axes, seen)
    sideways = torch.einsum("fij,pfik->pfjk", axes, weighted)

    pairs = (basis[:, :, None] * basis[:, None]).flatten(1).T @ solid.flatten(1)
    walked = pairs.reshape(basis.shape[1], basis.shape[1], place.tilts, 3, 3).permute(2, 3, 0, 4, 1)
    block = _joined(
        torch.einsum("pfij,pfik->fjk", near, weighted) + torch.diag_embed(prior.tilt_precision),
        torch.einsum("pfjk,pm->fjmk", sideways, basis).flatten(1, 2),
        walked.reshape(place.tilts, 3 * basis.shape[1], 3 * basis.shape[1]) + _walk(place),
    )
    border = block.new_empty(place.tilts, place.border, place.member)
    by_particle = border[:, : 3 * place.particles].view(place.tilts, place.particles, 3, place.member)
    by_particle[..., : place.local] = sideways[:, order].transpose(0, 1)
    walking = by_particle[..., place.local :].view(place.tilts, place.particles, 3, 3, basis.shape[1])
    torch.mul(solid[:, order].transpose(0, 1)[..., None], basis[:, None, None], out=walking)
    shared = _shared_rows(place, information, weighted, border, order)

    members, rest = _free_parts(place, free)
    members = members[order]
    border.mul_(rest[:, None]).mul_(members[:, None])
    link = torch.diag_embed(torch.nn.functional.pad(torch.full((place.tilts - 1, 3 * basis.shape[1]), -1.0), (place.local, 0))).double()
    precision, diagonal = prior.border_precision * rest + 1 - rest, 3 * place.particles
    own = rest[:diagonal].reshape(-1, 3)
    shared = shared * rest[diagonal:, None] * rest
    shared[:, diagonal:].diagonal().add_(precision[diagonal:])
    return Chain(
        block[order] * members[:, :, None] * members[:, None] + torch.diag_embed(1 - members),
        link * members[1:, :, None] * members[:-1, None],
        border,
        solid.sum(1) * own[:, :, None] * own[:, None] + torch.diag_embed(precision[:diagonal].reshape(-1, 3)),
        shared,
    )


def _local(place: Placement) -> Tensor:
    """(P, F, 2, local) derivative of displacements with respect to the tilts' own parameters, at zero."""
    x, y, z = torch.einsum("fij,pfj->pfi", place.rotation, place.point_angstrom).unbind(-1)
    none, one = torch.zeros_like(x), torch.ones_like(x)
    rigid = torch.stack([torch.stack([none, z, -y, one, none], -1), torch.stack([-z, none, x, none, one], -1)], -2)
    return torch.cat([rigid, place.shape], -1) if place.per_tilt else rigid


def _joined(tilt: Tensor, between: Tensor, motion: Tensor) -> Tensor:
    """(F, Z, Z) from the blocks of tilts, of motion, and of motion with tilts."""
    return torch.cat([torch.cat([tilt, between.mT], -1), torch.cat([between, motion], -1)], -2)


def _walk(place: Placement) -> Tensor:
    """(F, 3M, 3M) what a random walk's prior says of each of its places: there is a step to and from each, but for the ends."""
    steps = 2.0 - (place.rank == 0).double() - (place.rank == place.tilts - 1).double()
    return steps[:, None, None] * torch.eye(3 * place.basis.shape[1], dtype=torch.float64)


def _shared_rows(place: Placement, information: Tensor, weighted: Tensor, border: Tensor, order: Tensor) -> Tensor:
    """Rows of the corner (D, G) of the deformation that all tilts share; those of the border (F, G, Z) are filled in."""
    if place.per_tilt or not place.shape.shape[-1]:
        return border.new_zeros(0, place.border)
    shape = torch.einsum("pfij,pfjd->pfid", information, place.shape)
    in_space = torch.einsum("fij,pfid->pfjd", place.rotation[:, :2], shape)
    rows = border[:, 3 * place.particles :]
    rows[..., : place.local] = torch.einsum("pfid,pfij->fdj", place.shape, weighted)[order]
    rows[..., place.local :] = torch.einsum("pfid,pm->fdim", in_space, place.basis).flatten(2)[order]
    own = torch.einsum("pfid,pfie->de", place.shape, shape)
    return torch.cat([in_space.sum(1).flatten(0, 1).T, own], 1)


def uncertainty(placement: Placement, inverse: ChainInverse, free: Tensor) -> Uncertainty:
    """Standard errors from the inverse of a chain in the order of dose, whose border is overwritten: it may be the largest array of all."""
    place, order = placement, placement.rank.argsort()
    modes, local, solid = place.basis.shape[1], place.local, 3 * place.particles
    members, rest = _free_parts(place, free)
    members = members[order]
    block = inverse.block * members[:, :, None] * members[:, None]
    border = inverse.border.mul_(rest[:, None]).mul_(members[:, None])
    own, far = rest[:solid].reshape(-1, 3), rest[solid:]
    position, shared = inverse.solid * own[:, :, None] * own[:, None], inverse.shared * far[:, None] * rest
    walked = block[:, local:, local:].reshape(place.tilts, 3, modes, 3, modes)
    motion = torch.einsum("pm,fimjn,pn->pfij", place.basis, walked, place.basis)
    by_tilt = block.diagonal(dim1=-2, dim2=-1)[placement.rank].flatten()
    corner = torch.cat([position.diagonal(dim1=-2, dim2=-1).flatten(), shared[:, solid:].diagonal()])
    tilts, _, positions, bent = place.split(torch.cat([by_tilt, corner]).clamp_min(0).sqrt())
    walk = motion.diagonal(dim1=-2, dim2=-1).clamp_min(0).sqrt()
    displaced = _displaced(place, order, block, border, position, shared, motion)
    return Uncertainty(tilts, positions, walk[:, place.rank], bent, displaced[:, place.rank])


def _free_parts(place: Placement, free: Tensor) -> tuple[Tensor, Tensor]:
    """1 for what is free, 0 for what is not: (F, Z) and (G,)."""
    start = place.tilts * place.member
    return free[:start].reshape(place.tilts, -1).double(), free[start:].double()


def _displaced(place: Placement, order: Tensor, block: Tensor, border: Tensor, position: Tensor, shared: Tensor, motion: Tensor) -> Tensor:
    """(P, F, 2, 2) covariance of local·tilt + axes·(position + motion) + shape·shared, each pair by itself; tilts in the order of dose."""
    local, basis, axes, near = place.local, place.basis, place.rotation[order, :2], _local(place)[:, order]
    solid = 3 * place.particles
    by_particle = border[:, :solid].view(place.tilts, place.particles, 3, place.member)
    walked = by_particle[..., local:].view(place.tilts, place.particles, 3, 3, basis.shape[1])
    position_motion = torch.einsum("fpijm,pm->pfij", walked, basis)
    in_space = position[:, None] + motion + position_motion + position_motion.mT
    motion_tilt = block[:, local:, :local].reshape(place.tilts, 3, basis.shape[1], local)
    space_tilt = torch.einsum("pm,fimk->pfik", basis, motion_tilt) + by_particle[..., :local].transpose(0, 1)
    cross = torch.einsum("fij,pfjk,pflk->pfil", axes, space_tilt, near)
    total = torch.einsum("fij,pfjk,flk->pfil", axes, in_space, axes) + cross + cross.mT
    total = total + torch.einsum("pfij,fjk,pflk->pfil", near, block[:, :local, :local], near)
    if not len(shared):
        return total
    shape = place.shape[:, order]
    motion_shared = border[:, solid:, local:].reshape(place.tilts, len(shared), 3, basis.shape[1])
    space_shared = torch.einsum("pm,fdim->pfid", basis, motion_shared) + shared[:, :solid].T.reshape(place.particles, 1, 3, -1)
    other = torch.einsum("pfij,fdj->pfid", near, border[:, solid:, :local]) + torch.einsum("fij,pfjd->pfid", axes, space_shared)
    cross = torch.einsum("pfid,pfjd->pfij", other, shape)
    return total + cross + cross.mT + torch.einsum("pfid,de,pfje->pfij", shape, shared[:, solid:], shape)

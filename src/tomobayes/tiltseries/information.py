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
    axes, near, basis = place.rotation[:, :2], _local(placement), place.basis
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
    with_tilt = sideways.permute(1, 0, 2, 3).flatten(1, 2)
    with_motion = torch.einsum("pfij,pm->fpijm", solid, basis).flatten(3).flatten(1, 2)
    border, corner = torch.cat([with_tilt, with_motion], -1), _diagonal(solid.sum(1))
    if not place.per_tilt and place.shape.shape[-1]:
        border, corner = _with_shared(place, information, weighted, border, corner)
    corner = corner + torch.diag(prior.border_precision)

    members, rest = _free_parts(place, free)
    members = members[order]
    link = torch.diag_embed(torch.nn.functional.pad(torch.full((place.tilts - 1, 3 * basis.shape[1]), -1.0), (place.local, 0))).double()
    return Chain(
        block[order] * members[:, :, None] * members[:, None] + torch.diag_embed(1 - members),
        link * members[1:, :, None] * members[:-1, None],
        border[order] * rest[:, None] * members[:, None],
        corner * rest[:, None] * rest + torch.diag(1 - rest),
    )


def _diagonal(blocks: Tensor) -> Tensor:
    """(P·n, P·n) with the blocks (P, n, n) along its diagonal."""
    count, size = blocks.shape[:2]
    spread = torch.zeros(count, size, count, size, dtype=blocks.dtype)
    place = torch.arange(count)
    spread[place, :, place] = blocks
    return spread.reshape(count * size, -1)


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


def _with_shared(place: Placement, information: Tensor, weighted: Tensor, border: Tensor, corner: Tensor) -> tuple[Tensor, Tensor]:
    """Border and corner with the deformation that all tilts share."""
    shape = torch.einsum("pfij,pfjd->pfid", information, place.shape)
    in_space = torch.einsum("fij,pfid->pfjd", place.rotation[:, :2], shape)
    with_tilt = torch.einsum("pfid,pfij->fdj", place.shape, weighted)
    with_motion = torch.einsum("pfid,pm->fdim", in_space, place.basis).flatten(2)
    border = torch.cat([border, torch.cat([with_tilt, with_motion], -1)], 1)
    with_position = in_space.sum(1).flatten(0, 1)
    own = torch.einsum("pfid,pfie->de", place.shape, shape)
    return border, torch.cat([torch.cat([corner, with_position], 1), torch.cat([with_position.T, own], 1)])


def uncertainty(placement: Placement, inverse: ChainInverse, free: Tensor) -> Uncertainty:
    """Standard errors from the inverse of a chain of the order of dose."""
    place, rank = placement, placement.rank
    modes, local = place.basis.shape[1], place.local
    members, rest = _free_parts(place, free)
    block = inverse.block[rank] * members[:, :, None] * members[:, None]
    border = inverse.border[rank] * rest[:, None] * members[:, None]
    corner = inverse.corner * rest[:, None] * rest
    walked = block[:, local:, local:].reshape(place.tilts, 3, modes, 3, modes)
    motion = torch.einsum("pm,fimjn,pn->pfij", place.basis, walked, place.basis)
    deviation = torch.cat([block.diagonal(dim1=-2, dim2=-1).flatten(), corner.diagonal()]).clamp_min(0).sqrt()
    tilts, _, positions, shared = place.split(deviation)
    walk = motion.diagonal(dim1=-2, dim2=-1).clamp_min(0).sqrt()
    return Uncertainty(tilts, positions, walk, shared, _displaced(place, block, border, corner, motion))


def _free_parts(place: Placement, free: Tensor) -> tuple[Tensor, Tensor]:
    """1 for what is free, 0 for what is not: (F, Z) and (G,)."""
    start = place.tilts * place.member
    return free[:start].reshape(place.tilts, -1).double(), free[start:].double()


def _displaced(place: Placement, block: Tensor, border: Tensor, corner: Tensor, motion: Tensor) -> Tensor:
    """(P, F, 2, 2) covariance of local·tilt + axes·(position + motion) + shape·shared, each pair by itself."""
    local, basis, axes, near = place.local, place.basis, place.rotation[:, :2], _local(place)
    solid, pick = 3 * place.particles, torch.arange(place.particles)
    by_particle = border[:, :solid].reshape(place.tilts, place.particles, 3, place.member)
    position = corner[:solid, :solid].reshape(place.particles, 3, place.particles, 3)[pick, :, pick][:, None]
    walked = by_particle[..., local:].reshape(place.tilts, place.particles, 3, 3, basis.shape[1])
    position_motion = torch.einsum("fpijm,pm->pfij", walked, basis)
    in_space = position + motion + position_motion + position_motion.mT
    motion_tilt = block[:, local:, :local].reshape(place.tilts, 3, basis.shape[1], local)
    space_tilt = torch.einsum("pm,fimk->pfik", basis, motion_tilt) + by_particle[..., :local].transpose(0, 1)
    cross = torch.einsum("fij,pfjk,pflk->pfil", axes, space_tilt, near)
    total = torch.einsum("fij,pfjk,flk->pfil", axes, in_space, axes) + cross + cross.mT
    total = total + torch.einsum("pfij,fjk,pflk->pfil", near, block[:, :local, :local], near)
    if len(corner) == solid:
        return total
    motion_shared = border[:, solid:, local:].reshape(place.tilts, len(corner) - solid, 3, basis.shape[1])
    space_shared = torch.einsum("pm,fdim->pfid", basis, motion_shared) + corner[:solid, solid:].reshape(place.particles, 1, 3, -1)
    other = torch.einsum("pfij,fdj->pfid", near, border[:, solid:, :local]) + torch.einsum("fij,pfjd->pfid", axes, space_shared)
    cross = torch.einsum("pfid,pfjd->pfij", other, place.shape)
    return total + cross + cross.mT + torch.einsum("pfid,de,pfje->pfij", place.shape, corner[solid:, solid:], place.shape)

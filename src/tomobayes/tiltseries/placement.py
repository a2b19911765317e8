"""Where particles land in tilt images when angles, shifts, positions, motion and deformation change (eqs 34-37).

A point s of particle p is seen in tilt f, relative to where it was before, at

    u_pf = [Q_f R_f (s_pf + p_p + m_pf)]_xy + t_f + B_pf c,     m_pf = basis_p · s_f

with Q_f = Rz(ψ)·Ry(θ)·Rx(φ) of Tait-Bryan angles, which are free of gimbal lock around zero, and the deformation linear in its
coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.geometry.deformation import deformation_basis
from tomobayes.model import Dataset, TiltSeries
from tomobayes.model.deformation import DeformationKind, coefficient_count
from tomobayes.tiltseries.motion import chronological_rank

__all__ = ["RIGID", "DeformationPlan", "Placement", "displacement", "moved_points", "placement_of", "pulled_back", "tait_bryan"]

RIGID = 5
"""Parameters of the rigid alignment of a tilt: three angles (radians) and two shifts (Å)."""


@dataclass(frozen=True)
class DeformationPlan:
    """Which deformation is fitted: one for the tilt series, or one per tilt."""

    kind: DeformationKind
    grid: tuple[int, int] = (3, 3)
    per_tilt: bool = False

    @property
    def count(self) -> int:
        """Coefficients of one deformation."""
        return coefficient_count(self.kind, self.grid)


@dataclass(frozen=True)
class Placement:
    """P particles of a tilt series in its F tilts as they are placed before the fit.

    Its parameters are a vector: for each tilt, in the rows' order, a member of Z numbers: angles (radians) and shift (Å), its own
    deformation if it has one, and how far each mode of motion has led by then, (3, M); then a border of G numbers: positions (P, 3) and
    the deformation that tilts share. All are changes: zero means as it was.

    Parameters
    ----------
    rotation : (F, 3, 3) tomogram -> image; point_angstrom : (P, F, 3) from the point that rotations leave where it is
    rank : (F,) chronological
    basis : (P, M) modes of motion, M = 0 for none
    shape : (P, F, 2, D) Å per coefficient of the deformation, D = 0 for none
    per_tilt : whether every tilt has D coefficients of its own
    """

    rotation: Tensor
    point_angstrom: Tensor
    rank: Tensor
    basis: Tensor
    shape: Tensor
    per_tilt: bool = False

    @property
    def particles(self) -> int:
        """P."""
        return len(self.point_angstrom)

    @property
    def tilts(self) -> int:
        """F."""
        return len(self.rotation)

    @cached_property
    def seen(self) -> Tensor:
        """(P, F, 2) Å where particles are seen before the fit, from the middle of the images."""
        return torch.einsum("fij,pfj->pfi", self.rotation[:, :2], self.point_angstrom)

    @property
    def local(self) -> int:
        """How many parameters of a tilt are not about motion."""
        return RIGID + (self.shape.shape[-1] if self.per_tilt else 0)

    @property
    def member(self) -> int:
        """Z."""
        return self.local + 3 * self.basis.shape[1]

    @property
    def border(self) -> int:
        """G."""
        return 3 * self.particles + (0 if self.per_tilt else self.shape.shape[-1])

    @property
    def size(self) -> int:
        """N, of all parameters."""
        return self.tilts * self.member + self.border

    def split(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Parameters (N,) as views: tilts (F, local), motion (F, 3, M), positions (P, 3) and shared deformation (D,)."""
        members = parameters[: self.tilts * self.member].reshape(self.tilts, self.member)
        border = parameters[self.tilts * self.member :]
        motion = members[:, self.local :].reshape(self.tilts, 3, self.basis.shape[1])
        return members[:, : self.local], motion, border[: 3 * self.particles].reshape(-1, 3), border[3 * self.particles :]

    def by_dose(self, parameters: Tensor) -> Tensor:
        """Parameters (N,) with the tilts in the order of dose."""
        return self._reordered(parameters, self.rank.argsort())

    def by_row(self, parameters: Tensor) -> Tensor:
        """Parameters (N,) with tilts in the order of dose, in the order of rows again."""
        return self._reordered(parameters, self.rank)

    def _reordered(self, parameters: Tensor, order: Tensor) -> Tensor:
        end = self.tilts * self.member
        return torch.cat([parameters[:end].reshape(self.tilts, -1)[order].flatten(), parameters[end:]])


def placement_of(
    dataset: Dataset, rows: NDArray[np.int64], basis: NDArray[np.float64] | None = None, deformation: DeformationPlan | None = None
) -> Placement:
    """How particles of one tilt series are placed now.

    Parameters
    ----------
    rows : (P,) rows of the data set; basis : (P, M) modes of motion
    """
    series = dataset.tilt_series[int(dataset.particles.tilt_series[rows[0]])]
    point = np.repeat(dataset.particles.centre_angstrom[rows][:, None], series.n_tilts, 1)
    if dataset.motion_angstrom is not None:
        point = point + np.stack([dataset.motion_angstrom[row] for row in rows])
    # RELION's points start at the real-valued half of the tomogram, its axis runs through the integer one.
    point = point + 0.5 * series.pixel_size_angstrom * (np.array(series.tomogram_size) % 2)
    points, rotation = torch.from_numpy(point), torch.tensor(series.rotation)
    return Placement(
        rotation=rotation,
        point_angstrom=points,
        rank=torch.from_numpy(chronological_rank(series.dose)),
        basis=torch.zeros(len(rows), 0, dtype=torch.float64) if basis is None else torch.from_numpy(basis),
        shape=_shapes(series, points, rotation, deformation),
        per_tilt=deformation is not None and deformation.per_tilt,
    )


def _shapes(series: TiltSeries, points: Tensor, rotation: Tensor, plan: DeformationPlan | None) -> Tensor:
    if plan is None:
        return torch.zeros(*points.shape[:2], 2, 0, dtype=torch.float64)
    assert series.image_size is not None
    middle = torch.tensor([edge // 2 for edge in series.image_size], dtype=torch.float64)
    seen = torch.einsum("fij,pfj->pfi", rotation[:, :2], points) + torch.tensor(series.shift_angstrom)
    pixel = series.pixel_size_angstrom
    return pixel * deformation_basis(plan.kind, seen / pixel + middle, series.image_size, plan.grid)


def displacement(placement: Placement, parameters: Tensor) -> Tensor:
    """(P, F, 2) Å by which particles move in the images, exactly; differentiable in the parameters (N,)."""
    tilts, _, _, shared = placement.split(parameters)
    turned = tait_bryan(tilts[:, :3]) @ placement.rotation
    moved = torch.einsum("fij,pfj->pfi", turned[:, :2], moved_points(placement, parameters)) - placement.seen + tilts[:, 3:RIGID]
    if placement.per_tilt:
        return moved + torch.einsum("pfid,fd->pfi", placement.shape, tilts[:, RIGID:])
    return moved + placement.shape @ shared


def pulled_back(placement: Placement, parameters: Tensor, slope: Tensor) -> Tensor:
    """(N,) gradient in the parameters from that in the displacements (P, F, 2): the adjoint of the derivative of `displacement`."""
    place, gradient = placement, torch.zeros_like(parameters)
    tilts, motion, positions, shared = place.split(gradient)
    angles = place.split(parameters)[0][:, :3]
    turn = tait_bryan(angles)
    in_space = torch.einsum("fij,pfi->pfj", (turn @ place.rotation)[:, :2], slope)
    moment = torch.einsum("pfi,pfj->fij", slope, moved_points(place, parameters)) @ place.rotation.mT
    tilts[:, :3] = _tait_bryan_slopes(angles, turn, torch.nn.functional.pad(moment, (0, 0, 0, 1)))
    tilts[:, 3:RIGID] = slope.sum(0)
    positions.copy_(in_space.sum(1))
    motion.copy_(torch.einsum("pfi,pm->fim", in_space, place.basis))
    if place.per_tilt:
        tilts[:, RIGID:] = torch.einsum("pfid,pfi->fd", place.shape, slope)
    else:
        shared.copy_(torch.einsum("pfid,pfi->d", place.shape, slope))
    return gradient


def moved_points(placement: Placement, parameters: Tensor) -> Tensor:
    """(P, F, 3) Å where the particles are in the specimen, from the point that rotations leave where it is."""
    _, motion, positions, _ = placement.split(parameters)
    points = placement.point_angstrom + positions[:, None]
    return points + torch.einsum("pm,fim->pfi", placement.basis, motion) if placement.basis.shape[1] else points


def tait_bryan(angles: Tensor) -> Tensor:
    """Rz(ψ)·Ry(θ)·Rx(φ) of angles (F, 3) = (φ, θ, ψ) in radians -> (F, 3, 3)."""
    (sx, sy, sz), (cx, cy, cz) = torch.sin(angles).unbind(-1), torch.cos(angles).unbind(-1)
    rows = [
        torch.stack([cy * cz, sx * sy * cz - cx * sz, cx * sy * cz + sx * sz], -1),
        torch.stack([cy * sz, sx * sy * sz + cx * cz, cx * sy * sz - sx * cz], -1),
        torch.stack([-sy, sx * cy, cx * cy], -1),
    ]
    return torch.stack(rows, -2)


def _tait_bryan_slopes(angles: Tensor, turn: Tensor, moment: Tensor) -> Tensor:
    """(F, 3) derivatives of Σ moment·Q with respect to φ, θ and ψ, with Q = `tait_bryan` and moments (F, 3, 3).

    The derivative of a rotation about an axis a is [a]×·Q; those are the image's z, the y that ψ has turned, and the specimen's x.
    """
    across, along = moment @ turn.mT, turn.mT @ moment
    sin, cos = torch.sin(angles[:, 2]), torch.cos(angles[:, 2])
    x = along[:, 2, 1] - along[:, 1, 2]
    y = cos * (across[:, 0, 2] - across[:, 2, 0]) - sin * (across[:, 2, 1] - across[:, 1, 2])
    return torch.stack([x, y, across[:, 1, 0] - across[:, 0, 1]], -1)

"""Symmetric positive definite systems of a chain of blocks with a border: a block meets its neighbours in the chain and the border only.

That is the information about a tilt series in which particles walk at random: what belongs to one tilt is a block, the neighbour in the
chain is the tilt taken before it, and positions and whatever all tilts share are the border. Cost grows with the number of tilts, not
with its cube.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Chain", "ChainFactor", "ChainInverse", "factorised", "log_marginal"]

Float = NDArray[np.float64]

LARGE = 1e30
"""A number beside which the square of any slope is nothing."""


@dataclass(frozen=True)
class Chain:
    """A symmetric matrix; all float64.

    Parameters
    ----------
    block : (F, Z, Z) of the chain's members; link : (F-1, Z, Z) of each member (rows: the later one) with the one before it
    border : (F, G, Z); corner : (G, G)
    """

    block: Tensor
    link: Tensor
    border: Tensor
    corner: Tensor


@dataclass(frozen=True)
class ChainInverse:
    """The parts of the inverse that have a place in a `Chain`: (F, Z, Z), (F, G, Z) and (G, G)."""

    block: Tensor
    border: Tensor
    corner: Tensor


@dataclass(frozen=True)
class ChainFactor:
    """Cholesky factor L, with the shapes of a `Chain`; a vector is (F·Z + G,), the chain's members first."""

    block: Tensor
    link: Tensor
    border: Tensor
    corner: Tensor

    @cached_property
    def _unit(self) -> Tensor:
        """(F, Z, Z) inverses of the blocks."""
        unit: Tensor = torch.linalg.solve_triangular(self.block, torch.eye(self.block.shape[1]).to(self.block), upper=False)
        return unit

    @cached_property
    def _steps(self) -> tuple[Float, Float]:
        """From one member's solution to the next one's, along the chain and back: the only part of a solution that is not done at once."""
        return (self._unit[1:] @ self.link).numpy(), (self.link @ self._unit[:-1]).mT.contiguous().numpy()

    @cached_property
    def _wide(self) -> Tensor:
        """(G, F·Z)."""
        return self.border.transpose(0, 1).flatten(1)

    def forward(self, vector: Tensor) -> Tensor:
        """L⁻¹·v."""
        members, rest = self._split(vector)
        solved = torch.einsum("fij,fj->fi", self._unit, members)
        done = solved.numpy()
        for place, step in enumerate(self._steps[0]):
            done[place + 1] -= step @ done[place]
        rest = rest - self._wide @ solved.flatten()
        return torch.cat([solved.flatten(), torch.linalg.solve_triangular(self.corner, rest[:, None], upper=False)[:, 0]])

    def backward(self, vector: Tensor) -> Tensor:
        """L⁻ᵀ·v."""
        members, rest = self._split(vector)
        rest = torch.linalg.solve_triangular(self.corner.T, rest[:, None], upper=True)[:, 0]
        solved = torch.einsum("fji,fj->fi", self._unit, members - (rest @ self._wide).reshape(members.shape))
        done = solved.numpy()
        for place in range(len(done) - 2, -1, -1):
            done[place] -= self._steps[1][place] @ done[place + 1]
        return torch.cat([solved.flatten(), rest])

    def multiply(self, vector: Tensor) -> Tensor:
        """Lᵀ·v, the inverse of `backward`."""
        members, rest = self._split(vector)
        out = torch.einsum("fij,fi->fj", self.block, members) + (rest @ self._wide).reshape(members.shape)
        out[:-1] += torch.einsum("fij,fi->fj", self.link, members[1:])
        return torch.cat([out.flatten(), self.corner.T @ rest])

    @property
    def half_log_determinant(self) -> float:
        """log det L."""
        return float(self.block.diagonal(dim1=-2, dim2=-1).log().sum() + self.corner.diagonal().log().sum())

    def inverse(self) -> ChainInverse:
        """The inverse where the chain has its blocks, from the last member to the first."""
        corner = torch.cholesky_inverse(self.corner)
        blocks: list[Tensor] = []
        borders: list[Tensor] = []
        for place in range(len(self.block) - 1, -1, -1):
            unit = self._unit[place]
            with_border, with_next = corner @ self.border[place], None
            if blocks:
                with_border = with_border + borders[-1] @ self.link[place]
                with_next = -(blocks[-1] @ self.link[place] + borders[-1].T @ self.border[place]) @ unit
            border = -with_border @ unit
            own = unit.T - border.T @ self.border[place]
            if with_next is not None:
                own = own - with_next.T @ self.link[place]
            blocks.append(own @ unit)
            borders.append(border)
        return ChainInverse(torch.stack(blocks[::-1]), torch.stack(borders[::-1]), corner)

    def _split(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        length = self.block.shape[0] * self.block.shape[1]
        return vector[:length].reshape(self.block.shape[:2]), vector[length:]


def factorised(chain: Chain) -> ChainFactor:
    """Its Cholesky factor, member by member."""
    blocks: list[Tensor] = []
    links: list[Tensor] = []
    borders: list[Tensor] = []
    for place, (block, border) in enumerate(zip(chain.block, chain.border, strict=True)):
        if blocks:
            link = torch.linalg.solve_triangular(blocks[-1], chain.link[place - 1].T, upper=False).T
            block, border = block - link @ link.T, border - borders[-1] @ link.T
            links.append(link)
        blocks.append(torch.linalg.cholesky(block))
        borders.append(torch.linalg.solve_triangular(blocks[-1], border.T, upper=False).T)
    tall = torch.stack(borders)
    wide = tall.transpose(0, 1).flatten(1).contiguous()
    square = torch.from_numpy(wide.numpy() @ wide.numpy().T)  # NumPy computes but half of a product with its own transpose
    corner = torch.linalg.cholesky(chain.corner - square)
    return ChainFactor(torch.stack(blocks), torch.stack(links), wide.reshape(len(wide), len(tall), -1).transpose(0, 1), corner)


def log_marginal(chain: Chain, slope: Tensor) -> float:
    """½·bᵀH⁻¹b - ½·log det H of the matrix H and a slope b (F·Z + G,): the log integral of exp(bᵀx - ½·xᵀHx) but for a constant.

    The slope is factorised along, as one more row of the border: L⁻¹b is then all that this row of the factor holds but the diagonal.
    """
    length, size = chain.block.shape[0] * chain.block.shape[1], len(chain.corner)
    corner = torch.nn.functional.pad(chain.corner, (0, 1, 0, 1))
    corner[size, :size] = corner[:size, size] = slope[length:]
    corner[size, size] = LARGE
    border = torch.cat([chain.border, slope[:length].reshape(chain.block.shape[0], 1, -1)], 1)
    factor = factorised(Chain(chain.block, chain.link, border, corner))
    whitened = torch.cat([factor.border[:, -1].flatten(), factor.corner[-1, :-1]])
    return 0.5 * float(whitened @ whitened) - factor.half_log_determinant + 0.5 * math.log(LARGE)

"""Symmetric positive definite systems of a chain of blocks with a border: a block meets its neighbours in the chain and the border only.

That is the information about a tilt series in which particles walk at random: what belongs to one tilt is a block, the neighbour in the
chain is the tilt taken before it, and positions and whatever all tilts share are the border. Cost grows with the number of tilts, not
with its cube.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import cholesky
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
    border : (F, G, Z)
    solid, shared : the corner, (G, G) if it were written out: (P, n, n) blocks along its diagonal, and below them the last rows (D, G)
    """

    block: Tensor
    link: Tensor
    border: Tensor
    solid: Tensor
    shared: Tensor


@dataclass(frozen=True)
class ChainInverse:
    """The parts of the inverse that have a place in a `Chain`, but for the links; the whole of it is never kept."""

    block: Tensor
    border: Tensor
    solid: Tensor
    shared: Tensor


@dataclass(frozen=True)
class ChainFactor:
    """Cholesky factor L; a vector is (F·Z + G,), the chain's members first.

    Parameters
    ----------
    block, link, border : as of a `Chain`; corner : (G, G)
    solid : edge n of the blocks that the chain's corner began with, and their number P
    """

    block: Tensor
    link: Tensor
    border: Tensor
    corner: Tensor
    solid: tuple[int, int]

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
        block, border = torch.empty_like(self.block), torch.empty_like(self.border)
        for place in range(len(block) - 1, -1, -1):
            unit, with_border, with_next = self._unit[place], corner @ self.border[place], None
            if place + 1 < len(block):
                with_border += border[place + 1] @ self.link[place]
                with_next = -(block[place + 1] @ self.link[place] + border[place + 1].T @ self.border[place]) @ unit
            border[place] = -with_border @ unit
            own = unit.T - border[place].T @ self.border[place]
            if with_next is not None:
                own = own - with_next.T @ self.link[place]
            block[place] = own @ unit
        at = torch.arange(self.solid[0] * self.solid[1]).reshape(-1, self.solid[0])
        return ChainInverse(block, border, corner[at[:, :, None], at[:, None]], corner[at.numel() :].clone())

    def _split(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        length = self.block.shape[0] * self.block.shape[1]
        return vector[:length].reshape(self.block.shape[:2]), vector[length:]


def factorised(chain: Chain) -> ChainFactor:
    """Its Cholesky factor, member by member."""
    blocks: list[Tensor] = []
    links: list[Tensor] = []
    tilts, width, size = chain.border.shape
    wide = chain.border.new_empty(width, tilts, size)
    for place, (block, border) in enumerate(zip(chain.block, chain.border, strict=True)):
        if blocks:
            link = torch.linalg.solve_triangular(blocks[-1], chain.link[place - 1].T, upper=False).T
            block, border = block - link @ link.T, border - wide[:, place - 1] @ link.T
            links.append(link)
        blocks.append(torch.linalg.cholesky(block))
        wide[:, place] = torch.linalg.solve_triangular(blocks[-1], border.T, upper=False).T
    solid = chain.solid.shape[1], chain.solid.shape[0]
    return ChainFactor(torch.stack(blocks), torch.stack(links), wide.transpose(0, 1), _corner_factor(chain, wide.flatten(1)), solid)


def _corner_factor(chain: Chain, wide: Tensor) -> Tensor:
    """Lower Cholesky factor of the corner less wide·wideᵀ (G, G), in the place of that product: where borders are long, it is large."""
    square = wide.numpy() @ wide.numpy().T  # NumPy computes but half of a product with its own transpose
    np.negative(square, out=square)
    count, edge = chain.solid.shape[:2]
    at = np.arange(count * edge).reshape(count, edge)
    square[at[:, :, None], at[:, None]] += chain.solid.numpy()
    square[count * edge :] += chain.shared.numpy()
    # To LAPACK, which counts columns first, the lower triangle of the array is the upper one of its transpose.
    return torch.from_numpy(cholesky(square.T, lower=False, overwrite_a=True, check_finite=False).T)


def log_marginal(chain: Chain, slope: Tensor) -> float:
    """½·bᵀH⁻¹b - ½·log det H of the matrix H and a slope b (F·Z + G,): the log integral of exp(bᵀx - ½·xᵀHx) but for a constant.

    The slope is factorised along, as one more row of the border: L⁻¹b is then all that this row of the factor holds but the diagonal.
    """
    length = chain.block.shape[0] * chain.block.shape[1]
    last = torch.cat([slope[length:], slope.new_tensor([LARGE])])
    shared = torch.cat([torch.nn.functional.pad(chain.shared, (0, 1)), last[None]])
    border = torch.cat([chain.border, slope[:length].reshape(chain.block.shape[0], 1, -1)], 1)
    factor = factorised(replace(chain, border=border, shared=shared))
    whitened = torch.cat([factor.border[:, -1].flatten(), factor.corner[-1, :-1]])
    return 0.5 * float(whitened @ whitened) - factor.half_log_determinant + 0.5 * math.log(LARGE)

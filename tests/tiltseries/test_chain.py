"""A chain's factor, solutions, determinant and inverse against the dense matrix."""

from __future__ import annotations

import pytest
import torch

from tomobayes.tiltseries.chain import Chain, factorised, log_marginal
from tomobayes.tiltseries.descent import minimised

MEMBERS, SIZE, BORDER = 5, 4, 3


@pytest.fixture
def chain() -> Chain:
    random = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=random)

    block, corner = draw(MEMBERS, SIZE, SIZE), draw(BORDER, BORDER)
    strong = 12 * torch.eye(SIZE, dtype=torch.float64)
    corner = corner @ corner.T + 20 * torch.eye(BORDER, dtype=torch.float64)
    return Chain(block @ block.mT + strong, draw(MEMBERS - 1, SIZE, SIZE), draw(MEMBERS, BORDER, SIZE), corner)


def _dense(chain: Chain) -> torch.Tensor:
    end = MEMBERS * SIZE
    whole = torch.zeros(end + BORDER, end + BORDER, dtype=torch.float64)
    for place in range(MEMBERS):
        own = slice(place * SIZE, (place + 1) * SIZE)
        whole[own, own] = chain.block[place]
        whole[end:, own] = chain.border[place]
        if place:
            whole[own, own.start - SIZE : own.start] = chain.link[place - 1]
    whole[end:, end:] = chain.corner
    return whole.tril() + whole.tril(-1).T


def test_factor_solves_and_multiplies(chain):
    dense, factor = _dense(chain), factorised(chain)
    lower = torch.linalg.cholesky(dense)
    vector = torch.arange(len(dense), dtype=torch.float64)
    torch.testing.assert_close(factor.forward(vector), torch.linalg.solve_triangular(lower, vector[:, None], upper=False)[:, 0])
    torch.testing.assert_close(factor.backward(vector), torch.linalg.solve_triangular(lower.T, vector[:, None], upper=True)[:, 0])
    torch.testing.assert_close(factor.multiply(factor.backward(vector)), vector)
    assert factor.half_log_determinant == pytest.approx(0.5 * float(torch.logdet(dense)))


def test_inverse_where_the_chain_has_blocks(chain):
    inverse, found = torch.linalg.inv(_dense(chain)), factorised(chain).inverse()
    end = MEMBERS * SIZE
    for place in range(MEMBERS):
        own = slice(place * SIZE, (place + 1) * SIZE)
        torch.testing.assert_close(found.block[place], inverse[own, own])
        torch.testing.assert_close(found.border[place], inverse[end:, own])
    torch.testing.assert_close(found.corner, inverse[end:, end:])


def test_marginal_is_that_of_the_dense_matrix(chain):
    dense = _dense(chain)
    slope = torch.arange(len(dense), dtype=torch.float64) - 4
    expected = 0.5 * slope @ torch.linalg.solve(dense, slope) - 0.5 * torch.logdet(dense)
    assert log_marginal(chain, slope) == pytest.approx(float(expected))


def test_descent_reaches_the_bottom_of_a_bent_valley():
    def cost(x: torch.Tensor) -> tuple[float, torch.Tensor]:
        x = x.clone().requires_grad_()
        value = (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()
        value.backward()
        return float(value.detach()), x.grad

    found = minimised(cost, torch.tensor([-1.2, 1.0, -0.5, 0.8], dtype=torch.float64), 1e-12, 500)
    torch.testing.assert_close(found.place, torch.ones(4, dtype=torch.float64), atol=1e-4, rtol=0)
    assert found.steps < 100

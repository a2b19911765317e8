"""A chain's factor, solutions, determinant and inverse against the dense matrix."""

from __future__ import annotations

import pytest
import torch

from tomobayes.tiltseries.chain import Chain, factorised, log_marginal
from tomobayes.tiltseries.descent import minimised

MEMBERS, SIZE, PARTICLES, SHARED = 5, 4, 2, 2
BORDER = 3 * PARTICLES + SHARED


@pytest.fixture
def chain() -> Chain:
    random = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=random)

    block, solid, shared = draw(MEMBERS, SIZE, SIZE), draw(PARTICLES, 3, 3), draw(SHARED, BORDER)
    strong = 12 * torch.eye(SIZE, dtype=torch.float64)
    solid = solid @ solid.mT + 40 * torch.eye(3, dtype=torch.float64)
    own = shared[:, 3 * PARTICLES :]
    shared[:, 3 * PARTICLES :] = own @ own.T + 60 * torch.eye(SHARED, dtype=torch.float64)
    return Chain(block @ block.mT + strong, draw(MEMBERS - 1, SIZE, SIZE), draw(MEMBERS, BORDER, SIZE), solid, shared)


def _dense(chain: Chain) -> torch.Tensor:
    end = MEMBERS * SIZE
    whole = torch.zeros(end + BORDER, end + BORDER, dtype=torch.float64)
    for place in range(MEMBERS):
        own = slice(place * SIZE, (place + 1) * SIZE)
        whole[own, own] = chain.block[place]
        whole[end:, own] = chain.border[place]
        if place:
            whole[own, own.start - SIZE : own.start] = chain.link[place - 1]
    for particle, solid in enumerate(chain.solid):
        own = slice(end + 3 * particle, end + 3 * particle + 3)
        whole[own, own] = solid
    whole[-SHARED:, end:] = chain.shared
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
    for particle, solid in enumerate(found.solid):
        own = slice(end + 3 * particle, end + 3 * particle + 3)
        torch.testing.assert_close(solid, inverse[own, own])
    torch.testing.assert_close(found.shared, inverse[-SHARED:, end:])


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

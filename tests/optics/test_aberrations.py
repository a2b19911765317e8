"""Zernike polynomials: order of the lists, closed forms, signs under inversion, gradients."""

from __future__ import annotations

import pytest
import torch

from tomobayes.optics.aberrations import even_indices, even_phase, odd_indices, odd_phase, zernike

X, Y = (torch.rand(20, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) - 0.5 for seed in (0, 1))
SQUARED = X**2 + Y**2


def test_order_of_even_coefficients():
    assert [even_indices(i) for i in range(9)] == [(0, 0), (2, -2), (2, 0), (2, 2), (4, -4), (4, -2), (4, 0), (4, 2), (4, 4)]


def test_order_of_odd_coefficients():
    assert [odd_indices(i) for i in range(6)] == [(1, -1), (1, 1), (3, -3), (3, -1), (3, 1), (3, 3)]


@pytest.mark.parametrize(
    ("n", "m", "expected"),
    [
        (0, 0, torch.ones_like(X)),
        (1, -1, Y),
        (1, 1, X),
        (2, -2, 2 * X * Y),
        (2, 0, 2 * SQUARED - 1),
        (2, 2, X**2 - Y**2),
        (3, -3, 3 * X**2 * Y - Y**3),
        (3, -1, (3 * SQUARED - 2) * Y),
        (3, 1, (3 * SQUARED - 2) * X),
        (3, 3, X**3 - 3 * X * Y**2),
        (4, 0, 6 * SQUARED**2 - 6 * SQUARED + 1),
        (4, 2, (4 * SQUARED - 3) * (X**2 - Y**2)),
        (4, -4, 4 * X * Y * (X**2 - Y**2)),
    ],
)
def test_closed_forms(n, m, expected):
    torch.testing.assert_close(zernike(n, m, X, Y), expected)


def test_even_is_even_and_odd_is_odd():
    frequency = torch.stack([X, Y], -1)
    even, odd = [0.3, -1.0, 2.0, 0.7, 5.0], [1.0, -2.0, 3.0, 0.5]
    torch.testing.assert_close(even_phase(even, -frequency), even_phase(even, frequency))
    torch.testing.assert_close(odd_phase(odd, -frequency), -odd_phase(odd, frequency))


def test_gradients_even_at_the_origin():
    frequency = torch.cat([torch.stack([X, Y], -1)[:3], torch.zeros(1, 2, dtype=torch.float64)]).requires_grad_()
    assert torch.autograd.gradcheck(lambda k: even_phase([0.1, 1, 2, 3, 4, 5], k), frequency)
    assert torch.autograd.gradcheck(lambda k: odd_phase([0.1, 1, 2, 3, 4, 5], k), frequency)

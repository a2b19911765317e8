"""Small experiments whose truth is known."""

from __future__ import annotations

import pytest

from small_experiment import OPTICS, particles, phantom, positions, recorded, series
from tomobayes.model import Dataset, Map


@pytest.fixture(scope="session")
def density() -> Map:
    return phantom()


@pytest.fixture(scope="session")
def noisy(density) -> Dataset:
    """Nine particles in noise that single images drown in."""
    table = particles(positions(3, 36))
    return recorded(Dataset((series(160),), (OPTICS,), table), density, sigma=6.0)


@pytest.fixture(scope="session")
def white() -> Dataset:
    """Nothing but noise, at the places of 25 particles."""
    table = particles(positions(5, 34))
    return recorded(Dataset((series(224),), (OPTICS,), table), None, sigma=2.0)

"""Maps to work on."""

import numpy as np
import pytest


def gaussians(box, seed=0, n=12, width=2.5):
    """A smooth map without symmetry: Gaussians scattered over the inner part of the box."""
    random = np.random.default_rng(seed)
    axis = np.arange(box) - box // 2
    volume = np.zeros((box,) * 3)
    for x, y, z in random.uniform(-box / 5, box / 5, (n, 3)):
        x2, y2, z2 = (axis - x) ** 2, (axis - y) ** 2, (axis - z) ** 2
        volume += random.uniform(0.5, 1) * np.exp(-(z2[:, None, None] + y2[:, None] + x2) / (2 * width**2))
    return volume.astype(np.float32)


@pytest.fixture
def make_map():
    return gaussians


@pytest.fixture
def halves():
    """Two maps with a common white signal up to a shell, and white noise of their own everywhere."""
    from tomobayes.maps.filters import multiply_shells

    def make(box, signal, noise, cutoff, seed=0, mask=1.0):
        random = np.random.default_rng(seed)
        factors = (np.arange(box // 2 + 1) < cutoff).astype(float)
        common = multiply_shells(signal * random.standard_normal((box,) * 3), factors) * mask
        return tuple((common + noise * random.standard_normal((box,) * 3)).astype(np.float32) for _ in range(2))

    return make

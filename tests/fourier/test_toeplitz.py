"""What slices make of a map, as one convolution."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.spatial.transform import Rotation

from tomobayes.fourier.grids import half_plane
from tomobayes.fourier.slices import Accumulator
from tomobayes.fourier.toeplitz import convolved, response

BOX = 24
PLANE = torch.nn.functional.pad(half_plane(BOX // 2 - 1).double(), (0, 1))
WEIGHT = torch.cos(PLANE[:, 0]).square()
AXIS = torch.arange(BOX).double() - BOX // 2
INSIDE = (AXIS[:, None, None] ** 2 + AXIS[:, None] ** 2 + AXIS**2).sqrt() < 0.3 * BOX


@pytest.fixture(scope="module")
def turns() -> torch.Tensor:
    """Few orientations, so that Σw is rough."""
    return torch.from_numpy(Rotation.random(12, random_state=3).as_matrix())


def _noise(seed: int) -> torch.Tensor:
    return torch.randn(BOX, BOX, BOX, generator=torch.Generator().manual_seed(seed))


def _passed(turns: torch.Tensor) -> torch.Tensor:
    accumulator = Accumulator(BOX, BOX // 2 - 1)
    nothing = torch.zeros(len(turns), len(PLANE), dtype=torch.complex64)
    accumulator.insert(turns.float(), PLANE.float(), nothing, WEIGHT.float().expand(len(turns), -1))
    return response(accumulator.sums())


def test_it_is_what_reading_slices_and_adding_them_up_again_does(turns):
    """Against sums of plane waves, voxel by voxel, where a particle stands; trilinear insertion smears weights by half a Fourier pixel."""
    volume = _noise(0) * INSIDE
    z, y, x = torch.meshgrid(AXIS, AXIS, AXIS, indexing="ij")
    places, told = torch.stack([x, y, z], -1).reshape(-1, 3), torch.zeros(BOX**3, dtype=torch.float64)
    for turn in turns:
        waves = torch.exp(2j * math.pi / BOX * (places @ (PLANE @ turn).T))
        slices = waves.mH @ volume.flatten().to(waves)
        told += 2 * (waves @ (WEIGHT * slices)).real / BOX**3 / 8  # both Friedel mates; samples of half a Fourier pixel's cell
    found = convolved(volume, _passed(turns)).double()
    difference = (found - told.reshape(found.shape))[INSIDE]
    assert difference.norm() < 0.05 * told.reshape(found.shape)[INSIDE].norm()


def test_it_is_symmetric_and_takes_nothing_away(turns):
    passed, one, two = _passed(turns), _noise(1), _noise(2)
    torch.testing.assert_close((one * convolved(two, passed)).sum(), (two * convolved(one, passed)).sum(), rtol=1e-4, atol=0.0)
    assert (one * convolved(one, passed)).sum() > 0 and passed.min() >= 0

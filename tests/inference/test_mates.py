"""Symmetry mates look the same, exactly one of them is searched, and the map counts them all."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from small_experiment import BOX, phantom, random_poses
from tomobayes.fourier.grids import half_plane
from tomobayes.fourier.slices import Accumulator, extract_slices
from tomobayes.fourier.volume import Sums, from_map, radii, to_map
from tomobayes.geometry.healpix import local_grid
from tomobayes.geometry.pointgroups import fundamental_domain, lattice_rotations, point_group, representatives
from tomobayes.geometry.rotations import matrix_from_vector
from tomobayes.inference.likelihood import log_likelihood
from tomobayes.inference.maximisation import symmetrised
from tomobayes.inference.sampling import orientations

SYMBOLS = ["C6", "D7", "O", "I"]
RADIUS = BOX // 2 - 1
PLANE = torch.nn.functional.pad(half_plane(RADIUS).float(), (0, 1))


def _group(symbol: str) -> torch.Tensor:
    return torch.from_numpy(point_group(symbol))


def _symmetric(symbol: str) -> torch.Tensor:
    """One blob, 9 pixels from the centre in no special direction, and its mates."""
    axis = torch.arange(BOX) - BOX // 2
    total = torch.zeros(BOX, BOX, BOX)
    for x, y, z in (_group(symbol) @ torch.tensor([5.2, 2.9, 6.8]).double()).tolist():
        lines = [torch.exp(-((axis - centre) ** 2) / (2 * 1.3**2)) for centre in (z, y, x)]
        total += torch.einsum("i,j,k->ijk", *lines)
    return total


@pytest.mark.parametrize("symbol", [*SYMBOLS, "T", "C1"])
def test_exactly_one_of_each_orbit_is_in_the_fundamental_domain(symbol):
    some = Rotation.random(500, random_state=0).as_matrix()
    mates = some[:, None] @ point_group(symbol)
    inside = fundamental_domain(mates.reshape(-1, 3, 3), point_group(symbol)).reshape(mates.shape[:2])
    assert (inside.sum(1) == 1).all()


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_no_two_orientations_of_a_search_are_mates(symbol):
    grid = orientations(2, point_group(symbol)).double()
    mates = torch.einsum("oij,gjk->ogik", grid, _group(symbol)[1:]).reshape(-1, 9)
    closest = torch.acos(((grid.reshape(-1, 9) @ mates.T - 1) / 2).clamp(-1, 1)).min()
    assert math.degrees(float(closest)) > 0.5
    assert len(grid) == pytest.approx(4608 / len(point_group(symbol)), rel=0.1)


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_a_symmetric_reference_does_not_tell_mates_apart(symbol):
    """Likelihood, and evidence summed around either, differ by what interpolation errs; an asymmetric map tells mates apart."""
    truth, rotation = _symmetric(symbol), random_poses(1)[0]
    mates = rotation @ _group(symbol).float()
    image = extract_slices(from_map(truth), rotation[None], PLANE)
    noise = float(image.abs().square().mean()) * 20  # about nine nats between the true pose and no particle
    data, weight = image[None] / noise, torch.full((1, len(PLANE)), 1 / noise)

    def spread(density: torch.Tensor, around: torch.Tensor) -> float:
        tried = mates[:, None] @ around
        score = log_likelihood(data, weight, extract_slices(from_map(density), tried.flatten(0, 1), PLANE))
        return float(torch.logsumexp(score.reshape(len(mates), -1), 1).std())

    alone, cloud = torch.eye(3)[None], matrix_from_vector(torch.from_numpy(local_grid(6.0, 24.0))).float()
    assert spread(truth, alone) < 0.005 and spread(truth, cloud) < 0.005
    assert spread(_symmetric("C1"), alone) > 10 * spread(truth, alone)


@pytest.mark.parametrize("symbol", ["C1", "C4", "C6", "D2", "D7", "T", "O", "I1", "I3"])
def test_every_mate_is_a_representative_times_a_lattice_rotation(symbol):
    group = point_group(symbol)
    lattice = lattice_rotations(group)
    products = (representatives(group, lattice)[:, None] @ lattice).reshape(-1, 3, 3)
    assert len(products) == len(group)
    assert all(np.abs(products - member).max((1, 2)).min() < 1e-9 for member in group)


def _inserted(slices: torch.Tensor, rotations: torch.Tensor, turns: torch.Tensor) -> Sums:
    accumulator = Accumulator(BOX, RADIUS)
    factor = torch.sin(3 * math.pi * PLANE.square().sum(-1) / RADIUS**2 + 0.5).expand(len(rotations), -1)
    for turn in turns.float():
        accumulator.insert(rotations @ turn, PLANE, factor * slices, factor.square())
    return accumulator.sums()


@pytest.mark.parametrize("symbol", ["C2", "C4", "C6", "D2", "D7", "O", "I1", "I2"])
def test_grid_rotations_exchange_values_exactly(symbol):
    """As inserting every orientation at its mates does: all of C2, C4, D2 and O, and what C6, D7 and I have in common with O."""
    turns = torch.from_numpy(lattice_rotations(point_group(symbol)))
    assert len(turns) > 1
    rotations = random_poses(5)
    slices = extract_slices(from_map(torch.from_numpy(phantom().data)), rotations, PLANE)
    got, wanted = symmetrised(_inserted(slices, rotations, torch.eye(3)[None]), turns), _inserted(slices, rotations, turns)
    assert (got.data - wanted.data).abs().max() < 1e-5 * wanted.data.abs().max()
    assert (got.weight - wanted.weight).abs().max() < 1e-5 * wanted.weight.max()


@pytest.mark.parametrize("symbol", [*SYMBOLS, "T"])
def test_other_rotations_are_nearly_those_of_inserting_at_all_mates(symbol):
    """Reading between the values of the grid costs a few percent where the particle is, of data and of weights alike."""
    rotations = random_poses(60)
    slices = extract_slices(from_map(_symmetric(symbol)), rotations, PLANE)
    got = symmetrised(_inserted(slices, rotations, torch.eye(3)[None]), _group(symbol))
    wanted = _inserted(slices, rotations, _group(symbol))
    axis = torch.arange(BOX) - BOX // 2
    ball = (axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2).sqrt() < 0.35 * BOX
    pairs = [(got.data, wanted.data), *((torch.complex(one.weight, 0 * one.weight) for one in (got, wanted)),)]
    for one, two in pairs:
        real, other = to_map(one, BOX) * ball, to_map(two, BOX) * ball
        assert (real - other).norm() < 0.07 * other.norm()


def test_mates_outside_the_radius_are_left_alone():
    """The rim of cells that insertion touches beyond the radius belongs to no mate that has to be interpolated."""
    rotations = random_poses(3)
    slices = extract_slices(from_map(torch.from_numpy(phantom().data)), rotations, PLANE)
    sums = symmetrised(_inserted(slices, rotations, torch.eye(3)[None]), _group("C3"))
    before = _inserted(slices, rotations, torch.eye(3)[None])
    outside = radii(sums.data.shape[-1] - 1) > RADIUS
    torch.testing.assert_close(sums.data[outside], before.data[outside])

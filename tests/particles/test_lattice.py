"""Lattices: places and turns are learned from neighbours, members are told from others, and a crowd is no lattice."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tomobayes.geometry.pointgroups import point_group
from tomobayes.particles.lattice import REACH, fits_lattice, fits_spacing, learn_lattice, learn_spacing, support_of
from tomobayes.particles.neighbour_plot import neighbour_plot
from tomobayes.particles.neighbours import pairs_within, relative_poses
from tomobayes.particles.turns import modes_of, nearest_turn_degrees

STEPS = np.array([[90.0, 0, 0], [20, 70, 0]])
"""An oblique lattice without any symmetry but its own."""


def sheet(n=14, seed=0, spread=2.0, group="C1"):
    """Centres and rotations of an oblique sheet, turned as a whole; each particle in one of its symmetry mates' frames."""
    random = np.random.default_rng(seed)
    places = np.stack(np.meshgrid(np.arange(n), np.arange(n)), -1).reshape(-1, 2) @ STEPS
    frame = Rotation.random(random_state=seed).as_matrix()
    wobble = Rotation.from_rotvec(random.normal(0, 0.03, (n * n, 3))).as_matrix()
    mates = point_group(group)[random.integers(len(point_group(group)), size=n * n)]
    return (places + random.normal(0, spread, places.shape)) @ frame.T, frame @ wobble @ mates


def examined(centres, rotation, group="C1", spacing=None, reach=300.0):
    series = np.zeros(len(centres), dtype=int)
    symmetry = point_group(group)
    if spacing is None:
        spacing = learn_spacing(relative_poses(centres, rotation, pairs_within(centres, series, reach))[0], reach, symmetry)
    pairs = pairs_within(centres, series, REACH * spacing)
    position, turn = relative_poses(centres, rotation, pairs)
    return pairs, position, turn, learn_lattice(position, turn, symmetry, spacing)


def test_places_of_an_oblique_lattice_are_found():
    _, position, turn, lattice = examined(*sheet())
    expected = np.array([a * STEPS[0] + b * STEPS[1] for a in range(-4, 5) for b in range(-4, 5) if (a, b) != (0, 0)])
    near = expected[np.linalg.norm(expected, axis=1) < 2.1 * lattice.spacing_angstrom]
    distance = np.linalg.norm(near[:, None] - lattice.position_angstrom, axis=-1)
    assert lattice.spacing_angstrom == pytest.approx(np.linalg.norm(STEPS[1]), abs=1)
    assert distance.min(1).max() < 2
    assert all(len(turns) == 1 for turns in lattice.turns)
    assert nearest_turn_degrees(np.concatenate(lattice.turns), np.eye(3)[None], point_group("C1")).max() < 2
    well_inside = np.linalg.norm(position, axis=1) < 2 * lattice.spacing_angstrom
    assert fits_lattice(lattice, position, turn, point_group("C1"), 18, 20)[well_inside].mean() > 0.99


@pytest.mark.parametrize(("given", "modes"), [("C2", 1), ("C1", 2)])
def test_mates_are_one_turn_where_the_symmetry_is_given_and_several_where_not(given, modes):
    lattice = examined(*sheet(group="C2"), group=given)[3]
    assert [len(turns) for turns in lattice.turns] == [modes] * len(lattice.turns)


@pytest.mark.parametrize("kind", ["turned", "moved"])
def test_members_stay_and_strangers_go(kind):
    centres, rotation = sheet()
    random = np.random.default_rng(1)
    row = random.integers(len(centres), size=80)
    other = Rotation.random(80, random_state=2).as_matrix() if kind == "turned" else rotation[row]
    moved = random.normal(0, 25, (80, 3))
    everyone = np.concatenate([centres, centres[row] + moved]), np.concatenate([rotation, other])
    pairs, position, turn, lattice = examined(*everyone)
    fits = fits_lattice(lattice, position, turn, point_group("C1"), 12, 20)
    support, weight = support_of(pairs, fits, lattice.spacing_angstrom, len(everyone[0]))
    stranger = np.arange(len(everyone[0])) >= len(centres)
    stranger &= ~((np.linalg.norm(everyone[0] - centres[np.append(np.arange(len(centres)), row)], axis=1) < 15) & (kind == "moved"))
    assert (support[: len(centres)] >= 1).mean() > 0.98
    assert (support[stranger] >= 1).mean() < 0.05
    assert ((weight >= 0) & (weight <= 1)).all()


def test_a_neighbour_at_its_place_must_be_turned_as_usual():
    centres, rotation = sheet()
    odd = np.arange(len(centres)) % 17 == 8
    rotation = np.where(odd[:, None, None], rotation @ Rotation.from_euler("z", 45, degrees=True).as_matrix(), rotation)
    pairs, position, turn, lattice = examined(centres, rotation)
    near = (pairs.distance_angstrom < 1.5 * lattice.spacing_angstrom) & ~odd[pairs.first]
    fits = fits_lattice(lattice, position, turn, point_group("C1"), 18, 20)
    assert not fits[near & odd[pairs.second]].any()
    assert fits[near & ~odd[pairs.second]].mean() > 0.98


def test_two_strangers_do_not_hold_each_other_up():
    centres, rotation = sheet()
    frame = rotation[0]
    pair = np.array([5000.0, 0, 0]) + np.array([[0, 0, 0], STEPS[0]]) @ frame.T
    pairs, position, turn, lattice = examined(np.concatenate([centres, pair]), np.concatenate([rotation, np.stack([frame, frame])]))
    fits = fits_lattice(lattice, position, turn, point_group("C1"), 12, 20)
    assert fits[pairs.first >= len(centres)].all()
    assert (support_of(pairs, fits, lattice.spacing_angstrom, len(centres) + 2)[0][-2:] < 0.01).all()


@pytest.mark.parametrize("seed", range(3))
def test_a_crowd_is_no_lattice(seed):
    """Hard discs at random on a plane: rings in the neighbour plot, but no spots."""
    random = np.random.default_rng(seed)
    tried = np.append(random.uniform(0, 1500, (6000, 2)), np.zeros((6000, 1)), 1)
    from tomobayes.particles.duplicates import keep_best

    centres = tried[keep_best(tried, np.zeros(6000, dtype=int), 70.0)]
    rotation = Rotation.from_euler("z", random.uniform(0, 360, (len(centres), 1)), degrees=True).as_matrix()
    for group in ("C1", "C6"):
        assert examined(centres, rotation, group, spacing=75.0)[3] is None


def test_neighbours_at_a_distance_and_angle():
    position = np.array([[0, 90.0, 0], [0, 0, 85], [70, 0, 0], [0, -90, 0]])
    turn = Rotation.from_euler("z", [[5], [175], [0], [40]], degrees=True).as_matrix()
    assert fits_spacing(position, turn, point_group("C2"), 90.0, 10.0, 20.0).tolist() == [True, True, False, False]
    assert fits_spacing(position, turn, point_group("C1"), 90.0, 10.0, 20.0).tolist() == [True, False, False, False]


def test_modes_are_found_up_to_the_group():
    random = np.random.default_rng(0)
    about = Rotation.from_euler("zyz", [[10, 30, 50], [80, 100, 0]], degrees=True).as_matrix()
    turns = about[random.integers(2, size=200)] @ Rotation.from_rotvec(random.normal(0, 0.05, (200, 3))).as_matrix()
    mates = turns @ point_group("D3")[random.integers(6, size=200)]
    modes = modes_of(mates, point_group("D3"))
    assert len(modes) == 2
    assert nearest_turn_degrees(about, modes, point_group("D3")).max() < 1.5
    assert len(modes_of(Rotation.random(300, random_state=0).as_matrix(), point_group("C1"))) == 0


def test_the_plot_is_one_where_neighbours_are_anywhere_and_has_spots_where_they_are():
    random = np.random.default_rng(0)
    ball = random.normal(size=(200_000, 3))
    ball *= 100 * random.uniform(0, 1, (len(ball), 1)) ** (1 / 3) / np.linalg.norm(ball, axis=1, keepdims=True)
    plot = neighbour_plot(ball, 100.0, 10.0)
    middle = len(plot.density) // 2
    assert plot.density[middle - 4 : middle + 5, middle - 4 : middle + 5, middle - 4 : middle + 5].mean() == pytest.approx(1, abs=0.02)
    spot = neighbour_plot(np.tile([30.0, -20, 50], (50, 1)), 100.0, 10.0)
    np.testing.assert_allclose(spot.position_angstrom(np.array(np.unravel_index(spot.density.argmax(), spot.density.shape))), [30, -20, 50])

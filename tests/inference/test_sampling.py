"""Grids from coarse to fine: nothing is left out, nothing is tried twice."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from tomobayes.geometry.rotations import angular_distance_degrees, vector_from_matrix
from tomobayes.inference.sampling import around, children, global_plan, local_plan, orientations, shift_children, shift_lattice

ONE = np.eye(3)[None]


def test_children_halve_the_spacing_around_their_parent():
    parent = torch.from_numpy(Rotation.random(1, random_state=0).as_matrix())
    found = vector_from_matrix(parent[0].T @ children(parent, 4.0))
    torch.testing.assert_close(found.mean(0), torch.zeros(3).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(torch.rad2deg(found).abs(), torch.ones(8, 3).double())


def test_children_of_a_lattice_of_shifts_are_the_lattice_of_half_the_spacing():
    """Moved by a quarter of a step, as the cells of a box tile it."""
    parents = shift_lattice(2.0, 3.0)
    found = shift_children(parents, 2.0, 1.0)
    assert len(torch.unique(found, dim=0)) == 8 * len(parents)
    torch.testing.assert_close((found - 0.5) % 1.0, torch.zeros_like(found))
    torch.testing.assert_close(found.reshape(-1, 8, 3).mean(1), parents)
    assert shift_children(parents, 2.0, 2.0) is parents


def test_shifts_fill_a_ball():
    found = shift_lattice(0.5, 1.2)
    axis = np.arange(-2, 3) * 0.5
    inside = [p for p in np.array(np.meshgrid(axis, axis, axis)).reshape(3, -1).T if np.linalg.norm(p) <= 1.2]
    assert {tuple(p) for p in found.tolist()} == {tuple(p) for p in inside}
    assert shift_lattice(5.0, 1.0).tolist() == [[0, 0, 0]]


def test_local_grids_lie_around_the_pose():
    pose = torch.from_numpy(Rotation.random(1, random_state=3).as_matrix())[0]
    found = around(pose, 3.0, 6.5)
    off = angular_distance_degrees(pose.expand_as(found), found)
    assert float(off[0]) < 1e-5 and float(off.max()) <= 6.5 and len(found) > 30


def test_every_orientation_is_near_one_of_the_grid_and_mates_are_left_out():
    grid = orientations(1, ONE)
    some = torch.from_numpy(Rotation.random(50, random_state=4).as_matrix()).float()
    nearest = angular_distance_degrees(grid[None].expand(50, -1, 3, 3), some[:, None].expand(-1, len(grid), 3, 3)).amin(1)
    assert len(grid) == 576 and float(nearest.max()) < 30
    two = np.stack([np.eye(3), np.diag([-1.0, -1.0, 1.0])])
    assert len(orientations(1, two)) == pytest.approx(288, abs=24)


@pytest.mark.parametrize(("finest", "shift"), [(7.5, 0.5), (1.1, 0.5), (3.0, 0.05)])
def test_global_plans_grow_finer_and_compare_more(finest, shift):
    plan = global_plan(1, finest, shift_range_px=8.0, finest_shift_px=shift, diameter_px=30.0, box=64, radius=28)
    assert len(plan.levels) >= 2 and plan.levels[0].angular_step == 30 and plan.levels[-1].angular_step <= finest
    for coarse, fine in zip(plan.levels, plan.levels[1:], strict=False):
        assert coarse.angular_step == 2 * fine.angular_step and coarse.radius <= fine.radius
        assert coarse.shift_step_px / fine.shift_step_px in (1, 2)
        rim = math.radians(coarse.angular_step) * 15
        assert coarse.shift_step_px <= 64 / (2 * coarse.radius) + 0.5 and (coarse.radius == 28 or coarse.radius <= 1.2 * 64 / rim + 1)
    assert plan.levels[-1].radius == 28 and plan.levels[-1].shift_step_px == shift


@pytest.mark.parametrize(("coarsest", "finest"), [(4.0, 1.0), (3.0, 2.9), (10.0, 0.7)])
def test_local_plans_reach_the_finest_spacing_exactly(coarsest, finest):
    plan = local_plan(coarsest, finest, 2.3 * coarsest, 2.0, 0.3, 4.0, 20)
    steps = [level.angular_step for level in plan.levels]
    assert len(steps) >= 2 and steps[-1] == finest and steps[0] >= coarsest * 0.999
    assert plan.levels[-1].shift_step_px == 0.3 and {level.radius for level in plan.levels} == {20}
    ratios = {a.shift_step_px / b.shift_step_px for a, b in zip(plan.levels, plan.levels[1:], strict=False)}
    assert ratios <= {1.0, 2.0}

"""Which poses are tried: grids over rotations and shifts, and how they are refined."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from tomobayes.geometry.healpix import angular_step_degrees, local_grid, rotation_grid
from tomobayes.geometry.pointgroups import fundamental_domain
from tomobayes.geometry.rotations import matrix_from_vector

__all__ = [
    "Level",
    "Plan",
    "around",
    "children",
    "climbing",
    "global_plan",
    "local_plan",
    "orientations",
    "perturbed",
    "radius_for_step",
    "shift_children",
    "shift_lattice",
]


@dataclass(frozen=True)
class Level:
    """One depth of a search: spacing of rotations (degrees) and shifts (box pixels), and the Fourier radius that is compared."""

    angular_step: float
    shift_step_px: float
    radius: int


@dataclass(frozen=True)
class Plan:
    """A search from coarse to fine.

    Parameters
    ----------
    levels : at least two, coarse to fine; each halves the angular spacing of the one before
    angular_range : degrees around each particle's pose; not used by searches over a grid of all orientations
    shift_range_px : largest shift tried, box pixels
    climbs : instead of visiting the last level's grid, go from the best pose to the peak of the posterior and integrate around it
    turns : (R, 3, 3) of the reference, identity first: a search around a pose A begins around every A·r
    """

    levels: tuple[Level, ...]
    angular_range: float
    shift_range_px: float
    climbs: bool = False
    turns: Tensor = field(default_factory=lambda: torch.eye(3, dtype=torch.float64)[None])


def radius_for_step(step_degrees: float, diameter_px: float, box: int) -> int:
    """Finest Fourier radius that a rotational spacing can follow.

    A rotation by the step moves the particle's rim by step x diameter/2; RELION lets 1.2 resolution elements be that long, and so do we.
    """
    rim = math.radians(step_degrees) * diameter_px / 2
    return max(3, math.ceil(1.2 * box / rim))


def global_plan(
    healpix_order: int, finest_step: float, shift_range_px: float, finest_shift_px: float, diameter_px: float, box: int, radius: int
) -> Plan:
    """From a grid over all orientations down to ``finest_step`` degrees and ``finest_shift_px``."""
    coarsest = angular_step_degrees(healpix_order)
    depth = 1 + max(1, math.ceil(math.log2(coarsest / finest_step) - 1e-6))
    steps = [coarsest / 2**i for i in range(depth)]
    radii = [min(radius, radius_for_step(step, diameter_px, box)) for step in steps[:-1]] + [radius]
    halvings = [0]
    for within in reversed(radii[:-1]):  # shifts are never coarser than half a resolution element
        allowed = math.floor(math.log2(max(1.0, box / (2 * within * finest_shift_px))))
        halvings.append(min(allowed, halvings[-1] + 1))
    levels = tuple(Level(step, finest_shift_px * 2**k, within) for step, k, within in zip(steps, reversed(halvings), radii, strict=True))
    return Plan(levels, 180.0, shift_range_px)


def local_plan(
    coarsest_step: float,
    finest_step: float,
    angular_range: float,
    coarsest_shift_px: float,
    finest_shift_px: float,
    shift_range_px: float,
    radius: int,
) -> Plan:
    """From ``coarsest_step`` down around each particle's pose, in at least two levels; the finest spacings are reached exactly."""
    depth = max(1, math.ceil(math.log2(coarsest_step / finest_step) - 1e-6))
    halvings = max(1, min(depth, math.ceil(math.log2(coarsest_shift_px / finest_shift_px) - 1e-6)))
    levels = tuple(Level(finest_step * 2**k, finest_shift_px * 2 ** min(k, halvings), radius) for k in reversed(range(depth + 1)))
    return Plan(levels, angular_range, shift_range_px)


def climbing(plan: Plan, diameter_px: float, box: int) -> Plan:
    """The plan that seeks the basin of the peak with as much detail as its spacings can follow, and climbs in place of its last level."""
    *coarse, finest = plan.levels
    looks = [replace(level, radius=min(level.radius, radius_for_step(level.angular_step, diameter_px, box))) for level in coarse]
    return replace(plan, levels=(*looks, finest), climbs=True)


def orientations(healpix_order: int, group: np.ndarray) -> Tensor:
    """(O, 3, 3) float32 reference -> frame, one of each set of symmetry mates."""
    grid = rotation_grid(healpix_order)
    if len(group) > 1:
        grid = grid[fundamental_domain(grid, group)]
    return torch.from_numpy(grid).float()


def perturbed(grid: Tensor, step_degrees: float, seed: int) -> Tensor:
    """The same grid (O, 3, 3), turned as a whole by up to half its spacing about each axis: no iteration looks where another did."""
    turn = torch.rand(3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 0.5
    return matrix_from_vector(math.radians(step_degrees) * turn).to(grid) @ grid


def around(rotation: Tensor, step_degrees: float, range_degrees: float) -> Tensor:
    """(K, 3, 3) orientations on a lattice around one."""
    vectors = torch.from_numpy(local_grid(step_degrees, range_degrees))
    return rotation @ matrix_from_vector(vectors).to(rotation)


_CORNERS = torch.tensor(list(itertools.product((-0.25, 0.25), repeat=3)), dtype=torch.float64)


def children(rotations: Tensor, step_degrees: float) -> Tensor:
    """The eight orientations that halve the spacing around each of (K, 3, 3), (8K, 3, 3)."""
    turn = matrix_from_vector(math.radians(step_degrees) * _CORNERS).to(rotations)
    return (rotations[:, None] @ turn).flatten(0, 1)


def shift_lattice(step_px: float, range_px: float) -> Tensor:
    """(M, 3) shifts on a cubic lattice inside a ball; always at least the origin."""
    reach = math.floor(range_px / step_px + 1e-6)
    axis = torch.arange(-reach, reach + 1) * step_px
    grid = torch.cartesian_prod(axis, axis, axis)
    return grid[grid.norm(dim=-1) <= range_px + 1e-6]


def shift_children(shifts_px: Tensor, parent_step_px: float, step_px: float) -> Tensor:
    """Shifts of the next level: the cells of the parents split in 8, or the parents themselves where the spacing stays."""
    if step_px > 0.75 * parent_step_px:
        return shifts_px
    return (shifts_px[:, None] + parent_step_px * _CORNERS.to(shifts_px)).flatten(0, 1)

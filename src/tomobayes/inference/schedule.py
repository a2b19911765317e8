"""How a refinement goes on: which poses the next expectation tries, what it believes of them, and when it is done."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor

from tomobayes.geometry.healpix import angular_step_degrees
from tomobayes.geometry.pointgroups import representatives
from tomobayes.imaging.gathering import Portion
from tomobayes.inference.priors import PosePrior
from tomobayes.inference.sampling import Plan, climbing, global_plan, local_plan, orientations, perturbed
from tomobayes.inference.state import Phase, Record, Settings
from tomobayes.model import Particles

__all__ = ["Believing", "Searching", "growth", "next_phase", "next_plan", "next_step", "pose_prior"]

REACH = 2.3
"""How far a settled local search goes, in steps of its first level: 57 lattice points."""


class Believing(Protocol):
    """What is believed of how far particles are from where they were picked, as of ``State``."""

    @property
    def offset_sigma(self) -> float: ...


class Searching(Believing, Protocol):
    """How far a sequence of searches has come, fields as of ``State``; iteration 0 is the first search."""

    @property
    def iteration(self) -> int: ...
    @property
    def phase(self) -> Phase: ...
    @property
    def angular_step(self) -> float: ...
    @property
    def shift_step_angstrom(self) -> float: ...
    @property
    def radius(self) -> int: ...


def next_plan(state: Searching, settings: Settings) -> tuple[Plan, Tensor | None]:
    """Poses that the next expectation tries."""
    pixel, diameter = settings.pixel_size_angstrom, settings.particle_diameter / settings.pixel_size_angstrom
    shift_px = state.shift_step_angstrom / pixel
    if state.phase == "global":
        order = settings.healpix_order
        grid = perturbed(orientations(order, settings.group), angular_step_degrees(order), state.iteration)
        range_px = (settings.offset_range if state.iteration == 0 else min(settings.offset_range, 3 * state.offset_sigma)) / pixel
        return global_plan(order, state.angular_step, range_px, shift_px, diameter, settings.box, state.radius), grid
    if state.iteration == 0:
        width = settings.sigma_rotation
        range_px = settings.offset_range / pixel
        plan = local_plan(width, state.angular_step, 2.5 * width, max(2.0, range_px / 3), shift_px, range_px, state.radius)
    else:
        coarse, coarse_px = 2 * state.angular_step, 2 * shift_px
        plan = local_plan(coarse, state.angular_step, REACH * coarse, coarse_px, shift_px, REACH * coarse_px, state.radius)
    turns = torch.from_numpy(representatives(settings.mates, settings.group))
    return replace(climbing(plan, diameter, settings.box), turns=turns), None


def pose_prior(particles: Particles, part: Portion, settings: Settings, state: Believing) -> PosePrior:
    """What the next expectation believes of the poses of a portion's particles."""
    rows = part.particles
    return PosePrior(
        rotation=torch.from_numpy(particles.rotation[rows]),
        sigma_rotation=settings.sigma_rotation,
        subtomogram=torch.from_numpy(particles.rotation_subtomogram[rows]),
        tilt=torch.from_numpy(particles.tilt_prior_degrees[rows]),
        sigma_tilt=settings.sigma_tilt,
        centre_angstrom=torch.from_numpy(particles.position_angstrom[rows]),
        sigma_shift_angstrom=state.offset_sigma,
        psi=torch.from_numpy(particles.psi_prior_degrees[rows]),
        sigma_psi=settings.sigma_psi,
        rot=torch.from_numpy(particles.rot_prior_degrees[rows]),
        sigma_rot=settings.sigma_rot,
        group=torch.from_numpy(settings.mates),
    )


def growth(settings: Settings) -> int:
    """Shells beyond the resolution that the next iteration compares, so that it can get better."""
    return 3 + settings.box // 16


def next_step(step: float, sigma: float) -> float:
    """Spacing of the next search: 1.8 posterior standard deviations, at which a sum over a lattice is as good as the integral.

    A width measured on a lattice much coarser than itself comes out too small, so the spacing shrinks by a factor of 4 at most.
    """
    return min(step, max(1.8 * sigma, step / 4))


def next_phase(settings: Settings, history: tuple[Record, ...]) -> tuple[Phase, bool]:
    """Global until the orientations have settled, local until neither resolution nor poses improve, then once more to Nyquist."""
    now = history[-1]
    if now.phase == "final":
        return "final", True
    best_before = min((r.resolution_angstrom for r in history[:-1]), default=math.inf)
    gained = now.resolution_angstrom < 0.999 * best_before
    if now.iteration >= settings.max_iterations - 1:
        return "final", False
    if now.phase == "global":
        settled = len(history) > 1 and (now.moved <= 0.02 or (not gained and len(history) > 2 and now.moved >= history[-2].moved))
        return ("local" if _fine_enough(settings, now, settled) else "global"), False
    local = [r for r in history if r.phase == "local"]
    still = now.rotation_change < 0.5 * now.sigma_rotation and now.shift_change_angstrom < 0.5 * now.sigma_shift_angstrom
    if len(local) > 2 and not gained and (still or not any(_better(a, b) for a, b in zip(history[-3:], history[-2:], strict=False))):
        return "final", False
    return "local", False


def _fine_enough(settings: Settings, now: Record, settled: bool) -> bool:
    """Whether the next search may be local; where a step was asked for, not before it, unless poses are too uncertain ever to need it."""
    if settings.auto_local_healpix_order is None:
        return settled
    step = next_step(now.angular_step, now.sigma_rotation)
    return step <= 1.001 * angular_step_degrees(settings.auto_local_healpix_order) or (settled and step > 0.95 * now.angular_step)


def _better(before: Record, after: Record) -> bool:
    return after.resolution_angstrom < 0.999 * before.resolution_angstrom or after.rotation_change < 0.8 * before.rotation_change

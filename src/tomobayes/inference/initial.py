"""Where a refinement starts: noise from the images, and references from elsewhere or from the given poses."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tomobayes.compute.device import best_device, moved
from tomobayes.compute.executors import Executor, InProcess
from tomobayes.fourier.volume import from_map
from tomobayes.imaging.gathering import Portion
from tomobayes.imaging.noise import precision
from tomobayes.inference.halves import HalfSums, Maps, by_half, regularised
from tomobayes.inference.reconstruction import EmptyHalfError, Gather, added, reconstruct_halves, signal_free_noise
from tomobayes.inference.scale import fit_scale
from tomobayes.inference.schedule import growth, next_plan, pose_prior
from tomobayes.inference.state import Settings, State, members_of
from tomobayes.maps.filters import low_pass
from tomobayes.maps.fsc import last_shell_above
from tomobayes.model import Particles

__all__ = ["initial_state"]

IN_PROCESS = InProcess()
DEFAULT_LOWPASS = 60.0
"""Å, of a reference from elsewhere: coarse enough that what two halves share later comes from their images."""


def initial_state(
    particles: Particles,
    parts: list[Portion],
    gather: Gather,
    settings: Settings,
    references: tuple[Tensor, Tensor] | None,
    executor: Executor = IN_PROCESS,
) -> State:
    """Noise from the images themselves; references as given, or reconstructed by each half from its own given poses.

    Parameters
    ----------
    references : (n, n, n) of the two halves (one map may serve both), on any grey scale, or None
    """
    rotation = torch.from_numpy(particles.rotation)
    centre = torch.from_numpy(particles.centre_angstrom)
    folds = 1 + max(int(part.folds.max()) for part in parts)
    sigma2, without = signal_free_noise(parts, gather, executor)
    if references is None:
        left = [part for part in parts if part.tilt_series not in without]
        sums, more = reconstruct_halves(
            left,
            gather,
            sigma2,
            rotation,
            centre,
            box=settings.box,
            radius=settings.largest_radius,
            group=torch.from_numpy(settings.group),
            executor=executor,
        )
        without |= more
        maps, shell = _from_poses(by_half(sums, folds), settings)
    else:
        maps, shell = _from_elsewhere(references, settings, folds)
    members = members_of([part for part in parts if part.tilt_series not in without])
    step = 60 / 2 ** (settings.healpix_order + 2)
    state = State(
        iteration=0,
        phase="local" if math.isfinite(settings.sigma_rotation) else "global",
        half_maps=maps.half_maps,
        references=maps.references,
        fold_references=maps.fold_references,
        merged=maps.merged,
        rotation=rotation,
        centre_angstrom=centre,
        sigma2={key: sigma2[key] for key in members},
        gain={key: torch.ones(len(rows), len(sigma2[key])) for key, rows in members.items()},
        falloff={key: torch.zeros(len(sigma2[key]), dtype=torch.float64) for key in members},
        members=members,
        offset_sigma=settings.offset_sigma,
        radius=min(settings.largest_radius, shell + growth(settings)),
        angular_step=min(step, settings.sigma_rotation / 2),
        shift_step_angstrom=settings.first_shift_step,
        set_aside=without,
    )
    return state if references is None else _on_image_scale(particles, parts, gather, settings, state, executor)


def _low_passed(one: Tensor, settings: Settings, resolution_angstrom: float) -> Tensor:
    return torch.from_numpy(low_pass(one.numpy(), settings.pixel_size_angstrom, resolution_angstrom))


def _from_elsewhere(references: tuple[Tensor, Tensor], settings: Settings, folds: int) -> tuple[Maps, int]:
    """Given maps, blurred; and the shell to which they are good."""
    resolution = settings.initial_lowpass or DEFAULT_LOWPASS
    first, second = (_low_passed(one, settings, resolution) for one in references)
    return Maps(references, (first, second), ((first,) * folds, (second,) * folds), (first + second) / 2), settings.shell(resolution)


def _from_poses(sums: HalfSums, settings: Settings) -> tuple[Maps, int]:
    """Each half's own map at the given poses, and the shell to which it is good."""
    maps, curves = regularised(sums, settings)
    resolution = settings.initial_lowpass
    if resolution is None:
        return maps, max(last_shell_above(curves.corrected), 4)
    first, second = (_low_passed(one, settings, resolution) for one in maps.half_maps)
    of_first, of_second = (tuple(_low_passed(one, settings, resolution) for one in folds) for folds in maps.fold_references)
    merged = _low_passed(maps.merged, settings, resolution)
    return Maps(maps.half_maps, (first, second), (of_first, of_second), merged), settings.shell(resolution)


@dataclass(frozen=True)
class _Scale:
    """The grey scale of the reference that a portion's particles ask for."""

    particles: Particles
    gather: Gather
    settings: Settings
    state: State

    def __call__(self, part: Portion) -> dict[int, float]:
        settings, state, rows = self.settings, self.state, torch.from_numpy(part.particles)
        plan, grid = next_plan(state, settings)
        sparse = None if grid is None else grid[:: max(1, len(grid) // 400)]
        reference = state.references[part.half - 1] * torch.from_numpy(settings.mask)
        prior, sigma2 = pose_prior(self.particles, part, settings, state), state.sigma2[part.tilt_series, part.half]
        reference, statistics, sigma2, prior, rotation, centre, sparse = moved(
            (reference, self.gather(part), sigma2, prior, state.rotation[rows], state.centre_angstrom[rows], sparse), best_device()
        )
        weight, volume = precision(statistics, sigma2), from_map(reference, state.radius)
        scale = fit_scale(statistics, weight, volume, prior, plan, rotation, centre, sparse)
        return {part.half: scale}


def _on_image_scale(
    particles: Particles, parts: list[Portion], gather: Gather, settings: Settings, state: State, executor: Executor
) -> State:
    """Bring a reference of unknown grey scale to that of the images, each half by its own images (a few of them)."""
    left = state.remaining(parts)
    largest = [max((part for part in left if part.half == half), key=lambda part: len(part.particles)) for half in (1, 2)]
    few = [replace(part, particles=part.particles[:8], folds=part.folds[:8]) for part in largest]
    outcome = executor.map_reduce(_Scale(particles, gather, settings, state), few, added)
    if outcome.failures:
        raise EmptyHalfError(outcome.failures)
    scale, folds = outcome.result or {}, len(state.fold_references[0])
    first, second = (reference * scale[half] for half, reference in zip((1, 2), state.references, strict=True))
    every = ((first,) * folds, (second,) * folds)
    return replace(state, references=(first, second), fold_references=every, merged=(first + second) / 2)

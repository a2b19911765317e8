"""Where a refinement starts: noise from the images, and references from elsewhere or from the given poses."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from tomobayes.fourier.volume import Sums, from_map
from tomobayes.imaging.gathering import Portion
from tomobayes.imaging.noise import precision
from tomobayes.inference.halves import Maps, regularised
from tomobayes.inference.reconstruction import Gather, NoiseSpectra, reconstruct_halves, signal_free_noise
from tomobayes.inference.scale import fit_scale
from tomobayes.inference.schedule import growth, next_plan, pose_prior
from tomobayes.inference.state import Settings, State, members_of
from tomobayes.maps.filters import low_pass
from tomobayes.maps.fsc import last_shell_above
from tomobayes.model import Particles

__all__ = ["initial_state"]

DEFAULT_LOWPASS = 60.0
"""Å, of a reference from elsewhere: coarse enough that what two halves share later comes from their images."""


def initial_state(
    particles: Particles, parts: list[Portion], gather: Gather, settings: Settings, references: tuple[Tensor, Tensor] | None
) -> State:
    """Noise from the images themselves; references as given, or reconstructed by each half from its own given poses.

    Parameters
    ----------
    references : (n, n, n) of the two halves (one map may serve both), on any grey scale, or None
    """
    rotation = torch.from_numpy(particles.rotation)
    centre = torch.from_numpy(particles.centre_angstrom)
    sigma2 = signal_free_noise(parts, gather)
    if references is None:
        maps, shell = _from_poses(parts, gather, settings, sigma2, rotation, centre)
    else:
        maps, shell = _from_elsewhere(references, settings, _folds(parts))
    step = 60 / 2 ** (settings.healpix_order + 2)
    state = State(
        iteration=0,
        phase="local" if math.isfinite(settings.sigma_rotation) else "global",
        half_maps=maps.half_maps,
        references=maps.references,
        fold_references=maps.fold_references,
        rotation=rotation,
        centre_angstrom=centre,
        sigma2=sigma2,
        gain={key: torch.ones(len(members), len(sigma2[key])) for key, members in members_of(parts).items()},
        offset_sigma=settings.offset_sigma,
        radius=min(settings.largest_radius, shell + growth(settings)),
        angular_step=min(step, settings.sigma_rotation / 2),
        shift_step_angstrom=min(settings.pixel_size_angstrom / 2, settings.offset_range / 4),
    )
    return state if references is None else _on_image_scale(particles, parts, gather, settings, state)


def _folds(parts: list[Portion]) -> int:
    return 1 + max(part.fold for part in parts)


def _low_passed(one: Tensor, settings: Settings, resolution_angstrom: float) -> Tensor:
    return torch.from_numpy(low_pass(one.numpy(), settings.pixel_size_angstrom, resolution_angstrom))


def _from_elsewhere(references: tuple[Tensor, Tensor], settings: Settings, folds: int) -> tuple[Maps, int]:
    """Given maps, blurred; and the shell to which they are good."""
    resolution = settings.initial_lowpass or DEFAULT_LOWPASS
    first, second = (_low_passed(one, settings, resolution) for one in references)
    return Maps(references, (first, second), ((first,) * folds, (second,) * folds)), settings.shell(resolution)


def _from_poses(
    parts: list[Portion], gather: Gather, settings: Settings, sigma2: NoiseSpectra, rotation: Tensor, centre: Tensor
) -> tuple[Maps, int]:
    """Each half's own map at the given poses, and the shell to which it is good."""
    group = torch.from_numpy(settings.group)
    sums: tuple[list[Sums], list[Sums]] = ([], [])
    for fold in range(_folds(parts)):
        some = [part for part in parts if part.fold == fold]
        both = reconstruct_halves(some, gather, sigma2, rotation, centre, box=settings.box, radius=settings.largest_radius, group=group)
        for half in (0, 1):
            sums[half].append(both[half])
    maps, curves = regularised(sums, settings)
    resolution = settings.initial_lowpass
    if resolution is None:
        return maps, max(last_shell_above(curves.corrected), 4)
    first, second = (_low_passed(one, settings, resolution) for one in maps.half_maps)
    of_first, of_second = (tuple(_low_passed(one, settings, resolution) for one in folds) for folds in maps.fold_references)
    return Maps(maps.half_maps, (first, second), (of_first, of_second)), settings.shell(resolution)


def _on_image_scale(particles: Particles, parts: list[Portion], gather: Gather, settings: Settings, state: State) -> State:
    """Bring a reference of unknown grey scale to that of the images, each half by its own images (a few of them)."""
    plan, grid = next_plan(state, settings)
    sparse = None if grid is None else grid[:: max(1, len(grid) // 400)]
    scaled = []
    for half, reference in zip((1, 2), state.references, strict=True):
        volume = from_map(reference * torch.from_numpy(settings.mask), state.radius)
        part = max((p for p in parts if p.half == half), key=lambda p: len(p.particles))
        some = replace(part, particles=part.particles[:8])
        statistics = gather(some)
        prior = pose_prior(particles, some, settings, state)
        rows = torch.from_numpy(some.particles)
        weight = precision(statistics, state.sigma2[part.tilt_series, half])
        scale = fit_scale(statistics, weight, volume, prior, plan, state.rotation[rows], state.centre_angstrom[rows], sparse)
        scaled.append(reference * scale)
    return replace(state, references=(scaled[0], scaled[1]), fold_references=((scaled[0],) * _folds(parts), (scaled[1],) * _folds(parts)))

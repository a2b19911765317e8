"""Whether a map or its mirror image is what an atomic model looks like."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from tomobayes.fourier.grids import half_space
from tomobayes.fourier.slices import extract_slices
from tomobayes.fourier.volume import FourierVolume, from_map
from tomobayes.geometry.healpix import angular_step_degrees
from tomobayes.imaging.noise import precision, signal_free_sums, spectrum
from tomobayes.imaging.observation import Statistics
from tomobayes.inference.sampling import Level, Plan, orientations, radius_for_step
from tomobayes.inference.search import posteriors
from tomobayes.inference.verdicts.agreement import Agreement, agreement, held_out_likelihood
from tomobayes.inference.verdicts.references import mirrored, position_prior
from tomobayes.inference.verdicts.verdict import Verdict, verdict
from tomobayes.maps.masks import sphere_mask
from tomobayes.model import Map

__all__ = ["map_hand"]

HEALPIX_ORDER = 2
HALVINGS = 2
OFF_CENTRE = 0.1
"""By what share of the box the model's centre may be off the map's."""
WITNESSES = 24
"""Cones of directions in Fourier space that are asked one by one."""


def map_hand(density: Map, model: Map, diameter_angstrom: float) -> Verdict:
    """Superpose the model on the map and on its mirror image, and compare how well each is explained.

    The map is treated as one observation in which every component is seen. Its noise is whatever the model does not explain where
    it explains most, counted once for as many voxels as the particle fills: a model that is only roughly right makes the verdict
    less sure, not wrong.

    Parameters
    ----------
    density, model : maps of the same box and pixel size, on any grey scale
    diameter_angstrom : of the particle
    """
    mask = sphere_mask(density.box, diameter_angstrom / density.pixel_size_angstrom)
    plan = _plan(density, diameter_angstrom)
    seen = _as_observation(torch.from_numpy(density.data * mask), density.pixel_size_angstrom, plan.levels[-1].radius)
    kinds = (torch.from_numpy(model.data), mirrored(torch.from_numpy(model.data)))
    found = [_superposed(seen, one, plan) for one in kinds]
    variance = torch.stack([_unexplained(seen, one) for one in found]).amin(0)
    share = min(1.0, math.pi / 6 * (diameter_angstrom / (density.box * density.pixel_size_angstrom)) ** 3)
    told, mirror = (held_out_likelihood(_per_variance(one, variance / share)).numpy() for one in found)
    return verdict(told - mirror)


def _plan(density: Map, diameter_angstrom: float) -> Plan:
    box, diameter_px = density.box, diameter_angstrom / density.pixel_size_angstrom
    steps = [angular_step_degrees(HEALPIX_ORDER) / 2**i for i in range(HALVINGS + 1)]
    radii = [min(box // 2 - 1, radius_for_step(step, diameter_px, box)) for step in steps]
    levels = tuple(Level(step, box / (4 * radius), radius) for step, radius in zip(steps, radii, strict=True))
    return Plan(levels, 180.0, OFF_CENTRE * box, climbs=True)


def _as_observation(density: Tensor, pixel_size_angstrom: float, radius: int) -> Statistics:
    """A map as the statistics of one particle, all of whose components are seen alike."""
    box, samples = density.shape[0], half_space(radius)
    x, y, z = samples[:, 0], samples[:, 1] % box, samples[:, 2] % box
    data = (torch.fft.rfftn(torch.fft.ifftshift(density)) / box)[z, y, x].to(torch.complex64)
    return Statistics(
        particles=np.zeros(1, dtype=np.int64),
        samples=samples,
        points=samples.float(),
        data=data[None],
        weight=torch.ones(1, len(samples)),
        frame=torch.eye(3, dtype=torch.float64)[None],
        anchor_angstrom=torch.zeros(1, 3, dtype=torch.float64),
        box=box,
        pixel_size_angstrom=pixel_size_angstrom,
        noise_share=torch.ones(radius + 1, 1, dtype=torch.float64),
        dose=torch.zeros(1, dtype=torch.float64),
    )


def _superposed(seen: Statistics, model: Tensor, plan: Plan) -> Agreement:
    """Agreement of each cone of directions with the model at its best pose, for noise of variance one."""
    radius = plan.levels[-1].radius
    volume = _as_strong(from_map(model, radius), seen)
    still, centre = torch.eye(3, dtype=torch.float64)[None], torch.zeros(1, 3, dtype=torch.float64)
    reach = plan.shift_range_px * seen.pixel_size_angstrom
    weight = precision(seen, spectrum(signal_free_sums(seen)))
    grid = orientations(HEALPIX_ORDER, np.eye(3)[None])
    (found,) = posteriors(seen, weight, volume, position_prior(centre, reach), plan, still, centre, grid)
    shift, rotation = divmod(int(found.probability.argmax()), found.probability.shape[1])
    pose = found.rotations[rotation][None].double(), found.shifts_px[shift][None].double() * seen.pixel_size_angstrom
    cones = [replace(seen, weight=seen.weight * mine, data=seen.data * mine) for mine in _cones(seen.points)]
    each = [agreement(cone, torch.ones(seen.data.shape[1]), volume, *pose, radius) for cone in cones]
    return Agreement(torch.cat([one.found for one in each]), torch.cat([one.expected for one in each]))


def _as_strong(volume: FourierVolume, seen: Statistics) -> FourierVolume:
    """The model on the map's grey scale, as far as their powers tell."""
    own = extract_slices(volume, torch.eye(3)[None], seen.points)[0].abs().square().sum()
    return replace(volume, data=volume.data * (seen.data.abs().square().sum() / own).sqrt())


def _cones(points: Tensor) -> Tensor:
    """(WITNESSES, Q) 0 or 1: directions of half the Fourier space nearest to one of a spiral's over the half-sphere."""
    number = np.arange(WITNESSES) + 0.5
    height, turn = number / WITNESSES, math.pi * (1 + math.sqrt(5)) * number
    rim = np.sqrt(1 - height**2)
    axes = np.stack([rim * np.cos(turn), rim * np.sin(turn), height], 1).astype(np.float32)
    nearest = np.abs(points.numpy() @ axes.T).argmax(1)
    return torch.from_numpy(nearest == np.arange(WITNESSES)[:, None]).float()


def _unexplained(seen: Statistics, one: Agreement) -> Tensor:
    """(R+1,) variance of one real component that the best gain of each shell leaves."""
    found, expected = one.found.sum(0), one.expected.sum(0)
    power = torch.zeros_like(found).index_add_(0, seen.shell, seen.data[0].abs().square().double())
    left = power - found.clamp_min(0).square() / expected.clamp_min(1e-300)
    return left / (2 * torch.bincount(seen.shell, minlength=len(found)).clamp_min(1))


def _per_variance(one: Agreement, variance: Tensor) -> Agreement:
    known = variance > 0
    factor = torch.where(known, 1 / variance.clamp_min(1e-300), 0)
    return Agreement(one.found * factor, one.expected * factor)

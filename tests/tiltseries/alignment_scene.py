"""Tilt series of phantoms with something wrong about their geometry, and placements with every kind of parameter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from small_experiment import BOX, OPTICS, PIXEL, particles, phantom, positions, recorded, series
from tomobayes.maps.masks import sphere_mask
from tomobayes.model import Dataset
from tomobayes.tiltseries.alignment import weak_prior
from tomobayes.tiltseries.information import Prior
from tomobayes.tiltseries.motion import motion_basis
from tomobayes.tiltseries.placement import DeformationPlan, Placement, placement_of
from tomobayes.tiltseries.references import References, from_half_maps

DIAMETER = 130.0


def references_of(density, count: int) -> References:
    return from_half_maps((density.data, density.data), sphere_mask(BOX, DIAMETER / PIXEL), PIXEL, count)


def true_dataset(columns: int = 4, step: float = 15.0) -> Dataset:
    """Particles and tilts without images."""
    table = particles(positions(columns, 42))
    table = replace(table, half=np.arange(len(table)) % 2 + 1)
    return Dataset((series(216, step=step, reach=45.0),), (OPTICS,), table)


def with_images(truth: Dataset, sigma: float, seed: int = 0, density=None) -> Dataset:
    return recorded(truth, phantom(sigma=6.0) if density is None else density, sigma=sigma, seed=seed)


def seen_as(dataset: Dataset, images: Dataset) -> Dataset:
    """One data set's parameters with another's images."""
    one = replace(dataset.tilt_series[0], images=images.tilt_series[0].images)
    return replace(dataset, tilt_series=(one,))


def full_placement(per_tilt: bool = False, odd: bool = True) -> tuple[Dataset, Placement, Prior]:
    """A small placement with motion and deformation."""
    dataset = true_dataset(2, 30.0)
    if odd:
        dataset = replace(dataset, tilt_series=(replace(dataset.tilt_series[0], tomogram_size=(217, 215, 109)),))
    rows = np.arange(len(dataset.particles))
    basis = motion_basis(dataset.particles.centre_angstrom, 2.0, 400.0, "exponential")[:, :2]
    placement = placement_of(dataset, rows, basis, DeformationPlan("affine", per_tilt=per_tilt))
    return dataset, placement, weak_prior(placement)


def some_information(placement: Placement, seed: int = 0) -> Tensor:
    """(P, F, 2, 2) random, positive definite."""
    random = torch.Generator().manual_seed(seed)
    root = torch.randn(placement.particles, placement.tilts, 2, 2, dtype=torch.float64, generator=random)
    return root @ root.mT + 0.1 * torch.eye(2, dtype=torch.float64)


def some_parameters(placement: Placement, size: float = 1.0, seed: int = 1) -> Tensor:
    """Degrees, Å and coefficients of a size that matters."""
    random = torch.Generator().manual_seed(seed)
    parameters = size * torch.randn(placement.size, dtype=torch.float64, generator=random)
    tilts, _, _, shared = placement.split(parameters)
    tilts[:, :3] *= 0.02
    tilts[:, 5:] *= 0.01
    shared *= 0.01
    return parameters

"""Signal of a known map, taken off the images of particles before anything is made of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.fourier.slices import extract_slices
from tomobayes.fourier.volume import FourierVolume, from_map
from tomobayes.imaging.crops import Crop, crop_boxes, half_plane_frequency, transform_boxes
from tomobayes.imaging.views import (
    Views,
    coarsest_pixel,
    odd_phase_factor,
    slice_rotation,
    specimen_frequency,
    transfer_by_particle,
    views_of,
)
from tomobayes.model import Dataset, Subtraction

__all__ = ["SubtractedSignal", "signal_sums", "subtracted_signal"]

SubtractedSignal = Callable[[int, Tensor], Tensor]
"""(particle, tilts (V,)) -> the transforms of its large boxes, (V, large, large//2+1), as they would be of the subtracted maps alone."""


def subtracted_signal(dataset: Dataset, particles: NDArray[np.int64], views: Views, crop: Crop) -> SubtractedSignal | None:
    """What is to be taken off the transformed boxes of some particles; None where nothing is.

    It is CTF·d·a·exp(-2πi j·u)·V((R_f A)ᵀ(j, 0)) with everything (pose, place in the image, defocus at that depth) as it was told when
    the signal was given up, while boxes lie where the particles are now; u is the way between the two. Odd aberrations are left out:
    they are taken off images before.

    Parameters
    ----------
    particles : (P,) rows of one tilt series and optics group
    views : of these particles as they are now, around which boxes are cut
    """
    if dataset.subtraction is None:
        return None
    then = _views_then(dataset, particles)
    assert views.centre_px is not None and then.centre_px is not None
    pixel = views.pixel_size_angstrom * crop.binning
    frequency = half_plane_frequency(crop.large, pixel).reshape(-1, 2)
    volumes, edge = _volumes(dataset.subtraction), _edge_angstrom(dataset.subtraction)
    reach = torch.maximum(frequency.norm(dim=-1), specimen_frequency(then, frequency).norm(dim=-1)) * edge
    inside = ((reach > 0) & (reach <= volumes[0].radius)).nonzero()[:, 0]
    points = torch.nn.functional.pad(frequency[inside] * edge, (0, 1))
    turns = 2 * math.pi * pixel * frequency[inside].double()
    transfer = transfer_by_particle(then, frequency[inside])
    away = (then.centre_px - views.centre_px) / crop.binning
    rotation, half = torch.from_numpy(_rotations_then(dataset)[particles]), dataset.particles.half[particles]
    scale, seen = _scale(dataset, views, crop), slice_rotation(then)

    def signal(particle: int, tilts: Tensor) -> Tensor:
        volume = volumes[1 if half[particle] == 2 else 0]
        slices = extract_slices(volume, (seen[tilts] @ rotation[particle]).float(), points)
        phase = -(away[particle, tilts] @ turns.T)
        image = slices.new_zeros(len(tilts), len(frequency))
        image[:, inside] = slices * torch.polar(scale * transfer(particle, tilts), phase.float())
        return image.reshape(len(tilts), crop.large, -1)

    return signal


def signal_sums(dataset: Dataset, particles: NDArray[np.int64], crop: Crop) -> NDArray[np.float64]:
    """Σ Re(conj(X)·S) and Σ|S|² per shell of the map, (2, R+1), of images X and what they would be of the subtracted maps alone, S.

    Their ratio is the factor that makes the maps predict these images best, shell by shell.

    Parameters
    ----------
    particles : (P,) rows of one tilt series and optics group
    """
    assert dataset.subtraction is not None
    images = dataset.tilt_series[int(dataset.particles.tilt_series[particles[0]])].images
    views = views_of(dataset, particles, half_width_px=0.5 * crop.box * crop.binning)
    signal = subtracted_signal(dataset, particles, views, crop)
    assert images is not None and views.centre_px is not None and signal is not None
    frequency = half_plane_frequency(crop.large, views.pixel_size_angstrom * crop.binning)
    shell = (frequency.norm(dim=-1) * _edge_angstrom(dataset.subtraction)).round().long().flatten()
    aberration = odd_phase_factor(views, frequency).conj() if views.optics.odd_zernike else torch.ones(())
    sums = torch.zeros(2, int(shell.max()) + 1, dtype=torch.float64)
    for row in range(len(particles)):
        tilts = views.visible[row].nonzero()[:, 0]
        boxes, position = crop_boxes([images.read(tilt) for tilt in tilts.tolist()], views.centre_px[row, tilts], crop.raw)
        found, expected = transform_boxes(boxes, position, crop) * aberration, signal(row, tilts)
        both = torch.stack([(found.conj() * expected).real.sum(0).flatten(), expected.abs().square().sum(0).flatten()])
        sums.index_add_(1, shell, both.double())
    return sums.numpy()


def _views_then(dataset: Dataset, particles: NDArray[np.int64]) -> Views:
    """The particles' views where they were when their signal was given up."""
    table = dataset.particles
    assert table.subtracted_centre_angstrom is not None
    origin = np.zeros_like(table.origin_angstrom)
    moved = replace(table, position_angstrom=table.subtracted_centre_angstrom, origin_angstrom=origin)
    return views_of(dataset.with_particles(moved), particles)


def _rotations_then(dataset: Dataset) -> NDArray[np.float64]:
    rotation = dataset.particles.subtracted_rotation
    assert rotation is not None
    return rotation


@lru_cache(maxsize=1)
def _volumes(subtraction: Subtraction) -> tuple[FourierVolume, FourierVolume]:
    first, second = (from_map(torch.from_numpy(one.data)) for one in subtraction.maps)
    return first, second


def _edge_angstrom(subtraction: Subtraction) -> float:
    return subtraction.maps[0].box * subtraction.maps[0].pixel_size_angstrom


def _scale(dataset: Dataset, views: Views, crop: Crop) -> float:
    """Of slices in boxes: maps have other voxels and boxes than images, and grey values for the pixels of the coarsest images.

    A slice is Σv·e/n over voxels of p Å; a box's transform is Σx·e/(large·b³), with x per pixel of the images along the beam.
    """
    assert dataset.subtraction is not None
    one, unbinned = dataset.subtraction.maps[0], views.pixel_size_angstrom
    ratio = one.pixel_size_angstrom / (unbinned * crop.binning)
    return one.box * ratio**3 / crop.large * unbinned / coarsest_pixel(dataset)

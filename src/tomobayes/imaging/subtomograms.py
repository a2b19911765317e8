"""Images of single particles as RELION-5 stores them: pseudo-subtomograms D, W, M (eqs 8-10) and 2D stacks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.fourier import kernels
from tomobayes.fourier.slices import with_friedel_mates
from tomobayes.imaging.crops import Crop, circle_fade, crop_boxes, half_plane_frequency, soften_circle, transform_boxes
from tomobayes.imaging.subtraction import SubtractedSignal
from tomobayes.imaging.views import Views, odd_phase_factor, slice_rotation, transfer_by_particle
from tomobayes.model import Images, PseudoSubtomogram
from tomobayes.optics import dose_weight

__all__ = ["ModulatedImages", "modulated_images", "plain_stack", "pseudo_subtomogram", "stack"]

LEAST_DOSE_WEIGHT = 0.01
"""Samples whose signal the dose has faded below this are left out (RELION's --cutoff_fract)."""


@dataclass(frozen=True)
class ModulatedImages:
    """All visible tilts of one particle in the large box, transformed and multiplied by CTF·d·a.

    Parameters
    ----------
    data : (V, large, large//2+1) complex64, orthonormal, particle at the origin
    weight : (V, large, large//2+1) float32, (CTF·d·a)²
    sampled : (V, large, large//2+1) bool, inside the circle of the large box and not faded by dose
    rotation : (V, 3, 3) tomogram -> image, with the magnification (views.slice_rotation); visible : (F,) bool
    """

    data: Tensor
    weight: Tensor
    sampled: Tensor
    rotation: Tensor
    visible: NDArray[np.bool_]
    crop: Crop


def plain_stack(images: Images, views: Views, row: int, crop: Crop, subtracted: SubtractedSignal | None = None) -> NDArray[np.float32]:
    """(V, box, box) bright images of the visible tilts of one particle as they were recorded, binned, particle at box//2.

    Parameters
    ----------
    subtracted : signal to take off, of the particles of ``views``
    """
    assert views.centre_px is not None
    tilts = views.visible[row].nonzero()[:, 0]
    boxes, position = crop_boxes([images.read(tilt) for tilt in tilts.tolist()], views.centre_px[row, tilts], crop.raw)
    spectrum = transform_boxes(boxes, position, crop)
    if subtracted is not None:
        signal = subtracted(row, tilts)
        if views.optics.odd_zernike:
            signal = signal * odd_phase_factor(views, half_plane_frequency(crop.large, views.pixel_size_angstrom * crop.binning))
        spectrum = spectrum - signal
    return _inner(torch.fft.fftshift(torch.fft.irfft2(spectrum, s=(crop.large, crop.large), norm="ortho"), dim=(-2, -1)), crop)


def modulated_images(images: Images, views: Views, row: int, crop: Crop, subtracted: SubtractedSignal | None = None) -> ModulatedImages:
    """Cut, transform and multiply the visible tilts of one particle.

    Parameters
    ----------
    views : of particles of this tilt series; row : which of them
    subtracted : signal to take off before, of the same particles
    """
    assert views.centre_px is not None
    tilts = views.visible[row].nonzero()[:, 0]
    frequency = half_plane_frequency(crop.large, views.pixel_size_angstrom * crop.binning)
    flat, shape = frequency.reshape(-1, 2), (-1, *frequency.shape[:2])
    squared = flat.square().sum(-1)
    circle = squared.sqrt() * (crop.large * views.pixel_size_angstrom * crop.binning) <= crop.large // 2 + 1e-3
    boxes, position = crop_boxes([images.read(tilt) for tilt in tilts.tolist()], views.centre_px[row, tilts], crop.raw)
    factor = transfer_by_particle(views, flat)(row, tilts).reshape(shape)
    spectrum = transform_boxes(boxes, position, crop)
    if views.optics.odd_zernike:
        spectrum = spectrum * odd_phase_factor(views, frequency).conj()
    if subtracted is not None:
        spectrum = spectrum - subtracted(row, tilts)
    data = spectrum * factor
    left = dose_weight(squared, views.dose[tilts].float(), views.b_factor_per_dose)
    sampled = (circle & (left > LEAST_DOSE_WEIGHT)).reshape(shape)
    return ModulatedImages(data, factor.square(), sampled, slice_rotation(views)[tilts], views.visible[row].numpy(), crop)


def _windowed(modulated: ModulatedImages) -> Tensor:
    """(V, large, large) real images, particle at the centre, faded to their background outside the circle of the final box."""
    large = modulated.crop.large
    real = torch.fft.fftshift(torch.fft.irfft2(modulated.data, s=(large, large), norm="ortho"), dim=(-2, -1))
    return soften_circle(real, circle_fade(large, modulated.crop.box // 2))


def stack(modulated: ModulatedImages) -> NDArray[np.float32]:
    """(V, box, box) CTF-premultiplied images of the visible tilts, particle at box//2 (relion_tomo_subtomo --stack2d)."""
    return _inner(_windowed(modulated), modulated.crop)


def _inner(images: Tensor, crop: Crop) -> NDArray[np.float32]:
    """The middle (V, box, box) of images (V, large, large)."""
    start = crop.large // 2 - crop.box // 2
    inside = slice(start, start + crop.box)
    middle: NDArray[np.float32] = images[:, inside, inside].numpy()
    return middle


def pseudo_subtomogram(modulated: ModulatedImages, frame: NDArray[np.float64]) -> PseudoSubtomogram:
    """D, W and M (eqs 8-10), every 2D sample splatted onto its eight voxels, in RELION's layout and scale.

    Parameters
    ----------
    frame : (3, 3) the subtomogram's frame -> tomogram

    D and W come from the same splat, so D ≈ W·V·sqrt(binning): RELION's grey scale of D follows the binning.
    """
    crop = modulated.crop
    shrink = crop.box / crop.large
    spectrum = torch.fft.rfft2(torch.fft.ifftshift(_windowed(modulated), dim=(-2, -1)), norm="ortho")
    y, x = torch.meshgrid(torch.fft.fftfreq(crop.large, 1 / crop.large), torch.arange(crop.large // 2 + 1.0), indexing="ij")
    once = (x > 0) | (y >= 0)
    points = shrink * torch.stack([x[once], y[once], torch.zeros(int(once.sum()))], -1)
    share = shrink**2 * modulated.sampled[:, once].float()
    rotations = (modulated.rotation @ torch.from_numpy(frame)).float()
    data, weight = _splat(spectrum[:, once] * share, modulated.weight[:, once] * share, rotations, points, crop.box)
    _, multiplicity = _splat(torch.zeros_like(spectrum[:, once]), share, rotations, points, crop.box)
    scale = crop.binning**0.5 / shrink
    real = torch.fft.fftshift(torch.fft.irfftn(scale * data, s=(crop.box,) * 3, norm="ortho"))
    return PseudoSubtomogram(real.numpy(), weight.numpy(), multiplicity.numpy())


def _splat(values: Tensor, weights: Tensor, rotations: Tensor, points: Tensor, box: int) -> tuple[Tensor, Tensor]:
    """Insert (V, S) values and weights at R_fᵀ(j, 0), one rotation per tilt, on the box's own grid in FFT layout (n, n, n//2+1)."""
    extent = box // 2 + 1
    cells = np.zeros((1, 2 * extent + 1, 2 * extent + 1, extent + 1, 4), dtype=np.float32)
    furthest = points.norm(dim=-1) * torch.linalg.matrix_norm(rotations, 2).max()  # more than |j| where images are magnified
    reach = furthest <= box / 2 + 1e-3
    inserted, weighed, at = (part.contiguous().numpy() for part in (values[:, reach], weights[:, reach], points[reach]))
    kernels.insert(cells, inserted, weighed, rotations.contiguous().numpy(), at, np.float32(1))
    data, weight = with_friedel_mates(torch.from_numpy(cells[0]))
    wrapped = torch.arange(-(box // 2), box - box // 2) % box
    inner = slice(extent - box // 2, extent + box - box // 2)
    out = torch.zeros((box, box, box // 2 + 1), dtype=torch.complex64)
    total = torch.zeros(out.shape)
    out[wrapped[:, None], wrapped] = data[inner, inner, : box // 2 + 1]
    total[wrapped[:, None], wrapped] = weight[inner, inner, : box // 2 + 1]
    return out, total

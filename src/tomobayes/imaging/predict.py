"""The forward model: map -> CTF·d·a·exp(-2πi j·u)·V((R_f A)ᵀ(j, 0)), differentiable in everything."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tomobayes.fourier.slices import extract_slices
from tomobayes.fourier.volume import FourierVolume
from tomobayes.imaging.views import Views, odd_phase_factor, slice_rotation, specimen_frequency, transfer

__all__ = ["predict", "real_images"]


def predict(
    volume: FourierVolume, rotation: Tensor, views: Views, samples: Tensor, pixel_size_angstrom: float, offset_px: Tensor | None = None
) -> Tensor:
    """Noise-free transforms of the particles' boxes, bright particles.

    Parameters
    ----------
    volume : transform of the map
    rotation : (P, 3, 3) reference -> tomogram
    views : where and under which optics the particles are seen
    samples : (J, 2) Fourier pixels of the map's box (fourier.grids.half_plane)
    pixel_size_angstrom : pixel size of the map
    offset_px : (P, F, 2) where the particle sits relative to the centre of its box, map pixels; zero if None

    Returns
    -------
    (P, F, J) complex, in units where a central slice is the orthonormal transform of the projection
    """
    real = volume.data.real.dtype
    j = samples.to(real)
    frequency = j / (volume.box * pixel_size_angstrom)
    # What magnification carries beyond the transform of a map that it covers otherwise is beyond the map's detail.
    beyond = (specimen_frequency(views, j).norm(dim=-1) > volume.radius + 1e-3) & (j.norm(dim=-1) <= volume.radius + 1e-3)
    points, seen = torch.nn.functional.pad(j.masked_fill(beyond[:, None], 0), (0, 1)), slice_rotation(views)
    aberration = odd_phase_factor(views, frequency) if views.optics.odd_zernike else None
    predicted = []
    for tilt in range(len(views.rotation)):
        slices = extract_slices(volume, (seen[tilt] @ rotation.to(seen)).to(real), points)
        image = slices.masked_fill(beyond, 0) * transfer(views, tilt, frequency)
        if aberration is not None:
            image = image * aberration
        if offset_px is not None:
            phase = -2 * math.pi / volume.box * (offset_px[:, tilt].to(real) @ j.T)
            image = image * torch.polar(torch.ones_like(phase), phase)
        predicted.append(image)
    return torch.stack(predicted, 1)


def real_images(values: Tensor, samples: Tensor, box: int) -> Tensor:
    """(P, J) samples of one half of the plane -> (P, n, n) real images, centre at n//2."""
    plane = values.new_zeros((len(values), box, box // 2 + 1))
    x, y = samples.T
    plane[:, y % box, x] = values
    edge = samples[(x == 0) & (y > 0)][:, 1]
    plane[:, -edge % box, 0] = plane[:, edge, 0].conj()
    image: Tensor = torch.fft.fftshift(torch.fft.irfft2(plane, s=(box, box), norm="ortho"), dim=(-2, -1))
    return image

"""Tilt images -> transforms of boxes around the projected particles, before the CTF."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.fourier.grids import good_box
from tomobayes.imaging.views import Views
from tomobayes.optics import wavelength_angstrom

__all__ = [
    "Crop",
    "circle_fade",
    "crop_boxes",
    "crop_plan",
    "delocalisation_angstrom",
    "half_plane_frequency",
    "soften_circle",
    "transform_boxes",
]


@dataclass(frozen=True)
class Crop:
    """How boxes are cut: all edges in pixels.

    Parameters
    ----------
    box : edge of the final, binned box
    large : edge of the binned box in which the CTF is applied, >= box
    raw : edge of the unbinned box that is read from the image, ~ large x binning
    binning : raw / large, the exact factor between the two
    """

    box: int
    large: int
    raw: int

    @property
    def binning(self) -> float:
        """Unbinned pixels per binned pixel."""
        return self.raw / self.large


def delocalisation_angstrom(views: Views, resolution_angstrom: float) -> float:
    """How far the CTF carries signal of a given resolution sideways: λ·|defocus|·k - Cs·λ³·k³, the largest over particles and tilts."""
    wavelength = wavelength_angstrom(views.optics.voltage_kv)
    k = 1 / resolution_angstrom
    defocus = float(torch.maximum(views.defocus_u_angstrom.abs().max(), views.defocus_v_angstrom.abs().max()))
    return abs(wavelength * defocus * k - views.optics.spherical_aberration_mm * 1e7 * wavelength**3 * k**3)


def crop_plan(box: int, binning: float, large: int | None, reach_angstrom: float, pixel_size_angstrom: float) -> Crop:
    """Edges of the boxes; without ``large`` it is the box plus the delocalisation on either side.

    What is read has an even number of pixels, so the binned ones come out as large as asked for or, by less than 2 in ``raw``, larger.

    Parameters
    ----------
    large : binned edge asked for by the user (--extract-box), or None
    reach_angstrom : delocalisation at the finest frequency used
    pixel_size_angstrom : of the unbinned images
    """
    if large is None:
        large = good_box(box + 2 * math.ceil(reach_angstrom / (pixel_size_angstrom * binning)))
    return Crop(box=box, large=large, raw=2 * math.ceil(large * binning / 2 - 1e-6))


def crop_boxes(images: Sequence[NDArray[np.generic]], centre_px: Tensor, edge: int) -> tuple[Tensor, Tensor]:
    """Cut a square box out of each of N images; beyond the image's border its edge pixels are repeated (as RELION does).

    Parameters
    ----------
    centre_px : (N, 2) the particle's centre (x, y) in each image

    Returns
    -------
    boxes : (N, edge, edge) float32, bright particles (the recorded contrast is inverted here and nowhere else)
    position : (N, 2) where (x, y) the particle's centre lies inside its box
    """
    centre = centre_px.numpy()
    corner = np.round(centre).astype(np.int64) - edge // 2
    boxes = np.empty((len(images), edge, edge), dtype=np.float32)
    for box, image, (x, y) in zip(boxes, images, corner.tolist(), strict=True):
        height, width = image.shape
        if 0 <= x <= width - edge and 0 <= y <= height - edge:
            box[:] = image[y : y + edge, x : x + edge]
        else:
            rows, columns = np.arange(y, y + edge).clip(0, height - 1), np.arange(x, x + edge).clip(0, width - 1)
            box[:] = image[rows[:, None], columns]
    return torch.from_numpy(boxes).neg_(), torch.from_numpy(centre - corner)


def circle_fade(edge: int, rim: float | None = None, soft_px: float = 5.0) -> Tensor:
    """(edge, edge) window: 1 inside a circle, a raised cosine of ``soft_px`` towards its rim, 0 beyond; by default the inscribed circle."""
    rim = edge // 2 if rim is None else rim
    axis = torch.arange(edge) - edge // 2
    radius = (axis[:, None] ** 2 + axis**2).sqrt()
    return 0.5 - 0.5 * torch.cos(math.pi * ((rim - radius) / soft_px).clamp(0, 1))


def soften_circle(boxes: Tensor, fade: Tensor) -> Tensor:
    """Fade boxes to their own background outside the inscribed circle: no signal comes from there, and no streaks from the border.

    The mean outside the circle is subtracted first (as relion_tomo_reconstruct_particle does).
    """
    outside = (fade == 0).to(boxes)
    background = boxes.flatten(1) @ (outside / outside.sum()).flatten()
    return (boxes - background[:, None, None]).mul_(fade)


def half_plane_frequency(edge: int, pixel_size_angstrom: float) -> Tensor:
    """(edge, edge//2+1, 2) frequencies (x, y) in 1/Å of an rfft2, float32."""
    y = torch.fft.fftfreq(edge, pixel_size_angstrom)
    x = torch.fft.rfftfreq(edge, pixel_size_angstrom)
    return torch.stack([x.expand(edge, -1), y[:, None].expand(-1, edge // 2 + 1)], -1)


def transform_boxes(boxes: Tensor, position: Tensor, crop: Crop) -> Tensor:
    """Orthonormal transforms with the particle's centre at the origin, Fourier-cropped to the binned box.

    Parameters
    ----------
    boxes : (P, raw, raw), position : (P, 2) from crop_boxes

    Returns
    -------
    (P, large, large//2+1) complex64 without DC, divided by binning² so that the density scale of the map does not depend on the binning
    """
    spectrum: Tensor = torch.fft.rfft2(boxes, norm="ortho")
    half = crop.large // 2
    if crop.raw != crop.large:
        spectrum = torch.cat([spectrum[:, :half], spectrum[:, crop.raw - (crop.large - half) :]], 1)[..., : half + 1]
    row = torch.cat([torch.arange(half), torch.arange(half - crop.large, 0)]).double()
    column = torch.arange(half + 1).double()
    turn = 2 * math.pi / crop.raw
    along_y = torch.polar(torch.ones(1, dtype=torch.float64), turn * position[:, 1:] * row)
    along_x = torch.polar(torch.full((1,), 1 / crop.binning**2, dtype=torch.float64), turn * position[:, :1] * column)
    spectrum = (spectrum * along_y.to(torch.complex64)[:, :, None]).mul_(along_x.to(torch.complex64)[:, None, :])
    spectrum[:, 0, 0] = 0
    return spectrum

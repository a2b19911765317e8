"""Images of single particles as RELION-5 stores them: pseudo-subtomograms D, W, M (eqs 8-10) and 2D stacks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.fourier import reference
from tomobayes.imaging.crops import Crop, circle_fade, crop_boxes, half_plane_frequency, soften_circle, transform_boxes
from tomobayes.imaging.views import Views, odd_phase_factor, transfer
from tomobayes.model import Images, PseudoSubtomogram

__all__ = ["ModulatedImages", "modulated_images", "pseudo_subtomogram", "stack"]

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
    rotation : (V, 3, 3) tomogram -> image; visible : (F,) bool
    """

    data: Tensor
    weight: Tensor
    sampled: Tensor
    rotation: Tensor
    visible: NDArray[np.bool_]
    crop: Crop


def modulated_images(images: Images, views: Views, row: int, crop: Crop) -> ModulatedImages:
    """Cut, transform and multiply the visible tilts of one particle.

    Parameters
    ----------
    views : of particles of this tilt series; row : which of them
    """
    assert views.centre_px is not None
    visible = views.visible[row].numpy()
    frequency = half_plane_frequency(crop.large, views.pixel_size_angstrom * crop.binning)
    flat = frequency.reshape(-1, 2)
    shape = frequency.shape[:2]
    aberration = odd_phase_factor(views.optics, flat).conj().reshape(shape) if views.optics.odd_zernike else None
    data, weight, sampled = [], [], []
    circle = (frequency * crop.large * views.pixel_size_angstrom * crop.binning).norm(dim=-1) < crop.large // 2
    for tilt in np.flatnonzero(visible):
        boxes, position = crop_boxes(images.read(int(tilt)), views.centre_px[row : row + 1, tilt], crop.raw)
        spectrum = transform_boxes(boxes, position, crop)[0]
        factor = transfer(views, int(tilt), flat)[row].reshape(shape)
        if aberration is not None:
            spectrum = spectrum * aberration
        data.append(spectrum * factor)
        weight.append(factor.square())
        sampled.append(circle & (_dose_weight(views, int(tilt), flat).reshape(shape) > LEAST_DOSE_WEIGHT))
    return ModulatedImages(torch.stack(data), torch.stack(weight), torch.stack(sampled), views.rotation[visible], visible, crop)

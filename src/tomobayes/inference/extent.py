"""Where in its box a particle is: how far out the prior lets a map have density, as the half-maps tell."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tomobayes.maps.filters import multiply_shells
from tomobayes.maps.fsc import FscCurves
from tomobayes.maps.masks import sphere_mask
from tomobayes.maps.resampling import fourier_resample

__all__ = ["Extent", "extent_of", "sphere"]

EDGE = 1 / 16
"""Width of the sphere's edge over that of the box."""
LEAST_OUTSIDE = 0.1
"""Never quite nothing: neighbours and slopes of the background are there, and would be taken for the particle's."""


@dataclass(frozen=True)
class Extent:
    """Standard deviation of the prior over the box: 1 inside the particle, ``outside`` where there is none of it.

    Parameters
    ----------
    inside : (n, n, n) float32 from 0 to 1, with a soft edge
    """

    inside: Tensor
    outside: float

    def on(self, box: int) -> Tensor:
        """(box, box, box) float32 on another grid of the same field of view."""
        inside = self.inside if box == len(self.inside) else torch.from_numpy(fourier_resample(self.inside.numpy(), box)).clamp(0, 1)
        return self.outside + (1 - self.outside) * inside


def sphere(box: int, diameter: float) -> Tensor:
    """(n, n, n) float32, 1 inside a sphere of a diameter in edges of the box, 0 beyond its soft edge."""
    return torch.from_numpy(sphere_mask(box, diameter * box, EDGE * box))


def extent_of(half_maps: tuple[Tensor, Tensor], curves: FscCurves, inside: Tensor) -> Extent | None:
    """What two half-maps, each shell weighted by its FSC, have in common outside the particle, over what they have inside.

    Parameters
    ----------
    half_maps : (n, n, n) unfiltered
    inside : (n, n, n) from 0 to 1, where the particle is

    Returns
    -------
    None where the box holds nothing but the particle, or the halves have nothing in common
    """
    weight = curves.corrected.clip(0, 1)
    weight[0] = 0  # the mean of a box is that of its background
    one, two = (torch.from_numpy(multiply_shells(half.numpy(), weight)) for half in half_maps)
    common, outside = one * two, inside == 0
    shared = float(common[inside == 1].mean())
    if not outside.any() or shared <= 0:
        return None
    ratio = max(0.0, float(common[outside].mean())) / shared
    return Extent(inside, float(np.clip(math.sqrt(ratio), LEAST_OUTSIDE, 1)))

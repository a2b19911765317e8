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

__all__ = ["Extent", "extent_of"]

EDGE = 1 / 16
"""Width of the sphere's edge over that of the box."""
LEAST_OUTSIDE = 0.1
"""Never quite nothing: neighbours and slopes of the background are there, and would be taken for the particle's."""


@dataclass(frozen=True)
class Extent:
    """Standard deviation of the prior over the box: 1 inside the particle's sphere, ``outside`` beyond its soft edge.

    Parameters
    ----------
    diameter : of the sphere, in edges of the box
    """

    diameter: float
    outside: float

    def on(self, box: int) -> Tensor:
        """(n, n, n) float32 on a grid of the box."""
        inside = torch.from_numpy(sphere_mask(box, self.diameter * box, EDGE * box))
        return self.outside + (1 - self.outside) * inside


def extent_of(half_maps: tuple[Tensor, Tensor], curves: FscCurves, diameter: float) -> Extent | None:
    """What two half-maps, each shell weighted by its FSC, have in common outside the particle, over what they have inside.

    Parameters
    ----------
    half_maps : (n, n, n) unfiltered
    diameter : of the particle, in edges of the box

    Returns
    -------
    None where the box holds nothing but the particle, or the halves have nothing in common
    """
    box, weight = len(half_maps[0]), curves.corrected.clip(0, 1)
    weight[0] = 0  # the mean of a box is that of its background
    one, two = (multiply_shells(half.numpy(), weight) for half in half_maps)
    inside = sphere_mask(box, diameter * box, EDGE * box)
    common, outside = one * two, inside == 0
    shared = float(common[inside == 1].mean())
    if not outside.any() or shared <= 0:
        return None
    ratio = max(0.0, float(common[outside].mean())) / shared
    return Extent(diameter, float(np.clip(math.sqrt(ratio), LEAST_OUTSIDE, 1)))

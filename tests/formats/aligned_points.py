"""Points of a tomogram through the geometry that an alignment is imported as."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from tomobayes.formats.alignment import geometry_of
from tomobayes.formats.views import AlignedView
from tomobayes.geometry.deformation import deformed
from tomobayes.geometry.projection import project

Float = NDArray[np.float64]


def imported_places(
    views: Sequence[AlignedView], points_px: Float, image_size: tuple[int, int], tomogram_size: tuple[int, int, int], pixel: float = 2.5
) -> Float:
    """(P, F, 2) where (P, 3) points, in pixels from the tomogram's middle, land: pixels from the middle of the image's first."""
    geometry = geometry_of(views, pixel, pixel, image_size, tomogram_size)
    rotation, shift = torch.from_numpy(geometry.rotation), torch.from_numpy(geometry.shift_angstrom)
    places = project(torch.from_numpy(points_px * pixel), rotation, shift, pixel, tomogram_size, image_size)
    if geometry.deformation is not None:
        places = deformed(places, geometry.deformation, image_size)
    return places.numpy()

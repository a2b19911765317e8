"""RELION-4 files as WarpTools exports them, which mean in two places something else than RELION's own.

Coordinates count in pixels of the exported images, from the corner, not in pixels of the tilt images from the first pixel as 1. And
rlnTomoHand is −1 where the defocus grows with the projected z of its matrices, as Warp computes it (AreAnglesInverted False), which is
RELION's +1. The stacks themselves say so: their power follows the squared CTF of Warp's reading, not of RELION's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.relion4 import MATRIX_LABELS
from tomobayes.model import Columns, TiltSeries

__all__ = ["centred_from_exported", "hand_as_meant", "is_exported"]

Float = NDArray[np.float64]
SUFFIX = ".tomostar"


def is_exported(series: TiltSeries) -> bool:
    """Whether a tilt series was read from an export of WarpTools."""
    return _is_exported(series.name, series.columns)


def hand_as_meant(name: str, columns: Columns, hand: float) -> float:
    """RELION's hand of a tilt series.

    Parameters
    ----------
    name : rlnTomoName
    columns : of the tilts
    hand : rlnTomoHand
    """
    return -hand if _is_exported(name, columns) else hand


def centred_from_exported(coordinates: Float, image_pixel_angstrom: Float, tomogram_size: Float, pixel_size_angstrom: Float) -> Float:
    """Positions in Å from the tomogram's centre.

    Parameters
    ----------
    coordinates : (P, 3) rlnCoordinateX/Y/Z
    image_pixel_angstrom : (P,) rlnImagePixelSize of the particles' optics groups
    tomogram_size : (P, 3) of each particle's tomogram, unbinned pixels
    pixel_size_angstrom : (P,) of the tilt images
    """
    return coordinates * image_pixel_angstrom[:, None] - tomogram_size * pixel_size_angstrom[:, None] / 2


def _is_exported(name: str, columns: Columns) -> bool:
    """Tilt series are called after their tomostar files, and have matrices; what this program makes of them has angles."""
    return name.endswith(SUFFIX) and all(label in columns for label in MATRIX_LABELS)

"""RELION-4 geometry: projection matrices instead of angles, pixel coordinates with their origin at 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.euler import matrix_from_tilt_angles, tilt_angles_from_matrix
from tomobayes.formats.star_values import TableReader

__all__ = ["MATRIX_LABELS", "centred_from_pixels", "geometry_from_matrices"]

Float = NDArray[np.float64]
MATRIX_LABELS = ("rlnTomoProjX", "rlnTomoProjY", "rlnTomoProjZ", "rlnTomoProjW")
ROTATION_TOLERANCE = 1e-3


def geometry_from_matrices(
    tilts: TableReader, tomogram_size: tuple[int, int, int], image_size: tuple[int, int] | None, pixel_size_angstrom: float
) -> tuple[Float, Float]:
    """Rotations and shifts of the RELION-5 model from the 4x4 matrices of RELION 4.

    The matrix P maps a tomogram pixel (x, y, z, 1) to an image pixel. Rotations come from its 3x3 part, shifts from where it puts
    the tomogram's centre, relative to the image's. Without tilt images nothing can be projected onto them and shifts are zero.

    Returns
    -------
    rotation (F, 3, 3), shift_angstrom (F, 2)
    """
    matrices = _matrices(tilts)
    rotation = matrices[:, :3, :3]
    off = np.abs(rotation @ np.swapaxes(rotation, 1, 2) - np.eye(3)).max(axis=(1, 2))
    for row in np.flatnonzero((off > ROTATION_TOLERANCE) | (np.linalg.det(rotation) < 0)):
        what = "the projection matrix is not a pure rotation (magnification, stretch or mirror)"
        tilts.report(f"row {row + 1}, columns rlnTomoProjX to Z", what, "align the tilt series without fitting magnification or stretch")
    centre = np.array([*(size // 2 for size in tomogram_size), 1.0])
    shift = np.zeros((len(matrices), 2))
    if image_size is not None:
        shift = pixel_size_angstrom * ((matrices @ centre)[:, :2] - np.array([size // 2 for size in image_size]))
    return matrix_from_tilt_angles(tilt_angles_from_matrix(rotation)), shift


def centred_from_pixels(coordinates: Float, tomogram_size: Float, pixel_size_angstrom: Float) -> Float:
    """Positions in Å from the tomogram's centre, from RELION-4 pixel coordinates whose origin is 1, not 0.

    Parameters
    ----------
    coordinates : (P, 3) rlnCoordinateX/Y/Z, unbinned pixels
    tomogram_size : (P, 3) of each particle's tomogram, unbinned pixels
    pixel_size_angstrom : (P,)
    """
    return pixel_size_angstrom[:, None] * (coordinates + 1 - tomogram_size / 2)


def _matrices(tilts: TableReader) -> Float:
    """(F, 4, 4); rows that are no vector of four are reported and read as the identity's."""
    matrices = np.tile(np.eye(4), (len(tilts), 1, 1))
    for i, label in enumerate(MATRIX_LABELS):
        for row, vector in enumerate(tilts.vectors(label)):
            if len(vector) == 4:
                matrices[row, i] = vector
            else:
                tilts.report(f"row {row + 1}, column {label}", f"has {len(vector)} numbers", "write four numbers as [a,b,c,d]")
    return matrices

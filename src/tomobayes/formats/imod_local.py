"""Local alignments of IMOD: a grid of places in the tomogram, at each of which every view has angles, Z factors and a transform of its own.

A point is projected with what each of the four nearest places says and transformed, and the four results are weighed by how near they are
in x and y, bilinearly, and beyond the grid as on its edge; so `tilt` does with its LOCALFILE. A tomogram that was made so has its particles
where this puts them, not where the global alignment does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.euler import matrix_from_tilt_angles
from tomobayes.formats.text_lines import finite, read_lines
from tomobayes.model import BadInput, Problem

__all__ = ["LocalAlignment", "local_projection", "read_local"]

Float = NDArray[np.float64]
LARGEST_GRID = 10_000


@dataclass(frozen=True)
class LocalAlignment:
    """What is local, (Y, X) places times F views.

    Parameters
    ----------
    first, step : (x, y) of the first place and from one to the next, in pixels of the aligned image, the first pixel being 1
    tilt, x_tilt : (Y, X, F) degrees, added to the view's own
    z_factor : (Y, X, F, 2), in place of the view's own
    matrix, shift_px : (Y, X, F, 2, 2) and (Y, X, F, 2), transform of what is projected, from the image's middle
    """

    first: Float
    step: Float
    tilt: Float
    x_tilt: Float
    z_factor: Float
    matrix: Float
    shift_px: Float


def read_local(path: Path, n_views: int, *, with_z_factors: bool) -> LocalAlignment:
    """Read the file that `tiltalign` writes for `tilt`.

    Parameters
    ----------
    n_views : of the tilt series
    with_z_factors : whether Z factors count; `tilt` leaves them out where it has no file of global ones

    Raises
    ------
    BadInput
        not such a file, or not of so many views
    """
    lines = read_lines(path)
    head = [finite(word) for word in lines[0].split()] if lines else []
    sizes = [int(value) for value in head[:6] if value is not None and abs(value) < 1e6]
    values = [finite(word) for line in lines[1:] for word in line.split()]
    has_x_tilt, has_z = len(head) > 6 and head[6] == 1, len(head) > 8 and head[8] == 1
    width = n_views * (1 + has_x_tilt + 2 * has_z + 6)
    fits = len(sizes) == 6 and min(sizes[:2] + sizes[4:]) > 0 and sizes[0] * sizes[1] < LARGEST_GRID
    if not fits or None in values or len(values) != width * sizes[0] * sizes[1]:
        what = f"is not a local alignment of {n_views} views"
        raise BadInput(Problem(path, "", what, remedy="copy it again, or remove LOCALFILE from tilt.com"))
    table = np.array(values, dtype=np.float64).reshape(sizes[1], sizes[0], width)
    parts = np.split(table, np.cumsum([n_views, n_views * has_x_tilt, 2 * n_views * has_z]), axis=-1)
    none = np.zeros((sizes[1], sizes[0], n_views))
    transform = parts[3].reshape(*none.shape, 6)
    return LocalAlignment(
        first=np.array(sizes[2:4], dtype=np.float64),
        step=np.array(sizes[4:6], dtype=np.float64),
        tilt=parts[0],
        x_tilt=parts[1] if has_x_tilt else none,
        z_factor=parts[2].reshape(*none.shape, 2) if has_z and with_z_factors else np.zeros((*none.shape, 2)),
        matrix=transform[..., :4].reshape(*none.shape, 2, 2),
        shift_px=transform[..., 4:],
    )


def local_projection(
    local: LocalAlignment, tilt_degrees: Float, x_tilt_degrees: Float, aligned_size: tuple[int, int]
) -> Callable[[int, Float], Float]:
    """Which view and (V, 3) points, in pixels from the tilt axis at the middle of the aligned image -> (V, 2) places in it."""
    angles = np.stack([local.x_tilt + x_tilt_degrees, local.tilt + tilt_degrees, np.zeros_like(local.tilt)], -1)
    projection = matrix_from_tilt_angles(angles)[..., :2, :].copy()
    projection[..., 2] += local.z_factor
    projection = local.matrix @ projection
    n_places = np.array(local.tilt.shape[1::-1])
    middle = np.array(aligned_size) / 2 + 0.5

    def project(view: int, points: Float) -> Float:
        at = np.clip((points[:, :2] + middle - local.first) / local.step, 0, n_places - 1)
        corner = np.minimum(at.astype(np.int64), np.maximum(n_places - 2, 0))
        part = at - corner
        places = np.zeros((len(points), 2))
        for right, up in ((0, 0), (1, 0), (0, 1), (1, 1)):
            x, y = np.minimum(corner + np.array([right, up]), n_places - 1).T
            weight = (part[:, 0] if right else 1 - part[:, 0]) * (part[:, 1] if up else 1 - part[:, 1])
            there = np.einsum("vij,vj->vi", projection[y, x, view], points) + local.shift_px[y, x, view]
            places += weight[:, None] * there
        return places

    return project

"""Maps and image stacks in MRC files."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import mrcfile
import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.atomic import atomic_path
from tomobayes.formats.mrc_header import map_pixels, read_header
from tomobayes.model import BadInput, Map, Problem

__all__ = ["Mode", "read_map", "write_map", "write_stack"]

Mode = Literal["float32", "float16"]
PIXEL_TOLERANCE = 1e-3


def read_map(path: Path | str, pixel_size_angstrom: float | None = None) -> Map:
    """Read a cubic map or mask.

    Parameters
    ----------
    path : MRC file, mode 0, 1, 2, 6 or 12
    pixel_size_angstrom : voxel edge where the header's is wrong; by default the header's

    Raises
    ------
    BadInput
        not a readable MRC file, not cubic, no voxel size, values that are not finite
    """
    header = read_header(path)
    problems = []
    if len(set(header.shape)) != 1:
        z, y, x = header.shape
        problems.append(Problem(path, "header", f"is not cubic: {x} x {y} x {z} voxels", remedy="crop or pad it to a cube"))
    pixel_size = header.pixel_size_angstrom if pixel_size_angstrom is None else pixel_size_angstrom
    if not pixel_size > 0:
        problems.append(Problem(path, "header", "has no voxel size", remedy="set it in the header or give it explicitly"))
    data = np.array(map_pixels(header), dtype=np.float32, order="C")
    if not np.isfinite(data).all():
        problems.append(Problem(path, "voxels", f"{np.sum(~np.isfinite(data))} voxels are NaN or infinite", remedy="compute the map again"))
    if problems:
        raise BadInput(problems)
    return Map(data, pixel_size)


def write_map(path: Path | str, volume: Map, mode: Mode = "float32") -> None:
    """Write a map as an MRC volume, atomically."""
    write_array(path, volume.data, volume.pixel_size_angstrom, mode, is_stack=False)


def write_stack(path: Path | str, images: NDArray[np.floating], pixel_size_angstrom: float, mode: Mode = "float32") -> None:
    """Write images (n, height, width) as an MRC stack, atomically; a single image (height, width) is a stack of one."""
    write_array(path, images.reshape(-1, *images.shape[-2:]), pixel_size_angstrom, mode, is_stack=True)


def write_array(path: Path | str, array: NDArray[np.floating], pixel_size_angstrom: float, mode: Mode, *, is_stack: bool) -> None:
    """Write (sections, rows, columns) in the given mode; refuses values that are not finite or that float16 cannot hold."""
    data = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(data).all():
        raise ValueError(f"{path}: {np.sum(~np.isfinite(data))} values are NaN or infinite, so the file is not written")
    if mode == "float16" and np.abs(data).max(initial=0) > np.finfo(np.float16).max:
        what = f"values up to {np.abs(data).max():.3g} do not fit into float16"
        raise BadInput(Problem(path, "", what, remedy="write float32, or normalise the images first"))
    with atomic_path(Path(path)) as temporary, mrcfile.new(temporary, overwrite=True) as stream:
        stream.set_data(data.astype(mode))
        if is_stack:
            stream.set_image_stack()
        stream.voxel_size = pixel_size_angstrom

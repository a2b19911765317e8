"""Image stacks written one image at a time, so that a tilt series never has to be in memory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import mrcfile
import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.atomic import atomic_path

__all__ = ["write_images"]

_MODES = {"int8": 0, "int16": 1, "float32": 2, "float16": 12}


def write_images(path: Path | str, images: Iterable[NDArray[np.generic]], shape: tuple[int, int, int], pixel_size_angstrom: float) -> None:
    """Write images of one size and type as an MRC stack, atomically.

    Parameters
    ----------
    images : (height, width) arrays of int8, int16, float16 or float32, as many as ``shape`` says
    shape : (images, height, width)
    """
    with atomic_path(Path(path)) as temporary:
        stream = None
        for index, image in enumerate(images):
            if stream is None:
                stream = mrcfile.new_mmap(temporary, shape, _MODES[image.dtype.name], overwrite=True)
                stream.set_image_stack()
                stream.voxel_size = pixel_size_angstrom
            stream.data[index] = image
        if stream is None or index + 1 != shape[0]:
            raise ValueError(f"{path}: {shape[0]} images were announced and {index + 1 if stream else 0} came")
        stream.close()

"""Particles as other programs keep them: where in which tomogram, how turned, and what their coordinates count from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Poses", "Zero", "centred_position"]

Float = NDArray[np.float64]
Zero = Literal["first voxel is 0", "first voxel is 1", "centre"]


@dataclass(frozen=True)
class Poses:
    """N particles in the order of their file.

    Parameters
    ----------
    file : where they were read
    tomogram : (N,) name, number or file of the tomogram of each
    position : (N, 3) x, y, z in voxels of the tomogram they were found in, or in Å where ``in_angstrom``
    rotation : (N, 3, 3) reference -> tomogram, or None where there are only positions
    class_number : (N,), 0 where none, or None
    zero : what positions count from, or None where the file does not say
    in_angstrom : whether positions are lengths rather than voxels
    """

    file: Path
    tomogram: NDArray[np.str_]
    position: Float
    rotation: Float | None = None
    class_number: NDArray[np.int64] | None = None
    zero: Zero | None = None
    in_angstrom: bool = False

    def __len__(self) -> int:
        return len(self.tomogram)


def centred_position(
    position: Float, zero: Zero, voxel_angstrom: float, tomogram_size: tuple[int, int, int], pixel_size_angstrom: float, *, block: bool
) -> Float:
    """(N, 3) Å from the tomogram's centre, of voxels of a tomogram that is binned relative to the tilt images.

    Parameters
    ----------
    position : (N, 3) voxels
    zero : what they count from
    voxel_angstrom : edge of one voxel
    tomogram_size : of the whole tomogram, in pixels of the tilt images
    pixel_size_angstrom : of the tilt images
    block : whether the centre of the volume is the middle between its first and last voxel (IMOD, AreTomo: a binned voxel covers a block
        of pixels), or voxel n/2, on which RELION's tomograms keep the centre
    """
    if zero == "centre":
        return position * voxel_angstrom
    index = position - (1.0 if zero == "first voxel is 1" else 0.0)
    extent = np.array(tomogram_size) * pixel_size_angstrom
    centred: Float = (index + (0.5 if block else 0.0)) * voxel_angstrom - extent / 2
    return centred

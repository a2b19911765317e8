"""Stored images of particles: 2D stacks and pseudo-subtomograms, one file (or two) per particle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.mrc import Mode, write_array
from tomobayes.formats.mrc_header import MrcHeader, map_pixels
from tomobayes.formats.mrc_images import faulty_images, image_fault
from tomobayes.model import Problem, PseudoSubtomogram

__all__ = ["StoredStacks", "StoredSubtomograms", "check_stored", "write_pseudo_subtomogram"]

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class StoredStacks:
    """2D stacks in MRC files (model.ParticleStacks).

    RELION's stacks hold the visible tilts only, Warp's all of them; `read` gives the visible ones in either case.

    Parameters
    ----------
    headers : one file per particle
    visible : (F,) bool per particle
    pixel_size_angstrom : edge of a (binned) pixel
    premultiplied : whether CTF and dose weight are in the images
    """

    headers: tuple[MrcHeader, ...]
    visible: tuple[NDArray[np.bool_], ...]
    pixel_size_angstrom: float
    premultiplied: bool

    @property
    def box(self) -> int:
        """Edge of the square images in (binned) pixels."""
        return self.headers[0].shape[2]

    def __len__(self) -> int:
        return len(self.headers)

    def read(self, particle: int) -> Float32:
        """(visible tilts, box, box) in tilt-series row order."""
        header, visible = self.headers[particle], self.visible[particle]
        pixels = map_pixels(header)
        return np.array(pixels[visible] if header.shape[0] == len(visible) else pixels, dtype=np.float32)

    def select(self, particles: Sequence[int] | NDArray[np.integer]) -> StoredStacks:
        """The stacks of some particles, in the order given."""
        headers, visible = tuple(self.headers[i] for i in particles), tuple(self.visible[i] for i in particles)
        return StoredStacks(headers, visible, self.pixel_size_angstrom, self.premultiplied)


@dataclass(frozen=True)
class StoredSubtomograms:
    """Pseudo-subtomograms in MRC files (model.PseudoSubtomograms).

    Parameters
    ----------
    data : one file per particle, (n, n, n)
    weights : one file per particle, (2n, n, n//2+1): sections 0 to n-1 are W, n to 2n-1 are M
    pixel_size_angstrom : edge of a (binned) voxel
    """

    data: tuple[MrcHeader, ...]
    weights: tuple[MrcHeader, ...]
    pixel_size_angstrom: float

    @property
    def box(self) -> int:
        """Edge of the cubes in (binned) voxels."""
        return self.data[0].shape[2]

    def __len__(self) -> int:
        return len(self.data)

    def read(self, particle: int) -> PseudoSubtomogram:
        """D, W and M of one particle."""
        weights = np.array(map_pixels(self.weights[particle]), dtype=np.float32)
        data = np.array(map_pixels(self.data[particle]), dtype=np.float32)
        return PseudoSubtomogram(data, weights[: self.box], weights[self.box :])

    def select(self, particles: Sequence[int] | NDArray[np.integer]) -> StoredSubtomograms:
        """The subtomograms of some particles, in the order given."""
        data, weights = tuple(self.data[i] for i in particles), tuple(self.weights[i] for i in particles)
        return StoredSubtomograms(data, weights, self.pixel_size_angstrom)


def write_pseudo_subtomogram(
    data_path: Path, weight_path: Path, subtomogram: PseudoSubtomogram, pixel_size_angstrom: float, mode: Mode = "float32"
) -> None:
    """Write D to one file and W above M to another, as RELION does (the weights' pixel size is the inverse)."""
    weights = np.concatenate([subtomogram.weight, subtomogram.multiplicity])
    write_array(weight_path, weights, 1 / pixel_size_angstrom, mode, is_stack=False)
    write_array(data_path, subtomogram.data, pixel_size_angstrom, mode, is_stack=False)


def check_stored(stored: StoredStacks | StoredSubtomograms) -> list[Problem]:
    """Read the images of every particle once and report those that are constant or hold NaN or infinite values."""
    problems = []
    for particle in range(len(stored)):
        if isinstance(stored, StoredStacks):
            header, images = stored.headers[particle], list(stored.read(particle))
        else:
            subtomogram = stored.read(particle)
            header, images = stored.data[particle], [subtomogram.data, subtomogram.weight, subtomogram.multiplicity]
        found = [(f"image {i + 1}", fault) for i, image in enumerate(images) if (fault := image_fault(image))]
        problems += faulty_images(str(header.path), found)
    return problems

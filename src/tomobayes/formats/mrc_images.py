"""Tilt images in MRC files, reached one at a time through memory maps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.mrc_header import MrcHeader, map_pixels, read_header
from tomobayes.model import Images, Problem

__all__ = ["MrcImages", "check_images", "faulty_images"]

MAX_LISTED = 5


class MrcImages:
    """Tilt images of one tilt series, in one stack or in several files (model.Images).

    Parameters
    ----------
    slices : file and section (from 0) of each tilt, in row order
    headers : header of each file, all with the same rows and columns
    pixel_size_angstrom : edge of a pixel (the tilt series', which headers often do not know)
    """

    def __init__(self, slices: Sequence[tuple[Path, int]], headers: dict[Path, MrcHeader], pixel_size_angstrom: float):
        self._slices = tuple(slices)
        self._headers = headers
        self._pixel_size = pixel_size_angstrom

    @classmethod
    def of_stack(cls, path: Path | str, pixel_size_angstrom: float | None = None) -> MrcImages:
        """All sections of one file, in their order; the pixel size is the header's unless given."""
        header = read_header(path)
        slices = [(header.path, section) for section in range(header.shape[0])]
        return cls(slices, {header.path: header}, header.pixel_size_angstrom if pixel_size_angstrom is None else pixel_size_angstrom)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(tilts, height, width) in pixels."""
        _, height, width = next(iter(self._headers.values())).shape
        return (len(self._slices), height, width)

    @property
    def pixel_size_angstrom(self) -> float:
        """Edge of one pixel in Å."""
        return self._pixel_size

    @property
    def slices(self) -> tuple[tuple[Path, int], ...]:
        """File and section (from 0) of each tilt."""
        return self._slices

    @property
    def headers(self) -> Mapping[Path, MrcHeader]:
        """Header of each file."""
        return self._headers

    def read(self, tilt: int) -> NDArray[np.generic]:
        """One image (height, width) in the stored type; a view of a memory map where the byte order is this machine's."""
        path, section = self._slices[tilt]
        image: NDArray[np.generic] = self._open(path)[section]
        return image if image.dtype.isnative else image.astype(image.dtype.newbyteorder("="))

    @cached_property
    def _open(self) -> Any:
        """Memory maps by file, opened when first needed."""
        return cache(lambda path: map_pixels(self._headers[path]))

    def __getstate__(self) -> dict[str, Any]:
        """Names and headers only: memory maps are opened again in the other process."""
        return {key: value for key, value in self.__dict__.items() if key != "_open"}


def check_images(images: Images, name: str) -> list[Problem]:
    """Read every image once and report those that are constant or hold NaN or infinite pixels.

    Parameters
    ----------
    images : the images
    name : file or tilt series, for messages
    """
    found = [(f"image {tilt + 1}", fault) for tilt in range(images.shape[0]) if (fault := image_fault(images.read(tilt)))]
    return faulty_images(name, found)


def faulty_images(name: str, found: Sequence[tuple[str, str]]) -> list[Problem]:
    """Problems for (which image, what is wrong with it), the first few one by one and the others counted."""
    return list(_problems(name, found))


def _problems(name: str, found: Sequence[tuple[str, str]]) -> Iterator[Problem]:
    remedy = "remove or write again the images that are spoilt"
    for where, fault in found[:MAX_LISTED]:
        yield Problem(name, where, fault, "it would spoil every average it enters", remedy)
    if len(found) > MAX_LISTED:
        yield Problem(name, "", f"{len(found) - MAX_LISTED} more images are constant or hold NaN", "", remedy)


def image_fault(image: NDArray[np.generic]) -> str:
    """What makes an image unusable, in words; empty where it is fine."""
    pixels: NDArray[Any] = np.asarray(image)
    low, high = pixels.min(), pixels.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        n_bad = int(np.sum(~np.isfinite(pixels)))
        return f"{n_bad} pixels are NaN or infinite"
    return f"is constant: every pixel is {low}" if low == high else ""

"""Tilt images as small pictures, made when they are asked for; the last ones are kept until others take their place."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.mrc_images import MrcImages
from tomobayes.model import TiltSeries
from tomobayes.report.pictures import to_grey
from tomobayes.web.datasets import Data

__all__ = ["Look", "extent", "picture"]

LONGEST = 1024
"""Pixels of a picture's longer edge, at most."""
KEPT = 48
"""Small images kept, at most 4 MB each."""
QUALITY = 85


@dataclass(frozen=True)
class Look:
    """How an image is shown: what is finer than ``lowpass_angstrom`` left out (0: nothing is), and so many percent black, and white."""

    lowpass_angstrom: float
    percent: float


def picture(data: Data, series: int, tilt: int, look: Look) -> bytes | None:
    """A tilt image as a JPEG file, first row at the bottom as maps are looked at; None where the images are not at hand."""
    from tomobayes.imaging.reduced import grey_range, smoothed

    images = data.dataset.tilt_series[series].images
    if images is None:
        return None
    assert isinstance(images, MrcImages)  # as all data sets that are read have
    path, section = images.slices[tilt]
    small, factor = _small(path, section, path.stat().st_mtime_ns)
    if look.lowpass_angstrom > 0:
        small = smoothed(small, factor * images.pixel_size_angstrom, look.lowpass_angstrom)
    return _jpeg(to_grey(small, *grey_range(small, look.percent)))


def extent(series: TiltSeries) -> tuple[int, int]:
    """(width, height) of the part of an image that its picture shows, in pixels of the image: whole blocks only."""
    width, height = series.image_size or (1, 1)
    factor = -(-max(width, height) // LONGEST)
    return width // factor * factor, height // factor * factor


@lru_cache(maxsize=KEPT)
def _small(path: Path, section: int, modified: int) -> tuple[NDArray[np.float32], int]:
    from tomobayes.imaging.reduced import reduced

    return reduced(MrcImages.of_stack(path).read(section), LONGEST)


def _jpeg(grey: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, format="JPEG", quality=QUALITY)
    return buffer.getvalue()

"""Maps of jobs as the browser takes them: few enough voxels, in whole numbers, with what is needed to draw them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.mrc import read_map
from tomobayes.formats.mrc_header import read_header
from tomobayes.model import BadInput
from tomobayes.project import Job

__all__ = ["MOST_VOXELS", "Volume", "VolumeFile", "kind_of", "packed", "volumes_of"]

MOST_VOXELS = 128
"""Along an edge; larger maps are cropped in Fourier space, so that their surface is that of the map at a coarser resolution."""

_LOCAL_RESOLUTION = re.compile(r"(?:relion_)?locres\.mrc")
_MASK = re.compile(r".*mask\.mrc|mask.*\.mrc")
_ITERATION = re.compile(r"run(?:_ct\d+)?_it(\d+)_")


@dataclass(frozen=True)
class VolumeFile:
    """A cubic map of a job, as its file's head tells.

    Parameters
    ----------
    kind : what it holds: a density, local resolutions in Å, or a mask
    iteration : that it belongs to, None for what a job ends with
    """

    path: Path
    box: int
    pixel_size_angstrom: float
    kind: str
    iteration: int | None

    @property
    def frame(self) -> str:
        """The same for maps that lie on the same voxels."""
        return f"{self.box} {self.pixel_size_angstrom:.3f}"


@dataclass(frozen=True)
class Volume:
    """A map made ready.

    Parameters
    ----------
    codes : (n, n, n) whole numbers that run evenly from ``low`` (0) to ``high`` (65535)
    step_angstrom : between voxels
    box : voxels along an edge of the file
    mean, deviation : of the file's voxels
    level : that best divides particle and solvent
    """

    codes: NDArray[np.uint16]
    step_angstrom: float
    box: int
    low: float
    high: float
    mean: float
    deviation: float
    level: float


def volumes_of(job: Job) -> list[VolumeFile]:
    """The maps of a job: what it ends with first, then iterations from the last on."""
    found = list(_cubic(sorted(job.folder.glob("*.mrc"))))
    return sorted(found, key=lambda one: (one.iteration is not None, -(one.iteration or 0), _rank(one.path.name), one.path.name))


def kind_of(name: str) -> str:
    """What a map holds, by its file's name: a density, local resolutions or a mask."""
    name = Path(name).name
    if _LOCAL_RESOLUTION.fullmatch(name):
        return "resolution"
    return "mask" if _MASK.fullmatch(name) else "density"


def packed(path: Path, *, smooth: bool) -> Volume:
    """A map for the browser.

    Parameters
    ----------
    smooth : whether voxels of larger maps are made by Fourier cropping, as becomes a density, or read off between voxels

    Raises
    ------
    BadInput
        if the file is no cubic map
    """
    return _packed(path, path.stat().st_mtime_ns, smooth)


@lru_cache(maxsize=8)
def _packed(path: Path, modified: int, smooth: bool) -> Volume:
    from tomobayes.maps.masks import automatic_threshold

    whole = read_map(path)
    data = _reduced(whole.data, smooth)
    low, high = float(data.min()), float(data.max())
    codes = np.round((data - low) * (65535 / max(high - low, 1e-30))).astype("<u2")
    step = whole.pixel_size_angstrom * whole.box / len(data)
    mean, deviation = float(whole.data.mean(dtype=np.float64)), float(whole.data.std(dtype=np.float64))
    return Volume(codes, step, whole.box, low, high, mean, deviation, automatic_threshold(data) if high > low else low)


def _reduced(data: NDArray[np.float32], smooth: bool) -> NDArray[np.float32]:
    from tomobayes.maps.local_grids import grid_positions, hat_matrix, separable
    from tomobayes.maps.resampling import fourier_resample

    box = len(data)
    if box <= MOST_VOXELS:
        return data
    if smooth:
        return fourier_resample(data, MOST_VOXELS)
    return separable(data, hat_matrix(grid_positions(box, MOST_VOXELS), grid_positions(box, box)))


def _cubic(paths: Iterable[Path]) -> Iterator[VolumeFile]:
    for path in paths:
        try:
            header = read_header(path)
        except (BadInput, FileNotFoundError):
            continue
        if len(set(header.shape)) == 1 and header.pixel_size_angstrom > 0:
            match = _ITERATION.match(path.name)
            yield VolumeFile(path, header.shape[0], header.pixel_size_angstrom, kind_of(path.name), int(match[1]) if match else None)


def _rank(name: str) -> int:
    """What one wants to see first: whole maps before half-maps, those before parts of the signal that were taken away."""
    return ("half" in name) + 2 * ("truth" in name)

"""What there is to make a tilt series of: files of several programs, and what the user says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.imod_files import read_angles
from tomobayes.formats.mrc_header import MrcHeader, read_header
from tomobayes.formats.problems import collecting
from tomobayes.formats.text_lines import read_numbers
from tomobayes.formats.views import Acquired, Aligned, Defocused, ViewKey
from tomobayes.model import BadInput, Problem

__all__ = ["Given", "Sources", "TiltImages", "read_order", "read_tilt_images"]

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Given:
    """What the user says; None where nothing is said, and the files are to tell.

    Parameters
    ----------
    pixel_size_angstrom : of the tilt images
    aligned_angstrom : pixel size of the images that were aligned
    tomogram_size, image_size : in pixels of the tilt images
    order : where the order of views comes from: their times, or their place in the stack
    """

    pixel_size_angstrom: float | None = None
    aligned_angstrom: float | None = None
    dose_per_tilt: float | None = None
    axis_degrees: float | None = None
    hand: float | None = None
    tomogram_size: tuple[int, int, int] | None = None
    image_size: tuple[int, int] | None = None
    voltage_kv: float | None = None
    spherical_aberration_mm: float | None = None
    amplitude_contrast: float | None = None
    order: Literal["time", "section"] = "time"


@dataclass(frozen=True)
class TiltImages:
    """Images of one tilt series: file and section of each, and what tells which view it is of."""

    file: Path
    slices: tuple[tuple[Path, int], ...]
    headers: dict[Path, MrcHeader]
    keys: tuple[ViewKey, ...]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        _, height, width = next(iter(self.headers.values())).shape
        return width, height

    @property
    def pixel_size_angstrom(self) -> float | None:
        """That of the headers, where it means something."""
        first = next(iter(self.headers.values()))
        return first.pixel_size_angstrom if first.has_pixel_size else None


@dataclass(frozen=True)
class Sources:
    """Files of one tilt series; ``order`` are stage angles in the order in which they were taken."""

    name: str
    acquired: Acquired | None = None
    aligned: Aligned | None = None
    defocused: Defocused | None = None
    images: TiltImages | None = None
    order: Float | None = None


def read_tilt_images(paths: list[Path]) -> TiltImages:
    """One stack, whose sections a .rawtlt beside it may tell the stage angles of, or one file per view, known by its frames' name.

    Raises
    ------
    BadInput
        files that are no images, or differ in size
    """
    problems: list[Problem] = []
    headers: dict[Path, MrcHeader] = {}
    for path in paths:
        with collecting(problems):
            headers[path] = read_header(path)
    if len({header.shape[1:] for header in headers.values()}) > 1:
        problems.append(
            Problem(paths[0], "", "differs in size from other images of the tilt series", remedy="crop or pad them to one size")
        )
    several = [str(path) for path, header in headers.items() if len(paths) > 1 and header.shape[0] > 1]
    if several:
        what = "is a stack among other images of the same tilt series"
        problems.append(Problem(several[0], "", what, remedy="give either one stack or one file per view"))
    if problems:
        raise BadInput(problems)
    if len(paths) > 1:
        slices, keys = tuple((path, 0) for path in paths), tuple(ViewKey(frames=path.stem) for path in paths)
        return TiltImages(paths[0].parent, slices, headers, keys)
    path, depth = paths[0], headers[paths[0]].shape[0]
    raw = path.with_suffix(".rawtlt")
    angles = read_angles(raw) if raw.exists() else None
    if angles is not None and len(angles) != depth:
        what = f"has {len(angles)} lines, but {path} has {depth} images"
        raise BadInput(Problem(raw, "", what, remedy="write the stage angle of every image of the stack"))
    keys = tuple(ViewKey(None if angles is None else float(angles[section]), section=section) for section in range(depth))
    return TiltImages(path, tuple((path, section) for section in range(depth)), headers, keys)


def read_order(path: Path) -> Float:
    """(F,) stage angles in the order in which they were taken: one angle per line, or a number and an angle, apart by blanks or commas."""
    values = read_numbers(path, (1, 2), "a stage angle, or a number and a stage angle", commas=True).values
    angles: Float = values[:, 0] if values.shape[1] == 1 else values[np.argsort(values[:, 0], kind="stable"), 1]
    return angles

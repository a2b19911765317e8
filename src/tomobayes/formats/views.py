"""What other programs know of the views of one tilt series: when and how each was taken, where it lies, how it is defocused.

Every program tells its views apart in its own way: by stage angle, by when they were taken, by the file they were recorded in, by their
place in a stack. A `ViewKey` holds what there is of that; `formats.view_matching` brings the views of several programs together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Acquired", "AcquiredView", "Aligned", "AlignedView", "Defocused", "DefocusedView", "ViewKey"]

Float = NDArray[np.float64]


@dataclass(frozen=True)
class ViewKey:
    """What tells one view from the others, as far as a program keeps it.

    Parameters
    ----------
    stage_degrees : tilt angle of the stage, before any refinement
    order : how many views were taken before it
    section : its place in a stack, from 0
    frames : name of the file it was recorded in, without folder and ending
    """

    stage_degrees: float | None = None
    order: int | None = None
    section: int | None = None
    frames: str = ""

    def __str__(self) -> str:
        parts = [f"{self.stage_degrees:.2f}°"] if self.stage_degrees is not None else []
        parts += [f"taken as number {self.order + 1}"] if self.order is not None else []
        parts += [f"section {self.section + 1}"] if self.section is not None and not parts else []
        return ", ".join(parts + ([self.frames] if self.frames and not parts else [])) or "a view"


@dataclass(frozen=True)
class AcquiredView:
    """One view as it was taken; ``dose`` is e/Å² received before it, ``file`` where it was recorded, None where not known."""

    key: ViewKey
    dose: float | None = None
    file: str = ""


@dataclass(frozen=True)
class Acquired:
    """How a tilt series was taken.

    Parameters
    ----------
    file : where that stands
    views : in the order of the file
    pixel_size_angstrom, voltage_kv, axis_degrees, image_size : None where the file does not say
    dose_fault : why doses are not known, empty where they are
    order_fault : why the order is not known, empty where it is
    """

    file: Path
    views: tuple[AcquiredView, ...]
    pixel_size_angstrom: float | None = None
    voltage_kv: float | None = None
    axis_degrees: float | None = None
    image_size: tuple[int, int] | None = None
    dose_fault: str = ""
    order_fault: str = ""


@dataclass(frozen=True)
class AlignedView:
    """Where one image lies: ``matrix`` (2, 3) and ``offset_px`` (2,) take tomogram to image, both in pixels from their middles."""

    key: ViewKey
    matrix: Float
    offset_px: Float
    tilt_degrees: float
    excluded: bool = False


@dataclass(frozen=True)
class Aligned:
    """An alignment of a tilt series.

    Parameters
    ----------
    file : where it stands
    program : which program made it
    views : in the order of the file
    axis_degrees : tilt axis, counter-clockwise from the image's y axis
    image_size : (width, height) of the images that were aligned, or None
    tomogram_size : (x, y, z) in pixels of those images, or None
    local_shift : how far the images of points (V, 3) are, in view i, from where its matrix and offset put them, (V, 2), both in pixels of
        those images, points from the tomogram's middle; None where nothing is local
    left_out : what the alignment has that is not taken over, one sentence each
    """

    file: Path
    program: Literal["IMOD", "AreTomo"]
    views: tuple[AlignedView, ...]
    axis_degrees: float
    image_size: tuple[int, int] | None = None
    tomogram_size: tuple[int, int, int] | None = None
    local_shift: Callable[[int, Float], Float] | None = None
    left_out: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class DefocusedView:
    """Defocus of one view: underfocus positive, ``astigmatism_degrees`` the direction of u, counter-clockwise from x."""

    key: ViewKey
    defocus_u_angstrom: float
    defocus_v_angstrom: float
    astigmatism_degrees: float = 0.0
    phase_shift_degrees: float = 0.0
    resolution_angstrom: float | None = None


@dataclass(frozen=True)
class Defocused:
    """Defoci of a tilt series, and what the fit took for granted (None where the file does not say)."""

    file: Path
    program: str
    views: tuple[DefocusedView, ...]
    voltage_kv: float | None = None
    spherical_aberration_mm: float | None = None
    amplitude_contrast: float | None = None

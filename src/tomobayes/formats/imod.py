"""Alignments of IMOD and etomo, as `tilt` projects with them.

A point Q of the tomogram, from the middle of its volume, is seen in the aligned image at

    y = [Ry(tilt + OFFSET)·Rx(xtilt − XAXISTILT)·(Q + c)]_xy + zfactor·(Q + c)_z,      c = (−SHIFT_x, 0, SHIFT_z)

from the middle of that image, and in the raw image at x = A⁻¹(y − d) from the middle of that one, (A, d) its line of the .xf file. The
tomogram is the one that `trimvol -rx` gives, whose handedness is that of the specimen; the middle of an image of n pixels lies at (n−1)/2,
counted from the middle of its first pixel. All of that is linear, so that magnification, stretch and Z factors are taken over as they are.
Local alignments (`imod_local`) move points of every view from there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.euler import matrix_from_tilt_angles
from tomobayes.formats.imod_files import CommandFile, Transforms, read_angles, read_command_file, read_transforms, same_length
from tomobayes.formats.imod_local import local_projection, read_local
from tomobayes.formats.text_lines import read_numbers
from tomobayes.formats.views import Aligned, AlignedView, ViewKey
from tomobayes.model import BadInput, Problem

__all__ = ["is_final_transform", "projection_of", "read_imod"]

Float = NDArray[np.float64]
LARGEST_EDGE = 1e6
LEFT_OUT = "the local alignment is left out, because {}: particles are off by what it corrects"


@dataclass(frozen=True)
class _Parts:
    """Files of one alignment, angles with what the commands of `tilt` add; ``centre`` is the volume's middle from the tilt axis."""

    transforms: Transforms
    tilt: Float
    stage: Float | None
    x_tilt: Float
    z_factor: Float
    centre: Float
    commands: CommandFile | None

    @property
    def aligned_size(self) -> tuple[int, int] | None:
        """(width, height) of the aligned images, where the commands say it."""
        size = self.commands.numbers("FULLIMAGE", 2) if self.commands is not None else None
        return (int(size[0]), int(size[1])) if size and min(size) >= 1 and max(size) < LARGEST_EDGE else None


def read_imod(transforms: Path, commands: Path | None = None) -> Aligned:
    """The alignment of an .xf file, with the files of its name beside it: .tlt, .rawtlt, .xtilt, .zfac; and tilt.com.

    Parameters
    ----------
    commands : tilt.com or the like; without it, the one beside the transforms whose TILTFILE has their name
    """
    commands = commands or _commands_beside(transforms)
    parts = _read_parts(transforms, read_command_file(commands) if commands is not None else None)
    aligned = projection_of(parts.tilt, parts.x_tilt, parts.z_factor)
    forth = np.stack([_rounded_rotation(matrix, parts.transforms.quantum) for matrix in parts.transforms.matrix])
    back: Float = np.linalg.inv(forth).astype(np.float64)
    matrices = back @ aligned
    offsets = np.einsum("fij,fj->fi", back, aligned @ parts.centre - parts.transforms.shift_px)
    stages = [None] * len(back) if parts.stage is None else parts.stage.tolist()
    excluded = parts.commands.excluded() if parts.commands is not None else frozenset()
    local, left_out = _local(parts, back, matrices)
    return Aligned(
        file=transforms,
        program="IMOD",
        views=tuple(
            AlignedView(ViewKey(stages[i], section=i), matrices[i], offsets[i], float(parts.tilt[i]), i in excluded)
            for i in range(len(back))
        ),
        axis_degrees=_axis(back),
        tomogram_size=_tomogram_size(parts),
        local_shift=local,
        left_out=left_out,
    )


def projection_of(tilt_degrees: Float, x_tilt_degrees: Float, z_factor: Float) -> Float:
    """(F, 2, 3) tomogram -> aligned image: the first rows of Ry(tilt)·Rx(x tilt), and (F, 2) Z factors for the height in the volume."""
    angles = np.stack([x_tilt_degrees, tilt_degrees, np.zeros_like(tilt_degrees)], -1)
    projection = matrix_from_tilt_angles(angles)[:, :2].copy()
    projection[:, :, 2] += z_factor
    return projection


def _read_parts(transforms: Path, commands: CommandFile | None) -> _Parts:
    found = read_transforms(transforms)
    n = len(found.matrix)
    tilts, raw = transforms.with_suffix(".tlt"), transforms.with_suffix(".rawtlt")
    if not tilts.exists():
        what = "is not there, so that the refined tilt angles are not known"
        raise BadInput(Problem(tilts, "", what, remedy=f"keep it beside {transforms.name}"))
    tilt, stage = read_angles(tilts), read_angles(raw) if raw.exists() else None
    x_tilts, factors = _file(transforms, commands, "XTILTFILE", ".xtilt"), _file(transforms, commands, "ZFACTORFILE", ".zfac")
    x_tilt = read_angles(x_tilts) if x_tilts is not None else np.zeros(n)
    z_factor = read_numbers(factors, (2,), "two Z factors").values if factors is not None else np.zeros((n, 2))
    for path, values in ((tilts, tilt), (raw, stage), (x_tilts, x_tilt), (factors, z_factor)):
        if values is not None and path is not None:
            same_length(path, values, n, transforms)
    offset, shift, axis = ((commands.numbers(name, 2) if commands else None) or [0.0, 0.0] for name in ("OFFSET", "SHIFT", "XAXISTILT"))
    centre = np.array([-shift[0] - offset[1], 0.0, shift[1]])
    return _Parts(found, tilt + offset[0], stage, x_tilt - axis[0], z_factor, centre, commands)


def _file(transforms: Path, commands: CommandFile | None, entry: str, ending: str) -> Path | None:
    """A file that the commands name, or without commands the one beside the transforms; None where `tilt` uses none."""
    name = transforms.with_suffix(ending).name if commands is None else Path(commands.entries.get(entry, "")).name
    path = transforms.with_name(name) if name else None
    return path if path is not None and path.exists() else None


def _local(parts: _Parts, back: Float, matrices: Float) -> tuple[Callable[[int, Float], Float] | None, tuple[str, ...]]:
    """The local alignment that the commands name, as shifts in the raw images; and a sentence where it cannot be had."""
    name = parts.commands.entries.get("LOCALFILE", "") if parts.commands is not None else ""
    if parts.commands is None or not name:
        return None, ()
    path, size = parts.commands.file.with_name(Path(name).name), parts.aligned_size
    if not path.exists() or size is None:
        return None, (LEFT_OUT.format(f"{name} is not there" if size is not None else "tilt.com has no FULLIMAGE"),)
    local = read_local(path, len(back), with_z_factors=bool(parts.commands.entries.get("ZFACTORFILE")))
    project = local_projection(local, parts.tilt, parts.x_tilt, size)
    everywhere = np.linalg.inv(back) @ matrices

    def shift(view: int, points: Float) -> Float:
        from_axis = points + parts.centre
        moved: Float = (project(view, from_axis) - from_axis @ everywhere[view].T) @ back[view].T
        return moved

    return shift, ()


def _commands_beside(transforms: Path) -> Path | None:
    """The command file of `tilt` that names the angles of these transforms, tilt.com first."""
    candidates = [transforms.with_name(name) for name in ("tilt.com", "tilta.com", "tiltb.com")]
    for path in (path for path in candidates if path.exists()):
        if Path(read_command_file(path).entries.get("TILTFILE", "")).stem == transforms.stem:
            return path
    return None


def is_final_transform(path: Path) -> bool:
    """Whether an .xf file is of the whole alignment: not local, nor one of the fiducials' or of coarse steps."""
    return not path.stem.endswith(("local", "_fid"))


def _rounded_rotation(matrix: Float, quantum: float) -> Float:
    """The nearest rotation where the matrix is one but for rounding (AreTomo writes three decimals), else the matrix."""
    left, _, right = np.linalg.svd(matrix)
    rotation: Float = left @ right
    return rotation if np.abs(matrix - rotation).max() <= quantum else matrix


def _axis(back: Float) -> float:
    """Mean direction of the tilt axis in the raw images, counter-clockwise from y, of transforms from the aligned ones (F, 2, 2)."""
    up = back[:, :, 1].mean(0)
    return float(np.degrees(np.arctan2(-up[0], up[1])))


def _tomogram_size(parts: _Parts) -> tuple[int, int, int] | None:
    size = parts.aligned_size
    thickness, width = ((parts.commands.numbers(name, 1) if parts.commands else None) for name in ("THICKNESS", "WIDTH"))
    if size is None or not thickness or not 1 <= thickness[0] < LARGEST_EDGE:
        return None
    return (int(width[0]) if width and 1 <= width[0] < LARGEST_EDGE else size[0], size[1], int(thickness[0]))

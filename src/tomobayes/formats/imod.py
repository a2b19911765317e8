"""Alignments of IMOD and etomo, as `tilt` projects with them.

A point Q of the tomogram, from the middle of its volume, is seen in the aligned image at

    y = [Ry(tilt + OFFSET)·Rx(xtilt − XAXISTILT)·(Q + c)]_xy + zfactor·(Q + c)_z,      c = (−SHIFT_x, 0, SHIFT_z)

from the middle of that image, and in the raw image at x = A⁻¹(y − d) from the middle of that one, (A, d) its line of the .xf file. The
tomogram is the one that `trimvol -rx` gives, whose handedness is that of the specimen; the middle of an image of n pixels lies at (n−1)/2,
counted from the middle of its first pixel. All of that is linear, so that magnification, stretch and Z factors are taken over as they are.
Local alignments are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.euler import matrix_from_tilt_angles
from tomobayes.formats.imod_files import CommandFile, Transforms, read_angles, read_command_file, read_transforms, same_length
from tomobayes.formats.text_lines import read_numbers
from tomobayes.formats.views import Aligned, AlignedView, ViewKey
from tomobayes.model import BadInput, Problem

__all__ = ["is_final_transform", "projection_of", "read_imod"]

Float = NDArray[np.float64]
NO_COMMANDS = CommandFile(Path(), {})
LOCAL = "the local alignment of {} is left out: particles far from the middle are off by what it corrects"


@dataclass(frozen=True)
class _Parts:
    """Files of one alignment."""

    transforms: Transforms
    tilt: Float
    stage: Float | None
    x_tilt: Float
    z_factor: Float
    commands: CommandFile


def read_imod(transforms: Path, commands: Path | None = None) -> Aligned:
    """The alignment of an .xf file, with the files of its name beside it: .tlt, .rawtlt, .xtilt, .zfac; and tilt.com.

    Parameters
    ----------
    commands : tilt.com or the like; without it, the one beside the transforms whose TILTFILE has their name
    """
    commands = commands or _commands_beside(transforms)
    parts = _read_parts(transforms, read_command_file(commands) if commands is not None else NO_COMMANDS)
    offset, shift = (parts.commands.numbers("OFFSET", 2) or [0.0, 0.0]), (parts.commands.numbers("SHIFT", 2) or [0.0, 0.0])
    centre = np.array([-shift[0] - offset[1], 0.0, shift[1]])
    excluded = parts.commands.excluded()
    tilt = parts.tilt + offset[0]
    matrices = projection_of(tilt, parts.x_tilt - (parts.commands.numbers("XAXISTILT", 1) or [0.0])[0], parts.z_factor)
    views = []
    for i, matrix in enumerate(matrices):
        back = np.linalg.inv(_rounded_rotation(parts.transforms.matrix[i], parts.transforms.quantum))
        key = ViewKey(None if parts.stage is None else float(parts.stage[i]), section=i)
        views.append(
            AlignedView(key, back @ matrix, back @ (matrix @ centre - parts.transforms.shift_px[i]), float(tilt[i]), i in excluded)
        )
    size = parts.commands.numbers("FULLIMAGE", 2)
    image_size = (int(size[0]), int(size[1])) if size and min(size) >= 1 else None
    return Aligned(
        file=transforms,
        program="IMOD",
        views=tuple(views),
        axis_degrees=_axis(parts.transforms.matrix),
        tomogram_size=_tomogram_size(parts.commands, image_size),
        left_out=tuple(LOCAL.format(name) for name in [parts.commands.entries.get("LOCALFILE")] if name),
    )


def projection_of(tilt_degrees: Float, x_tilt_degrees: Float, z_factor: Float) -> Float:
    """(F, 2, 3) tomogram -> aligned image: the first rows of Ry(tilt)·Rx(x tilt), and (F, 2) Z factors for the height in the volume."""
    angles = np.stack([x_tilt_degrees, tilt_degrees, np.zeros_like(tilt_degrees)], -1)
    projection = matrix_from_tilt_angles(angles)[:, :2].copy()
    projection[:, :, 2] += z_factor
    return projection


def _read_parts(transforms: Path, commands: CommandFile) -> _Parts:
    found = read_transforms(transforms)
    n = len(found.matrix)
    tilts, raw, x_tilts, factors = (transforms.with_suffix(ending) for ending in (".tlt", ".rawtlt", ".xtilt", ".zfac"))
    if not tilts.exists():
        what = "is not there, so that the refined tilt angles are not known"
        raise BadInput(Problem(tilts, "", what, remedy=f"keep it beside {transforms.name}"))
    tilt = read_angles(tilts)
    same_length(tilts, tilt, n, transforms)
    stage = read_angles(raw) if raw.exists() else None
    x_tilt = read_angles(x_tilts) if x_tilts.exists() else np.zeros(n)
    z_factor = read_numbers(factors, (2,), "two Z factors").values if factors.exists() else np.zeros((n, 2))
    for path, values in ((raw, stage), (x_tilts, x_tilt), (factors, z_factor)):
        if values is not None:
            same_length(path, values, n, transforms)
    return _Parts(found, tilt, stage, x_tilt, z_factor, commands)


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


def _axis(matrices: Sequence[Float] | Float) -> float:
    """Mean direction of the tilt axis in the raw images, counter-clockwise from y."""
    up = np.array([np.linalg.inv(matrix) @ [0.0, 1.0] for matrix in matrices])
    return float(np.degrees(np.arctan2(-up[:, 0].mean(), up[:, 1].mean())))


def _tomogram_size(commands: CommandFile, image_size: tuple[int, int] | None) -> tuple[int, int, int] | None:
    thickness, width = commands.numbers("THICKNESS", 1), commands.numbers("WIDTH", 1)
    if thickness is None or image_size is None or thickness[0] < 1:
        return None
    return (int(width[0]) if width and width[0] >= 1 else image_size[0], image_size[1], int(thickness[0]))

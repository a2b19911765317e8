"""Alignments of AreTomo 1 to 3 (.aln).

A point of the tomogram is seen at u = R(ROT)·[Ry(TILT)·Q]_xy·GMAG, and in the raw image at u + (TX, TY) + S(u), all from the middles.
S is the local alignment: the patches' shifts, each weighted by exp(−100·|(u − u_patch)/size|²), patches marked as bad left out. TILT has
the tilt offset in it already. Sections are counted from 0 or 1, with or without dark images, as the version has it; stage angles, which are
TILT − AlphaOffset, tell views apart reliably, and their order with that of the dark images says which image of the stack they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.euler import matrix_from_tilt_angles
from tomobayes.formats.text_lines import finite, read_lines
from tomobayes.formats.views import Aligned, AlignedView, ViewKey
from tomobayes.model import BadInput, Problem

__all__ = ["read_aretomo"]

Float = NDArray[np.float64]
FALLOFF = 100.0
GOOD = 0.9
MAX_SECTIONS = 100_000


@dataclass
class _Scan:
    """Header entries, (section, angle) of dark images, rows of the global and of the local alignment, and faulty lines."""

    header: dict[str, str] = field(default_factory=dict)
    dark: list[tuple[int, float]] = field(default_factory=list)
    views: list[list[float]] = field(default_factory=list)
    patches: list[list[float]] = field(default_factory=list)
    faulty: list[int] = field(default_factory=list)


def read_aretomo(path: Path) -> Aligned:
    """Read a .aln file; dark images are views that are excluded.

    Raises
    ------
    BadInput
        lines that are none of the format's, no views, local rows of views that are not there
    """
    scan = _scan(read_lines(path))
    problems = [
        Problem(path, f"line {line}", "is no line of an alignment of AreTomo", remedy="copy the file again") for line in scan.faulty[:5]
    ]
    if not scan.views and not problems:
        problems.append(Problem(path, "", "has no aligned views", remedy="give the .aln file of AreTomo"))
    rows = np.array(scan.views).reshape(-1, 10)
    patches = np.array(scan.patches).reshape(-1, 7)
    if len(patches) and not set(np.unique(patches[:, 0])) <= set(range(len(rows))):
        problems.append(Problem(path, "Local Alignment", "has rows of views that are not there", remedy="copy the file again"))
    if problems:
        raise BadInput(problems)
    alpha = finite(scan.header.get("AlphaOffset", ""))
    size = [int(edge) for word in scan.header.get("RawSize", "").split() if (edge := finite(word)) is not None and 0 < edge < MAX_SECTIONS]
    thickness = finite(scan.header.get("Thickness", "")) or 0.0
    has_size = len(size) >= 2
    axis = float(np.median(rows[:, 1]))
    views = _views(rows, scan.dark, alpha, size)
    return Aligned(
        file=path,
        program="AreTomo",
        views=views,
        axis_degrees=axis,
        image_size=(size[0], size[1]) if has_size else None,
        tomogram_size=_tomogram_size(size, thickness, axis) if has_size else None,
        local_shift=_local(patches, views, (size[0], size[1])) if len(patches) and has_size else None,
        left_out=("the local alignment is left out, because RawSize is not given",) if len(patches) and not has_size else (),
    )


def _scan(lines: Sequence[str]) -> _Scan:
    scan = _Scan()
    rows, width = scan.views, 10
    for number, line in enumerate(lines, start=1):
        bare = line.strip()
        if bare.startswith("#"):
            name, equals, value = bare.lstrip("# ").partition("=")
            if name.startswith("Local Alignment"):
                rows, width = scan.patches, 7
            elif equals and name.startswith("DarkFrame"):
                cells = [finite(word) for word in value.split()]
                if len(cells) == 3 and cells[1] is not None and cells[2] is not None and 0 <= cells[1] < MAX_SECTIONS:
                    scan.dark.append((int(cells[1]), cells[2]))
            elif equals:
                scan.header[name.strip()] = value.strip()
        elif bare:
            cells = [finite(word) for word in bare.split()]
            if width == 7 and len(cells) == 6:
                cells.append(1.0)  # versions before 1.1 mark no patch as bad
            row = [cell for cell in cells if cell is not None]
            if len(row) == len(cells) == width:
                rows.append(row)
            else:
                scan.faulty.append(number)
    return scan


def _views(rows: Float, dark: Sequence[tuple[int, float]], alpha: float | None, size: Sequence[int]) -> tuple[AlignedView, ...]:
    """Views by their place in the raw stack: those that are not dark keep their order there; unknown where counts disagree."""
    depth = size[2] if len(size) > 2 else 0
    first = 1 if depth in [section for section, _ in dark] else 0
    left_out = {section - first: angle for section, angle in dark}
    bright: list[int | None] = [section for section in range(depth) if section not in left_out]
    if len(bright) != len(rows):
        bright, left_out = [None] * len(rows), {}
    ranks = np.argsort(np.argsort(rows[:, 0], kind="stable")).tolist()
    seen = [_view(row, alpha, bright[rank]) for row, rank in zip(rows, ranks, strict=True)]
    unseen = [
        AlignedView(ViewKey(stage_degrees=angle, section=section), np.eye(2, 3), np.zeros(2), angle, excluded=True)
        for section, angle in left_out.items()
    ]
    return tuple(seen + unseen)


def _view(row: Float, alpha: float | None, section: int | None) -> AlignedView:
    _, axis, magnification, x, y, *_, tilt = row.tolist()
    rotation = matrix_from_tilt_angles(np.array([0.0, tilt, axis]))
    key = ViewKey(stage_degrees=None if alpha is None else tilt - alpha, section=section)
    return AlignedView(key, (magnification or 1.0) * rotation[:2], np.array([x, y]), tilt)


def _tomogram_size(size: Sequence[int], thickness: float, axis_degrees: float) -> tuple[int, int, int] | None:
    """AreTomo turns the volume by a right angle where the axis lies nearer to x than to y."""
    lies_along_x = abs(np.sin(np.radians(axis_degrees))) > np.sqrt(0.5)
    width, height = (size[1], size[0]) if lies_along_x else (size[0], size[1])
    return (width, height, int(thickness)) if thickness >= 1 else None


def _local(patches: Float, views: Sequence[AlignedView], image_size: tuple[int, int]) -> Callable[[int, Float], Float]:
    """S(u): which view and (V, 3) points of the tomogram -> (V, 2) shifts, all in pixels of the aligned images."""
    of_view = [patches[(patches[:, 0] == view) & (patches[:, 6] >= GOOD)] for view in range(len(views))]

    def shift(view: int, points: Float) -> Float:
        mine, projected = of_view[view], points @ views[view].matrix.T
        if len(mine) == 0:
            return np.zeros_like(projected)
        away = (projected[:, None] - mine[:, 2:4]) / np.array(image_size)
        exponent = -FALLOFF * (away**2).sum(-1)
        weight = np.exp(exponent - exponent.max(axis=1, keepdims=True))
        weighted: Float = weight @ mine[:, 4:6] / weight.sum(axis=1, keepdims=True)
        return weighted

    return shift

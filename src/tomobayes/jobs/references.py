"""Maps that a refinement starts from, checked against its box and pixel size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.mrc import read_map
from tomobayes.formats.problems import collecting
from tomobayes.maps.masks import mask_problems, sphere_mask
from tomobayes.model import BadInput, Map, Problem

__all__ = ["check_fits", "read_references", "solvent_mask"]

PIXEL_TOLERANCE = 1e-3


def read_references(paths: tuple[Path, Path] | None) -> tuple[Map, Map] | None:
    """The reference of each half-set, of one box and pixel size."""
    if paths is None:
        return None
    problems: list[Problem] = []
    maps = []
    for path in dict.fromkeys(paths):
        with collecting(problems):
            maps.append(read_map(path))
    for path, one in zip(paths, maps, strict=False):
        if float(np.ptp(one.data)) == 0:
            problems.append(Problem(path, "voxels", "is constant", "poses cannot be told from it", "give a map of the particle"))
    if problems:
        raise BadInput(problems)
    first, second = maps[0], maps[-1]
    check_fits([(paths[1], second)], first.box, first.pixel_size_angstrom, str(paths[0]))
    return first, second


def check_fits(maps: Sequence[tuple[Path, Map]], box: int, pixel_size_angstrom: float, wanted_by: str) -> None:
    """Refuse maps of another size or pixel than the refinement's."""
    problems = []
    for path, one in dict(maps).items():
        differs = abs(one.pixel_size_angstrom / pixel_size_angstrom - 1) > PIXEL_TOLERANCE
        if one.box != box or differs:
            what = f"has {one.box} voxels of {one.pixel_size_angstrom:.4g} Å along an edge, not {box} of {pixel_size_angstrom:.4g} Å"
            remedy = "resample it, or leave out --box and --bin to take over the reference's"
            problems.append(Problem(path, "header", f"{what} as {wanted_by}", remedy=remedy))
    if problems:
        raise BadInput(problems)


def solvent_mask(path: Path | None, box: int, pixel_size_angstrom: float, diameter_angstrom: float) -> NDArray[np.float32]:
    """The user's mask, or a soft sphere of the particle's diameter."""
    diameter_px = diameter_angstrom / pixel_size_angstrom
    if diameter_px > box:
        what = f"a particle of {diameter_angstrom:g} Å does not fit into a box of {box} pixels of {pixel_size_angstrom:.4g} Å"
        raise BadInput(Problem(None, "--particle-diameter", what, remedy="make the box larger, or correct the diameter"))
    if path is None:
        return sphere_mask(box, diameter_px)
    mask = read_map(path)
    check_fits([(path, mask)], box, pixel_size_angstrom, "the refinement")
    problems = mask_problems(mask.data, box, path)
    if problems:
        raise BadInput(problems)
    return mask.data

"""Finding and reading the two half-maps of a job."""

from __future__ import annotations

from pathlib import Path

from tomobayes.formats.mrc import read_map
from tomobayes.formats.relion import OptimisationSet, find_optimisation_set, read_optimisation_set
from tomobayes.jobs.parameters import HalfMapParameters
from tomobayes.maps.masks import mask_problems
from tomobayes.model import BadInput, Map, Problem

__all__ = ["find_half_maps", "half_map_paths", "optimisation_set_of", "read_half_maps", "read_mask"]

_NAMES = ("run_half1_class001_unfil.mrc", "half1.mrc")
_PIXEL_TOLERANCE = 1e-3


def half_map_paths(parameters: HalfMapParameters) -> tuple[Path, Path]:
    """The two half-maps that were asked for."""
    if parameters.half1 is not None and parameters.half2 is not None:
        return parameters.half1, parameters.half2
    assert parameters.i is not None
    found = find_half_maps(parameters.i)
    return parameters.half1 or found[0], parameters.half2 or found[1]


def optimisation_set_of(parameters: HalfMapParameters) -> OptimisationSet | None:
    """The optimisation set that belongs to the half-maps, where their job wrote one."""
    if parameters.i is None or not parameters.i.is_dir():
        return None
    try:
        return read_optimisation_set(find_optimisation_set(parameters.i))
    except BadInput:
        return None


def find_half_maps(place: Path) -> tuple[Path, Path]:
    """The unfiltered half-maps in a job's folder, or a first half-map and its partner beside it."""
    if place.is_dir():
        found = [place / name for name in _NAMES if (place / name).exists()]
        if not found:
            remedy = "give the folder of a finished refine or reconstruct job, or name them with --half1 and --half2"
            raise BadInput(Problem(place, "", f"holds no half-maps ({' or '.join(_NAMES)})", remedy=remedy))
        place = found[0]
    if "half1" not in place.name:
        raise BadInput(Problem(place, "", "its name does not say which half it is", remedy="name both with --half1 and --half2"))
    return place, place.with_name(place.name.replace("half1", "half2"))


def read_half_maps(half1: Path, half2: Path, pixel_size_angstrom: float | None = None) -> tuple[Map, Map]:
    """Two maps of one size and pixel."""
    first, second = read_map(half1, pixel_size_angstrom), read_map(half2, pixel_size_angstrom)
    problems = _differences(first, second, half1, half2, "the half-maps must come from one job")
    if not problems and (first.data == second.data).all():
        problems = [Problem(half2, "", f"is the same map as {half1}", "their FSC would be 1 everywhere", "give the two halves")]
    if problems:
        raise BadInput(problems)
    return first, second


def read_mask(path: Path, like: Map, like_path: Path, pixel_size_angstrom: float | None = None) -> Map:
    """A mask that fits a map."""
    mask = read_map(path, pixel_size_angstrom)
    problems = mask_problems(mask.data, like.box, path) or _differences(like, mask, like_path, path, "make the mask from one of the maps")
    if problems:
        raise BadInput(problems)
    return mask


def _differences(first: Map, second: Map, first_path: Path, second_path: Path, remedy: str) -> list[Problem]:
    problems = []
    if first.box != second.box:
        problems.append(Problem(second_path, "", f"has a box of {second.box} voxels, {first_path} one of {first.box}", remedy=remedy))
    if abs(first.pixel_size_angstrom / second.pixel_size_angstrom - 1) > _PIXEL_TOLERANCE:
        what = f"has voxels of {second.pixel_size_angstrom:.4g} Å, {first_path} ones of {first.pixel_size_angstrom:.4g} Å"
        problems.append(Problem(second_path, "header", what, remedy=f"{remedy}, or give the true size with --angpix"))
    return problems

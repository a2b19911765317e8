"""``local-resolution``: the resolution around every voxel of two half-maps, and their average filtered to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from tomobayes.formats.mrc import write_map
from tomobayes.formats.relion import write_optimisation_set
from tomobayes.formats.relion_postprocess import read_mtf
from tomobayes.jobs.frame import Context
from tomobayes.jobs.half_maps import half_map_paths, optimisation_set_of, read_half_maps, read_mask
from tomobayes.jobs.local_resolution_report import local_resolution_report
from tomobayes.jobs.memory import available_bytes
from tomobayes.jobs.parameters import LocalResolution
from tomobayes.maps.local_filter import filter_locally
from tomobayes.maps.local_resolution import local_fsc, resolution_map
from tomobayes.maps.postprocess import Postprocessed, Sharpening, postprocess
from tomobayes.model import BadInput, Map, Problem
from tomobayes.report import format_number

__all__ = ["run"]

BYTES_OF_PROGRAM = 4.3e8

BYTES_PER_VOXEL, BYTES_PER_VOXEL_OF_SMALL_MAPS = 110, 170
"""At the worst moment, a band near Nyquist. The C library keeps what small arrays leave behind, large ones go back to the system."""

SMALL_MAP_BYTES = 32 * 2**20


def run(parameters: LocalResolution, context: Context) -> Path:
    """Write locres.mrc (Å), locres_filtered.mrc, and an optimisation set that names the halves where ``--i`` has one."""
    paths = half_map_paths(parameters)
    half1, half2 = read_half_maps(*paths, parameters.angpix)
    mask = None if parameters.mask is None else read_mask(parameters.mask, half1, paths[0], parameters.angpix)
    pixel_size = half1.pixel_size_angstrom
    _check_coarsest(parameters.locres_minres, half1)
    plan = _memory_plan(half1.box)
    sharpening = _sharpening(parameters, pixel_size)
    folder = context.open([*paths, parameters.mask, parameters.mtf])
    context.log.say(plan)
    mask_data = None if mask is None else mask.data
    whole = postprocess(half1.data, half2.data, pixel_size, mask_data, sharpening)
    local = local_fsc(half1.data, half2.data, pixel_size, mask_data, window=parameters.window, coarsest_angstrom=parameters.locres_minres)
    resolution = Map(resolution_map(local, parameters.fsc_threshold), pixel_size)
    sharpened = _sharpened(half1, half2, whole, sharpening)
    filtered = Map(filter_locally(sharpened, local, parameters.fsc_threshold), pixel_size)
    _write(folder, context, resolution, filtered, paths, parameters)
    context.show(local_resolution_report(local, whole, resolution, filtered, mask, parameters))
    return folder


def _check_coarsest(coarsest_angstrom: float, half: Map) -> None:
    nyquist = 2 * half.pixel_size_angstrom
    if coarsest_angstrom <= 1.5 * nyquist:
        what = f"{format_number(coarsest_angstrom)} Å leaves nothing to look at before Nyquist, {format_number(nyquist)} Å"
        raise BadInput(Problem(None, LocalResolution.option("locres_minres"), what, remedy="give a coarser resolution"))


def _memory_plan(box: int) -> str:
    """The plan in words; a job that cannot finish is refused."""
    per_voxel = BYTES_PER_VOXEL_OF_SMALL_MAPS if 4 * box**3 < SMALL_MAP_BYTES else BYTES_PER_VOXEL
    needed, available = per_voxel * box**3 + BYTES_OF_PROGRAM, available_bytes()
    if needed > available:
        what = f"this needs about {needed / 1e9:.1f} GB of memory, and {available / 1e9:.1f} GB are available"
        raise BadInput(Problem(None, "", what, remedy="crop the half-maps to a smaller box"))
    return f"memory: about {needed / 1e9:.1f} GB of {available / 1e9:.1f} GB"


def _sharpening(parameters: LocalResolution, pixel_size_angstrom: float) -> Sharpening:
    mtf = None if parameters.mtf is None else read_mtf(parameters.mtf, parameters.mtf_angpix or pixel_size_angstrom)
    return Sharpening(b_factor_angstrom2=parameters.adhoc_bfac, mtf=mtf)


def _sharpened(half1: Map, half2: Map, whole: Postprocessed, sharpening: Sharpening) -> np.ndarray:
    """The average with its B factor, not weighted: weights are local."""
    given = replace(sharpening, b_factor_angstrom2=whole.b_factor_angstrom2, fsc_weighting=False)
    return postprocess(half1.data, half2.data, half1.pixel_size_angstrom, None, given).map


def _write(folder: Path, context: Context, resolution: Map, filtered: Map, halves: tuple[Path, Path], parameters: LocalResolution) -> None:
    for name, map_ in (("locres.mrc", resolution), ("locres_filtered.mrc", filtered)):
        write_map(folder / name, map_)
        context.output(folder / name)
    members = optimisation_set_of(parameters)
    if members is not None:
        reference = replace(members.reference, half1=halves[0], half2=halves[1], mask=parameters.mask or members.reference.mask)
        write_optimisation_set(folder / "optimisation_set.star", replace(members, reference=reference))
        context.output(folder / "optimisation_set.star")

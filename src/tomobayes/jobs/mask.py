"""``mask``: a soft mask from a map or a sphere."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tomobayes.formats.mrc import read_map, write_map
from tomobayes.jobs.frame import Context
from tomobayes.jobs.parameters import Mask
from tomobayes.maps.filters import low_pass
from tomobayes.maps.masks import automatic_threshold, mask_from_map, sphere_mask
from tomobayes.model import BadInput, Map, Problem
from tomobayes.report import Fact, Finding, Report, Section, format_number, slices_of

__all__ = ["run"]


def run(parameters: Mask, context: Context) -> Path:
    """Make the mask and write it: ``mask.mrc`` in the job's folder, or the one file that ``--o`` names."""
    if parameters.names_a_file:
        assert parameters.o is not None
        _refuse_existing(parameters.o, parameters.overwrite)
        write_map(parameters.o, _make(parameters, context)[0])
        return parameters.o
    mask, source = _make(parameters, context)
    folder = context.open([parameters.i])
    write_map(folder / "mask.mrc", mask)
    context.output(folder / "mask.mrc")
    context.show(_report(mask, source))
    return folder


def _make(parameters: Mask, context: Context) -> tuple[Map, Map | None]:
    """The mask, and the map it was made from if any."""
    if parameters.i is None:
        assert parameters.box is not None and parameters.angpix is not None and parameters.sphere_diameter is not None
        sphere = sphere_mask(parameters.box, parameters.sphere_diameter / parameters.angpix, parameters.width_soft_edge_px)
        return Map(sphere, parameters.angpix), None
    source = read_map(parameters.i, parameters.angpix)
    smooth = low_pass(source.data, source.pixel_size_angstrom, parameters.lowpass) if parameters.lowpass else source.data
    threshold = automatic_threshold(smooth) if parameters.ini_threshold is None else parameters.ini_threshold
    context.log.say(f"The mask begins at a density of {threshold:.4g}")
    mask = mask_from_map(
        smooth,
        source.pixel_size_angstrom,
        threshold=threshold,
        lowpass_angstrom=None,
        extend_px=parameters.extend_inimask_px,
        soft_edge_px=parameters.width_soft_edge_px,
        largest_component=parameters.largest_component,
    )
    _refuse_useless(parameters.i, mask, float(smooth.max()), threshold)
    return Map(mask, source.pixel_size_angstrom), source


def _refuse_existing(path: Path, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise BadInput(Problem(path, "", "this file is already there", remedy="name another with --o, or add --overwrite to replace it"))


def _refuse_useless(path: Path, mask: np.ndarray, highest: float, threshold: float) -> None:
    if mask.max() > 0 and mask.min() < 1:
        return
    what = "is nowhere" if mask.max() == 0 else "is everywhere"
    problem = f"the density {what} above --ini-threshold {threshold:.4g} once the mask is grown; the map's highest is {highest:.4g}"
    raise BadInput(Problem(path, "", problem, remedy="choose a threshold in between, or leave --ini-threshold out to have one chosen"))


def _report(mask: Map, source: Map | None) -> Report:
    inside = float((mask.data > 0.5).mean())
    faces = max(float(np.abs(np.take(mask.data, [0, -1], axis)).max()) for axis in range(3))
    findings = (
        [Finding("warning", "The mask reaches the edge of the box: what it cuts off there is cut hard. Use a larger box.")]
        if faces > 0.01
        else []
    )
    volume = inside * (mask.box * mask.pixel_size_angstrom / 10) ** 3
    facts = [Fact("Inside the mask", f"{format_number(100 * inside, 3)} %"), Fact("Volume", f"{format_number(volume, 3)} nm³"),
             Fact("Box", f"{mask.box} × {format_number(mask.pixel_size_angstrom)} Å")]  # fmt: skip
    pictures = [slices_of(mask, "Mask", "mask")]
    if source is not None:
        pictures.append(slices_of(Map(source.data * mask.data, source.pixel_size_angstrom), "Map inside the mask", "masked_map"))
    return Report("Mask", facts=facts, findings=findings, sections=[Section("Central slices", pictures)])

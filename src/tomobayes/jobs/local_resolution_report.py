"""What ``local-resolution`` shows: figures, distribution, and the map coloured by its resolution."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tomobayes.jobs.figures import NOT_SHARPENED, angstrom
from tomobayes.jobs.parameters import LocalResolution
from tomobayes.maps.local_grids import coarse_points, grid_positions, hat_matrix, separable
from tomobayes.maps.local_resolution import LocalFsc
from tomobayes.maps.masks import automatic_threshold, mask_from_map
from tomobayes.maps.postprocess import Postprocessed
from tomobayes.maps.resampling import crop_or_pad, fourier_resample
from tomobayes.model import Map
from tomobayes.report import (
    Axis,
    Chart,
    ColourScale,
    Fact,
    Finding,
    Item,
    Level,
    Report,
    Section,
    Series,
    Slices,
    Text,
    coloured_slices,
    coloured_surfaces,
    format_number,
    histogram_chart,
)

__all__ = ["local_resolution_report"]

Bool = NDArray[np.bool_]

_PICTURE_PX = 240
"""Smaller maps are interpolated to this many voxels before they are drawn, at most fourfold."""

_WORTH_SAYING = 0.05
"""Share of the particle from which on a remark is made about it."""


def local_resolution_report(
    local: LocalFsc, whole: Postprocessed, resolution: Map, filtered: Map, mask: Map | None, parameters: LocalResolution
) -> Report:
    """The page about a local resolution; figures are those of the voxels inside the mask, or of dense ones without a mask."""
    outline = mask_from_map(filtered.data, filtered.pixel_size_angstrom, soft_edge_px=1) if mask is None else mask.data
    inside = outline > 0.5
    values = resolution.data[inside]
    finest, median, coarsest = (float(value) for value in np.percentile(values, [5, 50, 95]))
    facts = [
        Fact("Local resolution, median", angstrom(median)),
        Fact("Finest and coarsest 5 %", f"{format_number(finest, 3)} – {format_number(coarsest, 3)} Å"),
        Fact("Of the whole map (FSC 0.143)", angstrom(whole.resolution_angstrom)),
        Fact("B factor", f"{format_number(whole.b_factor_angstrom2, 3)} Å²"),
    ]
    low, high = np.percentile(values, [1, 99])
    scale = ColourScale("Local resolution", "Å", float(low), float(max(high, low + 0.1)))
    curves = [histogram_chart("Distribution", values, "Local resolution", "Å", "Voxels"), _curves(local, whole, inside, parameters)]
    sections = [
        Section("Map", _pictures(resolution, filtered, inside, scale)),
        Section("Resolution", curves),
        Section("How it was measured", [Text(_method(local, parameters, median))]),
    ]
    return Report("Local resolution", facts=facts, findings=_findings(local, values, mask, whole, parameters), sections=sections)


def _pictures(resolution: Map, filtered: Map, inside: Bool, scale: ColourScale) -> list[Item]:
    """Cropped to the particle and drawn finely."""
    close = _close_box(inside)
    pixel_size = filtered.pixel_size_angstrom
    fine = max(close, min(_PICTURE_PX, 4 * close))
    density = Map(fourier_resample(crop_or_pad(filtered.data, close), fine), pixel_size * close / fine)
    spread = hat_matrix(grid_positions(close, fine), grid_positions(close, close))
    values = separable(crop_or_pad(resolution.data, close), spread)
    level = automatic_threshold(filtered.data)
    surfaces: Slices = coloured_surfaces(
        density, values, level, scale, "Surface", "surface", f"Locally filtered map at a density of {format_number(level, 3)}."
    )
    slices = coloured_slices(density, values, scale, "Central slices", "locres_filtered", "Brightness is the locally filtered density.")
    return [surfaces, slices]


def _close_box(inside: Bool) -> int:
    """Edge of the smallest centred cube around what is inside, with a little room."""
    box = inside.shape[0]
    reach = np.abs(np.argwhere(inside) - box // 2).max(initial=box // 8)
    return int(min(box, 2 * math.ceil(1.08 * float(reach) + 2)))


def _curves(local: LocalFsc, whole: Postprocessed, inside: Bool, parameters: LocalResolution) -> Chart:
    """The spread of the local curves over the particle, and the curve of the whole."""
    index = np.clip(coarse_points(local.box).round().astype(int) + local.box // 2, 0, local.box - 1)
    there = inside[np.ix_(index, index, index)]
    spread = np.percentile(local.correlation[:, there] if there.any() else local.correlation.reshape(len(local.shell), -1), [10, 50, 90], 1)
    frequency = (local.shell / (local.box * local.pixel_size_angstrom)).tolist()
    series = [
        Series(label, frequency, curve.tolist())
        for label, curve in zip(("Local, 10th percentile", "Local, median", "Local, 90th percentile"), spread, strict=True)
    ]
    series.append(Series("Whole map", whole.curves.spatial_frequency.tolist(), whole.curves.corrected.tolist()))
    x = Axis("Resolution", "Å", "resolution", low=0.0, high=0.5 / local.pixel_size_angstrom)
    level = Level(parameters.fsc_threshold, format_number(parameters.fsc_threshold))
    return Chart("Fourier shell correlation", x, Axis("Correlation", low=-0.2, high=1.0), series, [level])


def _method(local: LocalFsc, parameters: LocalResolution, median_angstrom: float) -> str:
    window = format_number(parameters.window * median_angstrom, 2)
    return (
        f"Around each voxel the halves are compared in {len(local.shell)} bands of frequency under a Gaussian window as wide as "
        f"{format_number(parameters.window)} times the resolution looked at ({window} Å at the median). "
        f"The local resolution is where their correlation first falls below {format_number(parameters.fsc_threshold)}, or below what "
        "noise alone exceeds once in a thousand. The filtered map holds, in each place, only what is coarser than that, weighted by "
        "√(2C/(1 + C)). Sharper changes than the window is wide are smoothed."
    )


def _findings(
    local: LocalFsc, values: NDArray[np.float32], mask: Map | None, whole: Postprocessed, parameters: LocalResolution
) -> list[Finding]:
    findings = []
    if mask is None:
        sentence = "No mask was given: solvent dilutes the correlation at the surface, and the figures are those of where the map is dense."
        findings.append(Finding("note", sentence))
    if whole.guinier_fit is None and parameters.adhoc_bfac is None:
        findings.append(NOT_SHARPENED)
    none = float((values >= local.coarsest_angstrom * 0.999).mean())
    if none > _WORTH_SAYING:
        what = f"{format_number(100 * none, 2)} % of the particle the halves agree at no resolution finer than"
        findings.append(Finding("warning", f"In {what} {format_number(parameters.locres_minres)} Å."))
    nyquist = 2 * local.pixel_size_angstrom
    best = float((values <= nyquist * 1.02).mean())
    if best > _WORTH_SAYING:
        sentence = f"In {format_number(100 * best, 2)} % of the particle the halves agree up to Nyquist: go on at a smaller pixel size."
        findings.append(Finding("warning", sentence))
    return findings

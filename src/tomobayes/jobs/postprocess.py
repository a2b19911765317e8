"""``postprocess``: the resolution of two half-maps under a mask, and their sharpened average."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from tomobayes.formats.mrc import write_map
from tomobayes.formats.relion import write_optimisation_set
from tomobayes.formats.relion_postprocess import read_mtf, write_postprocess
from tomobayes.jobs.experiment import symmetry_group
from tomobayes.jobs.figures import NOT_SHARPENED, angstrom, half_map_fsc
from tomobayes.jobs.frame import Context
from tomobayes.jobs.half_maps import half_map_paths, optimisation_set_of, read_half_maps, read_mask
from tomobayes.jobs.parameters import Postprocess
from tomobayes.maps.postprocess import Postprocessed, Sharpening, postprocess
from tomobayes.model import Map, Reference
from tomobayes.report import Axis, Chart, Fact, Finding, Report, Section, Series, format_number, slices_of

__all__ = ["run"]

_GUINIER_FROM_ANGSTROM = 40.0
_LEAK = 0.1
"""A phase-randomised FSC above this at the resolution means that the mask alone correlates the halves."""


def run(parameters: Postprocess, context: Context) -> Path:
    """Write postprocess.mrc, postprocess_masked.mrc, postprocess.star, and an optimisation set that names them where ``--i`` has one."""
    paths = half_map_paths(parameters)
    half1, half2 = read_half_maps(*paths, parameters.angpix)
    mask = None if parameters.mask is None else read_mask(parameters.mask, half1, paths[0], parameters.angpix)
    order = len(symmetry_group(parameters.sym))
    sharpening = _sharpening(parameters, half1.pixel_size_angstrom)
    folder = context.open([*paths, parameters.mask, parameters.mtf])
    result = postprocess(
        half1.data,
        half2.data,
        half1.pixel_size_angstrom,
        None if mask is None else mask.data,
        sharpening,
        randomise_below=parameters.randomize_at_fsc,
        symmetry_order=order,
        seed=parameters.random_seed,
    )
    context.log.say(
        f"Resolution (FSC 0.143): {angstrom(result.resolution_angstrom)}; B factor: {format_number(result.b_factor_angstrom2)} Å²"
    )
    _write(folder, context, result, half1.pixel_size_angstrom, paths, parameters)
    context.show(_report(result, half1.pixel_size_angstrom, parameters))
    return folder


def _sharpening(parameters: Postprocess, pixel_size_angstrom: float) -> Sharpening:
    mtf = None if parameters.mtf is None else read_mtf(parameters.mtf, parameters.mtf_angpix or pixel_size_angstrom)
    return Sharpening(
        b_factor_angstrom2=parameters.adhoc_bfac,
        fit_low_angstrom=parameters.autob_lowres,
        fit_high_angstrom=parameters.autob_highres,
        mtf=mtf,
        fsc_weighting=not parameters.skip_fsc_weighting,
        lowpass_angstrom=parameters.low_pass,
    )


def _write(
    folder: Path, context: Context, result: Postprocessed, pixel_size_angstrom: float, halves: tuple[Path, Path], parameters: Postprocess
) -> None:
    files = {"rlnUnfilteredMapHalf1": str(halves[0]), "rlnUnfilteredMapHalf2": str(halves[1])}
    write_map(folder / "postprocess.mrc", Map(result.map, pixel_size_angstrom))
    files["rlnSharpenedMap"] = str(folder / "postprocess.mrc")
    if result.masked_map is not None:
        write_map(folder / "postprocess_masked.mrc", Map(result.masked_map, pixel_size_angstrom))
        files |= {"rlnMaskName": str(parameters.mask), "rlnSharpenedMaskedMap": str(folder / "postprocess_masked.mrc")}
        context.output(folder / "postprocess_masked.mrc")
    write_postprocess(folder / "postprocess.star", result, files)
    context.output(folder / "postprocess.mrc", folder / "postprocess.star")
    members = optimisation_set_of(parameters)
    if members is not None:
        reference = Reference(*halves, parameters.mask, folder / "postprocess.star")
        write_optimisation_set(folder / "optimisation_set.star", replace(members, reference=reference))
        context.output(folder / "optimisation_set.star")


def _report(result: Postprocessed, pixel_size_angstrom: float, parameters: Postprocess) -> Report:
    facts = [
        Fact("Resolution (FSC 0.143)", angstrom(result.resolution_angstrom)),
        Fact("At FSC 0.5", angstrom(result.curves.resolution_angstrom(0.5))),
        Fact("B factor", f"{format_number(result.b_factor_angstrom2, 3)} Å²"),
    ]
    pictures = [slices_of(Map(result.map, pixel_size_angstrom), "Sharpened map", "postprocess")]
    if result.masked_map is not None:
        facts.insert(1, Fact("Without the mask", angstrom(result.curves.resolution_angstrom(masked=False))))
        pictures.append(slices_of(Map(result.masked_map, pixel_size_angstrom), "Sharpened map inside the mask", "postprocess_masked"))
    sections = [Section("Resolution", [half_map_fsc(result.curves), _guinier(result, parameters)]), Section("Map", pictures)]
    return Report("Post-processing", facts=facts, findings=_findings(result, parameters), sections=sections)


def _guinier(result: Postprocessed, parameters: Postprocess) -> Chart:
    """From the resolution on where the shape of the particle has little say."""
    plot = result.guinier
    shown = plot.inverse_resolution_squared >= 1 / _GUINIER_FROM_ANGSTROM**2
    curves = {"Average of the halves": plot.original, "Weighted by the FSC": plot.weighted, "Sharpened": plot.sharpened}
    x = plot.inverse_resolution_squared[shown].tolist()
    series = [Series(label, x, values[shown].tolist()) for label, values in curves.items()]
    fit = result.guinier_fit
    if fit is not None:
        ends = [1 / parameters.autob_lowres**2, 1 / parameters.autob_highres**2 if parameters.autob_highres else x[-1]]
        series.append(Series("Fit", ends, [fit.intercept + fit.slope * end for end in ends]))
    return Chart("Guinier plot", Axis("1/d²", "1/Å²"), Axis("ln of the mean amplitude"), series)


def _findings(result: Postprocessed, parameters: Postprocess) -> list[Finding]:
    curves, findings = result.curves, []
    if not math.isfinite(result.resolution_angstrom):
        return [Finding("warning", "The half-maps do not agree at any resolution (FSC below 0.143 from the first shell on).")]
    nyquist = 2 * curves.pixel_size_angstrom
    if result.resolution_angstrom <= nyquist * (1 + 2 / curves.box):
        findings.append(
            Finding(
                "warning", f"The FSC does not fall below 0.143 before Nyquist ({format_number(nyquist)} Å): go on at a smaller pixel size."
            )
        )
    if curves.randomised is not None:
        shell = int(np.argmin(np.abs(curves.spatial_frequency - 1 / result.resolution_angstrom)))
        leak = float(curves.randomised[shell])
        if leak > _LEAK:
            findings.append(
                Finding(
                    "warning",
                    f"With random phases the masked halves still correlate by {leak:.2f} at the resolution: the mask is too tight.",
                )
            )
    if curves.resolution_angstrom(masked=False) < result.resolution_angstrom:
        findings.append(Finding("warning", "The resolution without the mask is better than with it: look at the mask."))
    if result.guinier_fit is None and parameters.adhoc_bfac is None:
        findings.append(NOT_SHARPENED)
    if result.guinier_fit is not None and result.b_factor_angstrom2 > 0:
        findings.append(Finding("warning", "The fitted B factor is positive, so it blurs the map: give one with --adhoc-bfac."))
    return findings

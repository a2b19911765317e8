"""Curves that travel in STAR files: postprocess.star, the FSC of other jobs, detector MTFs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.cells import text_of
from tomobayes.formats.star import Table, read_star, write_star
from tomobayes.formats.star_values import TableReader, format_float
from tomobayes.maps.postprocess import Mtf, Postprocessed
from tomobayes.model import BadInput, Problem

__all__ = ["read_fsc", "read_mtf", "shell_columns", "write_postprocess"]

Float = NDArray[np.float64]
FSC_TABLES = (("fsc", "rlnFourierShellCorrelationCorrected"), ("model_class_1", "rlnGoldStandardFsc"))
MTF_LABELS = ("rlnResolutionInversePixel", "rlnMtfValue")
MTF_REMEDY = "give the MTF of a detector as it comes with RELION"
INFINITE = 999.0
"""What RELION writes for the resolution of shell 0."""

LOG_OF_NOTHING = -99.0
"""What RELION writes for the logarithm of an amplitude of zero."""


def write_postprocess(path: Path | str, result: Postprocessed, files: Mapping[str, str] | None = None) -> None:
    """Write postprocess.star as RELION's programs read it.

    Parameters
    ----------
    path : postprocess.star
    result : curves, resolution, B factor and Guinier plot
    files : label -> name of maps and mask (rlnUnfilteredMapHalf1, rlnMaskName, …)
    """
    cells = {label: np.array([format_float(value)]) for label, value in _general_values(result).items()}
    cells |= {label: np.array([name]) for label, name in (files or {}).items()}
    tables = (("fsc", _fsc_columns(result)), ("guinier", _guinier_columns(result)))
    write_star(path, [Table("general", cells, is_list=True), *(Table(name, columns) for name, columns in tables)])


def shell_columns(n_shells: int, box: int, pixel_size_angstrom: float) -> dict[str, NDArray[np.str_]]:
    """rlnSpectralIndex, rlnResolution (1/Å) and rlnAngstromResolution of shells 0 to n-1."""
    shells = np.arange(n_shells)
    frequency = shells / (box * pixel_size_angstrom)
    resolution = np.divide(1.0, frequency, out=np.full(n_shells, INFINITE), where=frequency > 0)
    return {
        "rlnSpectralIndex": text_of(shells),
        "rlnResolution": np.array([f"{value:.6f}" for value in frequency]),
        "rlnAngstromResolution": text_of(resolution),
    }


def read_fsc(path: Path | str) -> Float:
    """(shells,) FSC from postprocess.star (corrected) or a refinement's model.star (gold standard), shell 0 first."""
    path = Path(path)
    tables = read_star(path)
    for name, label in FSC_TABLES:
        if name in tables and label in tables[name].columns:
            reader = TableReader(path, tables[name])
            shells, fsc = reader.integers("rlnSpectralIndex", -1), reader.floats(label)
            if not np.array_equal(shells, np.arange(len(shells))):
                reader.report("column rlnSpectralIndex", "shells are not numbered 0, 1, 2, …", "give the file as the job wrote it")
            if reader.problems:
                raise BadInput(reader.problems)
            return fsc
    remedy = "give the postprocess.star of a PostProcess job or the run_model.star of a refinement"
    raise BadInput(Problem(path, "", "has no FSC curve", remedy=remedy))


def read_mtf(path: Path | str, pixel_size_angstrom: float) -> Mtf:
    """Read a detector's MTF.

    Parameters
    ----------
    path : STAR file with rlnResolutionInversePixel and rlnMtfValue
    pixel_size_angstrom : of the detector's pixels, which the frequencies are relative to
    """
    path = Path(path)
    tables = [table for table in read_star(path).values() if all(label in table.columns for label in MTF_LABELS)]
    if not tables:
        what = f"has no table with {' and '.join(MTF_LABELS)}"
        raise BadInput(Problem(path, "", what, remedy=MTF_REMEDY))
    reader = TableReader(path, tables[0])
    frequency, value = (reader.floats(label) for label in MTF_LABELS)
    if (np.diff(frequency) <= 0).any() or (value <= 0).any():
        reader.report("", "frequencies do not increase or values are not positive", MTF_REMEDY)
    if reader.problems:
        raise BadInput(reader.problems)
    return Mtf(frequency, value, pixel_size_angstrom)


def _general_values(result: Postprocessed) -> dict[str, float]:
    curves, fit = result.curves, result.guinier_fit
    values = {"rlnFinalResolution": min(result.resolution_angstrom, INFINITE), "rlnBfactorUsedForSharpening": result.b_factor_angstrom2}
    if result.box_over_particle is not None:
        values["rlnParticleBoxFractionSolventMask"] = result.box_over_particle
    if curves.randomised_from_shell:
        values["rlnRandomiseFrom"] = curves.box * curves.pixel_size_angstrom / curves.randomised_from_shell
    if fit is not None:
        values["rlnFittedSlopeGuinierPlot"] = fit.slope
        values["rlnFittedInterceptGuinierPlot"] = fit.intercept
        values["rlnCorrelationFitGuinierPlot"] = fit.correlation
    return values


def _fsc_columns(result: Postprocessed) -> dict[str, NDArray[np.str_]]:
    curves = result.curves
    named = {
        "rlnFourierShellCorrelationCorrected": curves.corrected,
        "rlnFourierShellCorrelationParticleMaskFraction": result.particle_fsc,
        "rlnFourierShellCorrelationUnmaskedMaps": curves.unmasked,
        "rlnFourierShellCorrelationMaskedMaps": curves.masked,
        "rlnCorrectedFourierShellCorrelationPhaseRandomizedMaskedMaps": curves.randomised,
    }
    columns = shell_columns(len(curves.corrected), curves.box, curves.pixel_size_angstrom)
    return columns | {label: text_of(values) for label, values in named.items() if values is not None}


def _guinier_columns(result: Postprocessed) -> dict[str, NDArray[np.str_]]:
    plot = result.guinier
    named = {
        "rlnResolutionSquared": plot.inverse_resolution_squared,
        "rlnLogAmplitudesOriginal": plot.original,
        "rlnLogAmplitudesMTFCorrected": plot.mtf_corrected,
        "rlnLogAmplitudesWeighted": plot.weighted,
        "rlnLogAmplitudesSharpened": plot.sharpened,
    }
    return {label: text_of(np.maximum(values, LOG_OF_NOTHING)) for label, values in named.items() if values is not None}

"""run_model.star of a refinement or classification: what an iteration believes of its maps and noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.cells import text_of
from tomobayes.formats.relion_postprocess import shell_columns
from tomobayes.formats.star import Table, write_star
from tomobayes.formats.star_values import format_float

__all__ = ["ClassModel", "RefinementModel", "write_model"]

Float = NDArray[np.float64]


@dataclass(frozen=True)
class ClassModel:
    """One class: its map's name, its share of the particles, its spectra per shell.

    Parameters
    ----------
    reference_image : name of the map
    resolution_angstrom : of the map
    ssnr : spectral signal-to-noise ratio of the map
    fsc : gold-standard FSC; None without half-sets
    sigma2, tau2 : noise variance of the reconstruction, and prior variance of the signal
    distribution : fraction of the particles
    """

    reference_image: str
    resolution_angstrom: float
    ssnr: Float
    sigma2: Float
    tau2: Float
    fsc: Float | None = None
    distribution: float = 1.0


@dataclass(frozen=True)
class RefinementModel:
    """State of a refinement after one iteration.

    Parameters
    ----------
    box, pixel_size_angstrom : of the maps
    current_box : edge of the Fourier box in use
    classes : all classes
    noise : optics group (or other group) name -> variance of one real noise component per shell
    log_likelihood, average_pmax : of all particles
    general : further label -> value of data_model_general
    """

    box: int
    pixel_size_angstrom: float
    current_box: int
    classes: Sequence[ClassModel]
    noise: Mapping[str, Float] = field(default_factory=dict)
    log_likelihood: float = 0.0
    average_pmax: float = 0.0
    general: Mapping[str, float] = field(default_factory=dict)


def write_model(path: Path | str, model: RefinementModel) -> None:
    """Write run_model.star with the tables and labels of RELION's."""
    tables = [_general(model), Table("model_classes", _classes(model))]
    tables += [Table(f"model_class_{i}", _class_columns(one, model)) for i, one in enumerate(model.classes, start=1)]
    for i, sigma2 in enumerate(model.noise.values(), start=1):
        columns = shell_columns(len(sigma2), model.box, model.pixel_size_angstrom)
        del columns["rlnAngstromResolution"]
        tables.append(Table(f"model_optics_group_{i}", columns | {"rlnSigma2Noise": text_of(sigma2)}))
    write_star(path, tables)


def _general(model: RefinementModel) -> Table:
    whole = {
        "rlnReferenceDimensionality": 3,
        "rlnOriginalImageSize": model.box,
        "rlnCurrentImageSize": model.current_box,
        "rlnNrClasses": len(model.classes),
        "rlnNrOpticsGroups": len(model.noise),
    }
    real = {
        "rlnPixelSize": model.pixel_size_angstrom,
        "rlnCurrentResolution": min(one.resolution_angstrom for one in model.classes),
        "rlnLogLikelihood": model.log_likelihood,
        "rlnAveragePmax": model.average_pmax,
        **model.general,
    }
    cells = {label: np.array([str(value)]) for label, value in whole.items()}
    cells |= {label: np.array([format_float(value)]) for label, value in real.items()}
    return Table("model_general", cells, is_list=True)


def _classes(model: RefinementModel) -> dict[str, NDArray[np.str_]]:
    return {
        "rlnReferenceImage": text_of([one.reference_image for one in model.classes]),
        "rlnClassDistribution": text_of([float(one.distribution) for one in model.classes]),
        "rlnEstimatedResolution": text_of([float(one.resolution_angstrom) for one in model.classes]),
    }


def _class_columns(one: ClassModel, model: RefinementModel) -> dict[str, NDArray[np.str_]]:
    columns = shell_columns(len(one.ssnr), model.box, model.pixel_size_angstrom)
    columns["rlnSsnrMap"] = text_of(np.asarray(one.ssnr, dtype=np.float64))
    if one.fsc is not None:
        columns["rlnGoldStandardFsc"] = text_of(np.asarray(one.fsc, dtype=np.float64))
    columns["rlnReferenceSigma2"] = text_of(np.asarray(one.sigma2, dtype=np.float64))
    columns["rlnReferenceTau2"] = text_of(np.asarray(one.tau2, dtype=np.float64))
    return columns

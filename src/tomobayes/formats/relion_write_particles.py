"""Particles back into RELION-5's particles.star."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tomobayes.formats.cells import Quantity, integer, number, numbers, text_of, update
from tomobayes.formats.euler import euler_from_matrix, matrix_from_euler
from tomobayes.formats.relion_particles import (
    CENTRED_LABELS,
    NO_PRIOR,
    ORIGIN_LABELS,
    PARTICLE_ANGLES,
    PIXEL_LABELS,
    SUBTOMOGRAM_ANGLES,
)
from tomobayes.formats.relion_write_optics import group_numbers, optics_columns
from tomobayes.formats.star import Table, write_star
from tomobayes.formats.star_values import format_vector
from tomobayes.model import Dataset

__all__ = ["ExtractedImages", "particle_tables", "write_particles"]

Text = NDArray[np.str_]
ROTATION_TOLERANCE = 1e-7


@dataclass(frozen=True)
class ExtractedImages:
    """Images of particles that were written to files.

    Parameters
    ----------
    kind : "stacks" (2D) or "subtomograms" (3D)
    box : edge in (binned) pixels
    binning : relative to the tilt images
    image_names : (P,) file of each particle
    weight_names : (P,) file of each particle's weights, for subtomograms
    visible : (F,) bool per particle, which tilts its stack holds, for stacks
    premultiplied : whether images are multiplied by CTF and dose weight
    """

    kind: Literal["stacks", "subtomograms"]
    box: int
    binning: float
    image_names: Sequence[str]
    weight_names: Sequence[str] | None = None
    visible: Sequence[NDArray[np.bool_]] | None = None
    premultiplied: bool = True

    def __post_init__(self) -> None:
        needed = self.visible if self.kind == "stacks" else self.weight_names
        if needed is None:
            raise ValueError("stacks need visible, subtomograms need weight_names")


def write_particles(
    path: Path | str, dataset: Dataset, *, extra: Mapping[str, ArrayLike] | None = None, extracted: ExtractedImages | None = None
) -> None:
    """Write particles and optics groups as RELION 5 reads them.

    Columns are kept as they were read; a cell changes only where the typed value means something else.

    Parameters
    ----------
    path : particles.star
    dataset : the experiment
    extra : result columns to set, label -> (P,) values
    extracted : images that were extracted for these particles, which take the place of earlier ones
    """
    write_star(path, particle_tables(dataset, extra, extracted))


def particle_tables(
    dataset: Dataset, extra: Mapping[str, ArrayLike] | None = None, extracted: ExtractedImages | None = None
) -> list[Table]:
    """The tables of particles.star, see `write_particles`."""
    columns = _particle_columns(dataset, extracted)
    for label, values in (extra or {}).items():
        columns[label] = text_of(values)
    tables = [Table("optics", optics_columns(dataset, _image_columns(extracted))), Table("particles", columns)]
    are_stacks = _are_stacks(dataset, extracted)
    if are_stacks is not None:
        flag = {"rlnTomoSubTomosAre2DStacks": np.array(["1" if are_stacks else "0"])}
        tables.insert(0, Table("general", flag, is_list=True))
    return tables


def _particle_columns(dataset: Dataset, extracted: ExtractedImages | None) -> dict[str, Text]:
    particles = dataset.particles
    columns = {label: cells for label, cells in particles.columns.items() if label not in PIXEL_LABELS}
    tomograms = np.array([series.name for series in dataset.tilt_series], dtype=np.str_)
    columns["rlnTomoName"] = tomograms[particles.tilt_series]
    columns["rlnTomoParticleName"] = particles.name
    explicit = extracted is not None or not particles.columns
    optics_numbers = np.array(group_numbers(dataset.optics))[particles.optics]
    for quantity, values in (
        (numbers(CENTRED_LABELS, always=True), particles.position_angstrom),
        (_rotation(SUBTOMOGRAM_ANGLES), particles.rotation_subtomogram),
        (_rotation(PARTICLE_ANGLES), particles.rotation_particle),
        (numbers(ORIGIN_LABELS, always=explicit), particles.origin_angstrom),
        (integer("rlnOpticsGroup", always=True), optics_numbers),
        (integer("rlnRandomSubset"), particles.half),
        (integer("rlnClassNumber"), particles.class_number),
        (number("rlnAngleTiltPrior", NO_PRIOR, none=NO_PRIOR), particles.tilt_prior_degrees),
        (number("rlnAnglePsiPrior", NO_PRIOR, none=NO_PRIOR), particles.psi_prior_degrees),
        (number("rlnAngleRotPrior", NO_PRIOR, none=NO_PRIOR), particles.rot_prior_degrees),
    ):
        columns = update(columns, quantity, values)
    return columns if extracted is None else _with_images(columns, extracted)


def _rotation(labels: tuple[str, ...]) -> Quantity:
    """Three Euler angles that mean one rotation: rewritten together, and only where the rotation differs."""
    return Quantity(labels, (0.0, 0.0, 0.0), matrix_from_euler, euler_from_matrix, ROTATION_TOLERANCE)


def _with_images(columns: Mapping[str, Text], extracted: ExtractedImages) -> dict[str, Text]:
    stale = ("rlnImageName", "rlnCtfImage", "rlnTomoVisibleFrames")
    result = {label: cells for label, cells in columns.items() if label not in stale}
    if extracted.visible is not None and extracted.kind == "stacks":
        result["rlnTomoVisibleFrames"] = np.array([format_vector(seen) for seen in extracted.visible], dtype=np.str_)
    result["rlnImageName"] = np.array(extracted.image_names, dtype=np.str_)
    if extracted.weight_names is not None and extracted.kind == "subtomograms":
        result["rlnCtfImage"] = np.array(extracted.weight_names, dtype=np.str_)
    return result


def _image_columns(extracted: ExtractedImages | None) -> dict[str, float]:
    """Optics columns that describe extracted images; the pixel size is added per group."""
    if extracted is None:
        return {}
    return {
        "rlnCtfDataAreCtfPremultiplied": int(extracted.premultiplied),
        "rlnImageDimensionality": 2 if extracted.kind == "stacks" else 3,
        "rlnTomoSubtomogramBinning": float(extracted.binning),
        "rlnImageSize": extracted.box,
    }


def _are_stacks(dataset: Dataset, extracted: ExtractedImages | None) -> bool | None:
    """Whether stored images are 2D stacks; None where there are no stored images."""
    if extracted is not None:
        return extracted.kind == "stacks"
    columns = dataset.particles.columns
    if "rlnImageName" not in columns:
        return None
    return "rlnTomoVisibleFrames" in columns or all(group.columns.get("rlnImageDimensionality", "3") == "2" for group in dataset.optics)

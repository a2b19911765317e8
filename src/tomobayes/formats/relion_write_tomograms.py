"""Tilt series back into RELION-5's tomograms.star and one STAR file per tilt series."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.cells import Quantity, number, numbers, update
from tomobayes.formats.euler import matrix_from_tilt_angles, tilt_angles_from_matrix
from tomobayes.formats.mrc_images import MrcImages
from tomobayes.formats.paths import name_from
from tomobayes.formats.relion4 import MATRIX_LABELS
from tomobayes.formats.relion_deformation import coefficient_columns, deformation_columns, same_kind
from tomobayes.formats.star import Table, write_star
from tomobayes.model import Optics, TiltSeries

__all__ = ["global_columns", "tilt_columns", "write_tomograms"]

Text = NDArray[np.str_]
ANGLE_LABELS = ("rlnTomoXTilt", "rlnTomoYTilt", "rlnTomoZRot")
SHIFT_LABELS = ("rlnTomoXShiftAngst", "rlnTomoYShiftAngst")
SIZE_LABELS = ("rlnTomoSizeX", "rlnTomoSizeY", "rlnTomoSizeZ")
ROTATION_TOLERANCE = 1e-7
OPTICS_TOLERANCE = 1e-3


def write_tomograms(folder: Path | str, tilt_series: Sequence[TiltSeries], optics: Sequence[Optics], root: Path | None = None) -> Path:
    """Write ``tomograms.star`` and ``tilt_series/<name>.star``.

    Parameters
    ----------
    folder : where to write
    tilt_series : the tilt series
    optics : the optics groups; each series names one, or there is only one
    root : folder that the names in the files are to hold from, by default the current one

    Returns
    -------
    the path of tomograms.star, written last
    """
    folder = Path(folder)
    tilt_series = same_kind(tilt_series)
    names = []
    for series in tilt_series:
        file = folder / "tilt_series" / f"{series.name}.star"
        write_star(file, [Table(series.name, tilt_columns(series, root))])
        names.append(name_from(file, root))
    path = folder / "tomograms.star"
    write_star(path, [Table("global", global_columns(tilt_series, optics, names))])
    return path


def tilt_columns(series: TiltSeries, root: Path | None = None) -> dict[str, Text]:
    """Columns of the table of one tilt series."""
    columns = {label: cells for label, cells in series.columns.items() if label not in MATRIX_LABELS}
    is_named = "rlnMicrographName" in columns or "rlnTomoTiltSeriesName" in series.globals_
    if not is_named and isinstance(series.images, MrcImages):
        names = [f"{section + 1:06d}@{name_from(path, root)}" for path, section in series.images.slices]
        columns["rlnMicrographName"] = np.array(names, dtype=np.str_)
    radians = np.pi / 180
    angles = Quantity(ANGLE_LABELS, (0.0, 0.0, 0.0), matrix_from_tilt_angles, tilt_angles_from_matrix, ROTATION_TOLERANCE, always=True)
    for quantity, values in (
        (number("rlnMicrographPreExposure", always=True), series.dose),
        (angles, series.rotation),
        (numbers(SHIFT_LABELS, always=True), series.shift_angstrom),
        (number("rlnDefocusU", always=True), series.defocus_u_angstrom),
        (number("rlnDefocusV", always=True), series.defocus_v_angstrom),
        (number("rlnDefocusAngle", factor=radians, always=True), series.astigmatism_radians),
        (number("rlnPhaseShift", factor=radians), series.phase_shift_radians),
        (number("rlnCtfScalefactor", 1.0), series.scale),
        (number("rlnCtfBfactor"), series.b_factor),
    ):
        columns = update(columns, quantity, values)
    return coefficient_columns(columns, series)


def global_columns(tilt_series: Sequence[TiltSeries], optics: Sequence[Optics], star_names: Sequence[str]) -> dict[str, Text]:
    """Columns of data_global; ``star_names`` are the files of the tilt series' tables."""
    labels = dict.fromkeys(label for series in tilt_series for label in series.globals_)
    columns = {label: np.array([series.globals_.get(label, "0") for series in tilt_series], dtype=np.str_) for label in labels}
    columns["rlnTomoName"] = np.array([series.name for series in tilt_series], dtype=np.str_)
    groups = [_optics_of(series, optics) for series in tilt_series]
    size = Quantity(SIZE_LABELS, (0.0, 0.0, 0.0), tolerance=0.5, text=lambda value: str(round(value)), always=True)
    for quantity, values in (
        (number("rlnVoltage", tolerance=OPTICS_TOLERANCE, always=True), [group.voltage_kv for group in groups]),
        (number("rlnSphericalAberration", tolerance=OPTICS_TOLERANCE, always=True), [group.spherical_aberration_mm for group in groups]),
        (number("rlnAmplitudeContrast", tolerance=OPTICS_TOLERANCE, always=True), [group.amplitude_contrast for group in groups]),
        (number("rlnTomoHand", always=True), [series.hand for series in tilt_series]),
        (number("rlnTomoTiltSeriesPixelSize", always=True), [series.pixel_size_angstrom for series in tilt_series]),
        (size, [series.tomogram_size for series in tilt_series]),
        (number("rlnTomoDefocusSlope", 1.0), [series.defocus_slope for series in tilt_series]),
        (number("rlnCtfBfactorPerElectronDose"), [series.b_factor_per_dose for series in tilt_series]),
    ):
        columns = update(columns, quantity, np.array(values))
    columns = deformation_columns(columns, tilt_series)
    optics_names = [series.optics_name for series in tilt_series]
    if "rlnOpticsGroupName" in columns or optics_names != [series.name for series in tilt_series]:
        columns["rlnOpticsGroupName"] = np.array(optics_names, dtype=np.str_)
    columns["rlnTomoTiltSeriesStarFile"] = np.array(star_names, dtype=np.str_)
    return columns


def _optics_of(series: TiltSeries, optics: Sequence[Optics]) -> Optics:
    """The optics group of that name; what the series itself was read with; or the only group there is."""
    named = [group for group in optics if group.name == series.optics_name]
    if named:
        return named[0]
    labels = ("rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast")
    if all(label in series.globals_ for label in labels):
        voltage, aberration, contrast = (float(series.globals_[label]) for label in labels)
        return Optics(series.optics_name, voltage, aberration, contrast)
    if len(optics) == 1:
        return optics[0]
    raise ValueError(f"tilt series {series.name} names the optics group {series.optics_name}, which is not there")

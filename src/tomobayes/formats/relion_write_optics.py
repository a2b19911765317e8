"""Optics groups back into the optics table of particles.star."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.cells import Quantity, integer, number, text_of, update, update_vectors
from tomobayes.formats.relion_optics import MAGNIFICATION_LABELS
from tomobayes.model import Dataset, Optics

__all__ = ["group_numbers", "optics_columns"]

Text = NDArray[np.str_]
ABSENT = "0"
MAGNIFICATION = Quantity(
    MAGNIFICATION_LABELS, (1.0, 0.0, 0.0, 1.0), lambda cells: cells.reshape(-1, 2, 2), lambda values: values.reshape(-1, 4), text=repr
)


def group_numbers(optics: Sequence[Optics]) -> tuple[int, ...]:
    """The number that particles refer to each group by: as read where all have one of their own, else counted from 1."""
    read = [group.columns.get("rlnOpticsGroup") for group in optics]
    if None not in read and len(set(read)) == len(read):
        return tuple(int(float(cell)) for cell in read if cell is not None)
    return tuple(range(1, len(optics) + 1))


def optics_columns(dataset: Dataset, image_columns: Mapping[str, float]) -> dict[str, Text]:
    """Columns of the optics table, with those of newly extracted images where there are any.

    Parameters
    ----------
    dataset : whose optics groups, and whose tilt series know the pixel size
    image_columns : rlnImageSize, rlnTomoSubtomogramBinning and others, the same for all groups; empty without new images
    """
    optics = dataset.optics
    labels = dict.fromkeys(label for group in optics for label in group.columns)
    columns = {label: np.array([group.columns.get(label, ABSENT) for group in optics], dtype=np.str_) for label in labels}
    columns = update(columns, integer("rlnOpticsGroup", always=True), np.array(group_numbers(optics)))
    columns["rlnOpticsGroupName"] = np.array([group.name for group in optics], dtype=np.str_)
    for quantity, values in (
        (number("rlnSphericalAberration", always=True), [group.spherical_aberration_mm for group in optics]),
        (number("rlnVoltage", always=True), [group.voltage_kv for group in optics]),
        (number("rlnAmplitudeContrast", always=True), [group.amplitude_contrast for group in optics]),
        (number("rlnTomoTiltSeriesPixelSize", always=True), [_pixel_size(dataset, i) for i in range(len(optics))]),
    ):
        columns = update(columns, quantity, np.array(values))
    columns = update(columns, MAGNIFICATION, np.array([group.magnification for group in optics]))
    columns = update_vectors(columns, "rlnEvenZernike", [group.even_zernike for group in optics])
    columns = update_vectors(columns, "rlnOddZernike", [group.odd_zernike for group in optics])
    for label, value in image_columns.items():
        columns[label] = text_of([value] * len(optics))
    if image_columns:
        binning = image_columns["rlnTomoSubtomogramBinning"]
        columns["rlnImagePixelSize"] = text_of([binning * _pixel_size(dataset, i) for i in range(len(optics))])
    return columns


def _pixel_size(dataset: Dataset, optics: int) -> float:
    """Of the tilt images of an optics group: as its table says, else as its particles' (or the first) tilt series says."""
    cell = dataset.optics[optics].columns.get("rlnTomoTiltSeriesPixelSize")
    if cell is not None:
        return float(cell)
    used = dataset.particles.tilt_series[dataset.particles.optics == optics]
    return dataset.tilt_series[int(used[0]) if len(used) else 0].pixel_size_angstrom

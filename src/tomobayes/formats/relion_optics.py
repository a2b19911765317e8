"""Optics groups of particles.star, and whether they agree with the tilt series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tomobayes.formats.relion_tomograms import Tomograms
from tomobayes.formats.star import Table
from tomobayes.formats.star_values import TableReader
from tomobayes.model import Optics, Problem, TiltSeries

__all__ = ["MAGNIFICATION_LABELS", "OpticsTable", "check_against_tomograms", "load_optics", "optics_of_tomograms"]

TOLERANCE = 1e-3
IMPORT = "import writes the optics"
REQUIRED = {
    "rlnOpticsGroup": "number the optics groups from 1",
    "rlnVoltage": IMPORT,
    "rlnSphericalAberration": IMPORT,
    "rlnAmplitudeContrast": IMPORT,
}
MAGNIFICATION_LABELS = ("rlnMagMat00", "rlnMagMat01", "rlnMagMat10", "rlnMagMat11")
SHARED_LABELS = ("rlnTomoTiltSeriesPixelSize", "rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast")


@dataclass(frozen=True)
class OpticsTable:
    """Optics groups in row order with the numbers that particles refer to them by."""

    optics: tuple[Optics, ...]
    numbers: tuple[int, ...]

    def index_of_name(self, name: str) -> int:
        """Row of the group of that name, -1 where there is none."""
        return next((i for i, group in enumerate(self.optics) if group.name == name), -1)


def load_optics(tables: Mapping[str, Table], file: Path, tomograms: Tomograms, problems: list[Problem]) -> OpticsTable:
    """Optics groups of a particle file; where it has none, one per optics group of the tomograms."""
    if "optics" not in tables:
        groups = optics_of_tomograms(tomograms.series)
        return OpticsTable(groups, tuple(range(1, len(groups) + 1)))
    reader = TableReader(file, tables["optics"], problems)
    if not reader.require(REQUIRED):
        return OpticsTable((), ())
    numbers = tuple(reader.integers("rlnOpticsGroup").tolist())
    if not numbers:
        reader.report("", "has no optics groups", "write a row for each, or remove the table: the tomograms know their optics, too")
    if len(set(numbers)) < len(numbers):
        reader.report("column rlnOpticsGroup", "optics group numbers occur twice", "give every group its own number")
    voltages, aberrations = reader.floats("rlnVoltage"), reader.floats("rlnSphericalAberration")
    contrasts = reader.floats("rlnAmplitudeContrast")
    even, odd = reader.vectors("rlnEvenZernike"), reader.vectors("rlnOddZernike")
    magnification = reader.triple(MAGNIFICATION_LABELS, (1.0, 0.0, 0.0, 1.0)).tolist()
    names = reader.text("rlnOpticsGroupName")
    optics = [
        Optics(
            name=str(names[i]) or f"opticsGroup{number}",
            voltage_kv=float(voltages[i]),
            spherical_aberration_mm=float(aberrations[i]),
            amplitude_contrast=float(contrasts[i]),
            even_zernike=tuple(even[i].tolist()),
            odd_zernike=tuple(odd[i].tolist()),
            magnification=((magnification[i][0], magnification[i][1]), (magnification[i][2], magnification[i][3])),
            columns={label: str(cells[i]) for label, cells in reader.table.columns.items()},
        )
        for i, number in enumerate(numbers)
    ]
    _check_binning(reader)
    return OpticsTable(tuple(optics), numbers)


def optics_of_tomograms(tilt_series: Sequence[TiltSeries]) -> tuple[Optics, ...]:
    """Distinct optics groups of tilt series as they were read (one without a group's name is a group of its own)."""
    groups: dict[str, Optics] = {}
    for series in tilt_series:
        columns = {label: series.globals_[label] for label in SHARED_LABELS}
        voltage, aberration, contrast = (float(columns[label]) for label in SHARED_LABELS[1:])
        groups.setdefault(series.optics_name, Optics(series.optics_name, voltage, aberration, contrast, columns=columns))
    return tuple(groups.values())


def check_against_tomograms(file: Path, table: OpticsTable, pairs: Sequence[tuple[str, int]], tomograms: Tomograms) -> list[Problem]:
    """Contradictions between the optics groups of particles and the tomograms they are in.

    Parameters
    ----------
    pairs : (tomogram name, row of the optics group) of all particles, each once
    """
    problems = []
    rows = {series.name: series.globals_ for series in tomograms.series}
    for name, index in pairs:
        group = table.optics[index]
        for label in SHARED_LABELS:
            ours, theirs = group.columns.get(label), rows[name].get(label)
            if ours is None or theirs is None or _agree(float(ours), float(theirs), relative=label == SHARED_LABELS[0]):
                continue
            what = f"{label} is {ours} in optics group {group.name}, but {theirs} for the tomogram {name}"
            problems.append(Problem(file, f"table data_optics, column {label}", what, remedy="correct the one that is wrong"))
    return problems


def _agree(first: float, second: float, *, relative: bool) -> bool:
    return abs(first - second) <= TOLERANCE * (abs(second) if relative else 1.0)


def _check_binning(reader: TableReader) -> None:
    """Whether the pixel size of stored images is that of the tilt series times the binning."""
    labels = ("rlnImagePixelSize", "rlnTomoTiltSeriesPixelSize", "rlnTomoSubtomogramBinning")
    if any(label not in reader for label in labels):
        return
    image, tilt, binning = (reader.floats(label, 1.0) for label in labels)
    for row in np.flatnonzero(np.abs(image - tilt * binning) > TOLERANCE * image).tolist():
        what = f"{image[row]:.4f} Å is not rlnTomoTiltSeriesPixelSize x rlnTomoSubtomogramBinning = {tilt[row] * binning[row]:.4f} Å"
        reader.report(f"row {row + 1}, column rlnImagePixelSize", what, "correct the one that is wrong")

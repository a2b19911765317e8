"""Signal that is subtracted, in RELION's files: maps in the optimisation set, and in columns of the particles the pose to see them at.

Programs that do not know these labels leave them as they are, and see the images as they were recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.euler import euler_from_matrix, matrix_from_euler
from tomobayes.formats.mrc import read_map
from tomobayes.formats.paths import Folders, name_from
from tomobayes.formats.problems import collecting
from tomobayes.formats.star_values import TableReader
from tomobayes.model import Map, Particles, Subtraction

__all__ = ["MAP_LABELS", "POSE_LABELS", "load_subtraction", "subtraction_columns", "subtraction_names", "without_subtraction"]

MAP_LABELS = ("tomobayesSubtractedMap1File", "tomobayesSubtractedMap2File")
ANGLES = ("tomobayesSubtractedRot", "tomobayesSubtractedTilt", "tomobayesSubtractedPsi")
CENTRE = ("tomobayesSubtractedXAngst", "tomobayesSubtractedYAngst", "tomobayesSubtractedZAngst")
POSE_LABELS = (*ANGLES, *CENTRE)
REMEDY = "give the optimisation set that subtract wrote with --i, and particles that come from it"


def load_subtraction(
    particles: Particles, others: Mapping[str, str], reader: TableReader, root: Path | None
) -> tuple[Particles, Subtraction | None]:
    """Maps that are subtracted, and particles with the poses to see them at; None where neither file speaks of it.

    Parameters
    ----------
    others : labels of the optimisation set
    reader : of the particle table, for its columns and for problems
    """
    named, posed = all(label in others for label in MAP_LABELS), all(label in reader for label in POSE_LABELS)
    if not named and not posed:
        return particles, None
    if not named:
        why = "images would be taken as they were recorded"
        remedy = f"{REMEDY}; or remove the columns tomobayesSubtracted… if that is what you want"
        reader.report("", "has poses of subtracted signal, but no optimisation set names its maps", remedy, why)
        return particles, None
    if not posed:
        reader.report("", f"lacks the poses {POSE_LABELS[0]} … at which the maps of {MAP_LABELS[0]} are subtracted", REMEDY)
        return particles, None
    folders = Folders(reader.file, root)
    maps: list[Map] = []
    for label in MAP_LABELS:
        with collecting(reader.problems):
            maps.append(read_map(folders.expected(others[label])))
    if len(maps) < len(MAP_LABELS):
        return particles, None
    turned, centre = matrix_from_euler(reader.triple(ANGLES)), reader.triple(CENTRE)
    return replace(particles, subtracted_rotation=turned, subtracted_centre_angstrom=centre), Subtraction((maps[0], maps[1]))


def subtraction_columns(particles: Particles) -> dict[str, NDArray[np.float64]]:
    """Columns that keep the poses the particles have now."""
    angles = euler_from_matrix(particles.rotation)
    return dict(zip(POSE_LABELS, np.hstack([angles, particles.centre_angstrom]).T, strict=True))


def subtraction_names(maps: tuple[Path, Path], root: Path | None = None) -> dict[str, str]:
    """Labels of the optimisation set that name the maps of half-sets 1 and 2."""
    return {label: name_from(path, root) for label, path in zip(MAP_LABELS, maps, strict=True)}


def without_subtraction(particles: Particles, others: Mapping[str, str]) -> tuple[Particles, dict[str, str]]:
    """Particles and labels of images from which the signal is gone already."""
    columns = {label: cells for label, cells in particles.columns.items() if label not in POSE_LABELS}
    left = replace(particles, subtracted_rotation=None, subtracted_centre_angstrom=None, columns=columns)
    return left, {label: cell for label, cell in others.items() if label not in MAP_LABELS}

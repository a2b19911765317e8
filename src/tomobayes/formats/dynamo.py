"""Dynamo's tables of particles (.tbl), and the list of tomograms (.doc) that their numbers stand for.

The columns that matter, counted from 1: 4-6 shift, 7-9 tdrot, tilt, narot, 13 and so on are of no use here, 20 number of the tomogram,
22 class, 24-26 position, both in voxels of that tomogram. The angles turn the particle onto the reference by
Rz(narot)·Rx(tilt)·Rz(tdrot): its transpose turns the reference into the particle.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.euler import matrix_from_zxz
from tomobayes.formats.poses import Poses
from tomobayes.formats.text_lines import read_lines
from tomobayes.model import BadInput, Problem

__all__ = ["read_dynamo", "read_dynamo_tomograms", "rotation_from_dynamo"]

Float = NDArray[np.float64]

SHIFT, ANGLES, TOMOGRAM, CLASS, POSITION = slice(3, 6), slice(6, 9), 19, 21, slice(23, 26)
N_COLUMNS = 26
USED = (*range(3, 9), TOMOGRAM, CLASS, *range(23, 26))
LARGEST = 1e9
REMEDY = "give a table as Dynamo writes it, with at least 26 columns apart by blanks"


def read_dynamo(table: Path, tomograms: Path | None = None) -> Poses:
    """Positions and orientations of a table.

    Parameters
    ----------
    table : .tbl
    tomograms : .doc with the number and the file of every tomogram; without it the one beside the table, if there is one, else
        tomograms are known by their number
    """
    beside = table.with_suffix(".doc")
    tomograms = beside if tomograms is None and beside.exists() else tomograms
    cells = _cells(table)
    numbers = np.round(cells[:, TOMOGRAM]).astype(np.int64)
    names = read_dynamo_tomograms(tomograms) if tomograms is not None else {number: str(number) for number in np.unique(numbers).tolist()}
    missing = [str(number) for number in np.unique(numbers).tolist() if number not in names]
    if missing:
        what = f"names no file for tomogram {', '.join(missing)}, which {table} has particles of"
        raise BadInput(Problem(tomograms, "", what, remedy="add a line with the number and the file"))
    return Poses(
        file=table,
        tomogram=np.array([names[number] for number in numbers.tolist()], dtype=np.str_),
        position=cells[:, POSITION] + cells[:, SHIFT],
        rotation=rotation_from_dynamo(cells[:, ANGLES]),
        class_number=np.maximum(np.round(cells[:, CLASS]).astype(np.int64), 0),
        zero="first voxel is 1",
    )


def read_dynamo_tomograms(path: Path) -> dict[int, str]:
    """Number -> file of the tomogram, from a .doc."""
    split = [(number, line.split(maxsplit=1)) for number, line in enumerate(read_lines(path), start=1) if line.strip()]
    faulty = [number for number, words in split if len(words) != 2 or not words[0].isdigit()]
    if faulty:
        what = "is not the number and the file of a tomogram"
        raise BadInput(Problem(path, f"line {faulty[0]}", what, remedy="write both in every line, apart by a blank"))
    return {int(words[0]): words[1].strip() for _, words in split}


def rotation_from_dynamo(angles_degrees: Float) -> Float:
    """Reference -> tomogram, (..., 3) tdrot, tilt, narot -> (..., 3, 3): (Rz(narot)·Rx(tilt)·Rz(tdrot))ᵀ."""
    return np.swapaxes(matrix_from_zxz(angles_degrees[..., ::-1]), -1, -2)


def _cells(path: Path) -> Float:
    """(N, 26) the leading columns. Complex numbers, as Dynamo has in columns of no use here, count as their real part."""
    rows: list[list[float]] = []
    for number, line in enumerate(read_lines(path), start=1):
        words = line.split()
        if not words:
            continue
        try:
            row = [complex(word.replace("i", "j")).real for word in words[:N_COLUMNS]]
        except ValueError:
            row = []
        if len(row) < N_COLUMNS or not (np.abs([row[i] for i in USED]) < LARGEST).all():
            raise BadInput(Problem(path, f"line {number}", "is not a particle of a Dynamo table", remedy=REMEDY))
        rows.append(row)
    if not rows:
        raise BadInput(Problem(path, "", "has no particles", remedy=REMEDY))
    return np.array(rows)

"""Particles as plain text, CSV or STAR: positions, perhaps with angles, of one tomogram per file or with the tomogram in a column."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.dynamo import rotation_from_dynamo
from tomobayes.formats.euler import matrix_from_euler, matrix_from_zxz
from tomobayes.formats.poses import Poses
from tomobayes.formats.relion_particles import CENTRED_LABELS, PARTICLE_ANGLES, PIXEL_LABELS
from tomobayes.formats.star import Table, read_star
from tomobayes.formats.star_values import TableReader
from tomobayes.formats.text_lines import finite, read_lines
from tomobayes.model import BadInput, Problem

__all__ = ["EULER", "EulerConvention", "read_coordinates"]

Float = NDArray[np.float64]
EulerConvention = Literal["relion", "dynamo", "stopgap"]

EULER: Mapping[EulerConvention, Callable[[Float], Float]] = {
    "relion": matrix_from_euler,
    "dynamo": rotation_from_dynamo,
    "stopgap": lambda angles: matrix_from_zxz(angles[..., [1, 2, 0]]),
}
"""Three angles (N, 3) in the order a file has them -> reference to tomogram: rot, tilt, psi; tdrot, tilt, narot; phi, psi, the."""

TOMOGRAM_LABELS = ("rlnTomoName", "rlnMicrographName")
TOMOGRAM_NAMES = ("tomogram", "tomo", "tomo_name", "tomo_file", "rlntomoname", "rlnmicrographname")
POSITION_NAMES = ("x", "y", "z")
ANGLE_NAMES: Mapping[EulerConvention, tuple[str, ...]] = {
    "relion": ("rot", "tilt", "psi"),
    "dynamo": ("tdrot", "tilt", "narot"),
    "stopgap": ("phi", "psi", "the"),
}
LAYOUT = "x y z, or x y z and three Euler angles, perhaps after the name of the tomogram"


def read_coordinates(path: Path, euler: EulerConvention | None = None) -> Poses:
    """Read a STAR file, a CSV file with a line of names, or a table of numbers.

    Parameters
    ----------
    path : .star, or text with columns apart by blanks or commas. Where no column names the tomogram, the file's own name stands for it
    euler : which angles a text table has; STAR files have RELION's, and names of columns may tell

    Raises
    ------
    BadInput
        faulty lines; angles whose convention is not known
    """
    return _of_star(path) if path.suffix == ".star" else _of_text(path, euler)


def _of_star(path: Path) -> Poses:
    tables = read_star(path)
    candidates = [table for table in tables.values() if CENTRED_LABELS[0] in table.columns or PIXEL_LABELS[0] in table.columns]
    if not candidates:
        remedy = f"give a table with {', '.join(PIXEL_LABELS)} or {', '.join(CENTRED_LABELS)}"
        raise BadInput(Problem(path, "", "has no coordinates", remedy=remedy))
    problems: list[Problem] = []
    reader = TableReader(path, candidates[0], problems)
    centred = CENTRED_LABELS[0] in reader
    labels = CENTRED_LABELS if centred else PIXEL_LABELS
    reader.require(dict.fromkeys(labels, "picking writes the coordinates"))
    named = next((label for label in TOMOGRAM_LABELS if label in reader), None)
    angles = reader.triple(PARTICLE_ANGLES) if any(label in reader for label in PARTICLE_ANGLES) else None
    poses = Poses(
        file=path,
        tomogram=reader.text(named) if named else np.full(len(reader), path.stem),
        position=reader.triple(labels),
        rotation=matrix_from_euler(angles) if angles is not None else None,
        class_number=reader.integers("rlnClassNumber") if "rlnClassNumber" in reader else None,
        zero="centre" if centred else None,
        in_angstrom=centred,
    )
    if problems:
        raise BadInput(problems)
    return poses


def _of_text(path: Path, euler: EulerConvention | None) -> Poses:
    split = [(number, re.split(r"[,\s]+", line.strip())) for number, line in enumerate(read_lines(path), start=1)]
    rows = [(number, words) for number, words in split if words[0] and not words[0].startswith("#")]
    if not rows:
        raise BadInput(Problem(path, "", "has no points", remedy=f"write {LAYOUT} in every line"))
    header = rows[0][1] if all(finite(word) is None for word in rows[0][1]) else None
    table, euler = _named(path, header, euler) if header else (_unnamed(path, rows[0][1]), euler)
    cells = _cells(path, rows[1:] if header else rows, len(header) if header else len(rows[0][1]))
    reader = TableReader(path, Table("", {name: cells[:, column] for name, column in table.items()}))
    position = reader.triple(POSITION_NAMES)
    angles = reader.triple(("a", "b", "c")) if "a" in reader else None
    if reader.problems:
        raise BadInput([Problem(path, one.where.removeprefix("table data_, "), one.what, remedy=one.remedy) for one in reader.problems])
    if angles is not None and euler is None:
        remedy = f"say with --euler which they are: {', '.join(EULER)}"
        raise BadInput(Problem(path, "", "has angles, but nothing tells their convention", "a wrong one turns every particle", remedy))
    named = reader.text("tomogram") if "tomogram" in reader else np.full(len(reader), path.stem)
    return Poses(path, named, position, EULER[euler](angles) if angles is not None and euler else None)


def _named(path: Path, header: Sequence[str], euler: EulerConvention | None) -> tuple[dict[str, int], EulerConvention | None]:
    """Column of each quantity by the names in the first line, and the angles' convention if those names tell."""
    names = [name.lower().lstrip("_") for name in header]
    missing = [name for name in POSITION_NAMES if name not in names]
    if missing:
        what = f"names no column {', '.join(missing)}"
        raise BadInput(Problem(path, "line 1", what, remedy="name the columns tomogram, x, y, z, and the angles rot, tilt, psi"))
    found = {name: names.index(name) for name in POSITION_NAMES}
    named = [names.index(name) for name in TOMOGRAM_NAMES if name in names]
    found |= {"tomogram": named[0]} if named else {}
    told = next((kind for kind, labels in ANGLE_NAMES.items() if all(label in names for label in labels)), None)
    if told:
        found |= {slot: names.index(label) for slot, label in zip("abc", ANGLE_NAMES[told], strict=True)}
    return found, told or euler


def _unnamed(path: Path, first: Sequence[str]) -> dict[str, int]:
    """Column of each quantity by how many there are."""
    offset = 1 if finite(first[0]) is None or len(first) in (4, 7) else 0
    if len(first) - offset not in (3, 6):
        raise BadInput(Problem(path, "line 1", f"has {len(first)} columns", remedy=f"write {LAYOUT}"))
    found = {name: offset + i for i, name in enumerate(POSITION_NAMES)} | ({"tomogram": 0} if offset else {})
    return found | ({slot: offset + 3 + i for i, slot in enumerate("abc")} if len(first) - offset == 6 else {})


def _cells(path: Path, rows: Sequence[tuple[int, Sequence[str]]], width: int) -> NDArray[np.str_]:
    ragged = [number for number, words in rows if len(words) != width]
    if ragged or not rows:
        where = f"line {ragged[0]}" if ragged else ""
        what = f"does not have the {width} columns of the first" if ragged else "has no points"
        raise BadInput(Problem(path, where, what, remedy=f"write {LAYOUT} in every line"))
    return np.array([words for _, words in rows], dtype=np.str_)

"""Points that a user picked in tomograms: RELION's annotation files, or any text table of names and coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.relion_particles import CENTRED_LABELS, PIXEL_LABELS
from tomobayes.formats.star import Table, read_star
from tomobayes.formats.star_values import TableReader
from tomobayes.model import BadInput, Problem

__all__ = ["Picks", "read_picks"]

Float = NDArray[np.float64]

RADIUS = "rlnSphereRadius"
OBJECTS = ("rlnTomoManifoldIndex", "rlnHelicalTubeID")
TEXT_LABELS = ("rlnTomoName", *PIXEL_LABELS)
COLUMNS = "tomogram x y z, and then a radius (spheres) or the number of the object (other shapes)"


@dataclass(frozen=True)
class Picks:
    """N points in the order of their file.

    Parameters
    ----------
    tomogram : (N,) names
    position : (N, 3) in pixels from the tomogram's first, or in Å from its centre where ``centred``
    radius : (N,) in the same unit, NaN where none is given
    object_ : (N,) to which object of its tomogram each point belongs, where the file says so
    centred : which of the two positions are
    """

    tomogram: NDArray[np.str_]
    position: Float
    radius: Float
    object_: NDArray[np.str_] | None
    centred: bool


def read_picks(path: Path, *, radii: bool) -> Picks:
    """Read a STAR file (rlnTomoName, rlnCoordinateX/Y/Z or rlnCenteredCoordinateX/Y/ZAngst, ...) or a text table.

    A text table has one point per line, columns apart by blanks or commas, lines with # left out: tomogram x y z and perhaps a fifth.

    Parameters
    ----------
    radii : whether the fifth column of a text table is a radius, else it is the number of an object
    """
    tables = list(read_star(path).values()) if path.suffix == ".star" else [_text_table(path, radii)]
    table = next((one for one in tables if "rlnTomoName" in one.columns), None)
    if table is None:
        what = "has no table with a column rlnTomoName"
        raise BadInput(Problem(path, "", what, remedy="give picked coordinates, with the tomogram of each"))
    problems: list[Problem] = []
    reader = TableReader(path, table, problems)
    centred = CENTRED_LABELS[0] in reader
    labels = CENTRED_LABELS if centred else PIXEL_LABELS
    reader.require(dict.fromkeys(labels, "picking writes the coordinates"))
    if len(reader) == 0:
        reader.report("", "has no points", "pick some")
    found = Picks(
        tomogram=reader.text("rlnTomoName"),
        position=reader.triple(labels),
        radius=reader.floats(RADIUS) if RADIUS in reader else np.full(len(reader), np.nan),
        object_=next((reader.text(label) for label in OBJECTS if label in reader), None),
        centred=centred,
    )
    if problems:
        raise BadInput(problems)
    return found


def _text_table(path: Path, radii: bool) -> Table:
    """A text table under RELION's labels."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(Problem(path, "", f"cannot be read ({error})", remedy="give a STAR file or a text table")) from None
    split = [(number, line.split("#")[0].replace(",", " ").split()) for number, line in enumerate(lines, start=1)]
    rows = [(number, cells) for number, cells in split if cells]
    width = len(rows[0][1]) if rows else 4
    faulty = [number for number, cells in rows if len(cells) != width or width not in (4, 5)]
    if faulty:
        what = f"line {faulty[0]} does not have the columns of a table of points"
        raise BadInput(Problem(path, "", what, remedy=f"write {COLUMNS} in every line"))
    labels = (*TEXT_LABELS, RADIUS if radii else OBJECTS[0])[:width]
    return Table("", {label: np.array([cells[i] for _, cells in rows], dtype=np.str_) for i, label in enumerate(labels)})

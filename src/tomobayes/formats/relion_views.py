"""How a tilt series was taken, from RELION's own file of it, such as its import and motion correction write before any alignment."""

from __future__ import annotations

from pathlib import Path, PureWindowsPath

import numpy as np

from tomobayes.formats.star import read_star
from tomobayes.formats.star_values import TableReader
from tomobayes.formats.views import Acquired, AcquiredView, ViewKey
from tomobayes.model import BadInput, Problem

__all__ = ["read_relion_views"]

STAGE, DOSE, AXIS = "rlnTomoNominalStageTiltAngle", "rlnMicrographPreExposure", "rlnTomoNominalTiltAxisAngle"
FRAMES = ("rlnMicrographMovieName", "rlnMicrographName")
IMPORT = "RELION's import writes the stage angles and the doses"


def read_relion_views(path: Path) -> Acquired:
    """Views of a tilt_series/NAME.star; their order is that of the doses before them.

    Raises
    ------
    BadInput
        not the file of one tilt series, columns that miss, doses that several views share
    """
    tables = [table for table in read_star(path).values() if STAGE in table.columns or DOSE in table.columns]
    if len(tables) != 1:
        remedy = "give the file of one tilt series, from the folder tilt_series of an import or a motion correction"
        raise BadInput(Problem(path, "", f"should tell of one tilt series, but tells of {len(tables) or 'none'}", remedy=remedy))
    problems: list[Problem] = []
    reader = TableReader(path, tables[0], problems)
    reader.require({STAGE: IMPORT, DOSE: IMPORT})
    stage, dose, axis = reader.floats(STAGE), reader.floats(DOSE), reader.floats(AXIS)
    if len(reader) == 0 or len(np.unique(dose)) < len(dose):
        reader.report(f"column {DOSE}", "does not tell in which order the views were taken", "give every view the dose before it")
    if problems:
        raise BadInput(problems)
    files = next((reader.text(label).tolist() for label in FRAMES if label in reader), [""] * len(reader))
    order = np.argsort(np.argsort(dose)).tolist()
    views = tuple(
        AcquiredView(ViewKey(float(stage[i]), order[i], None, PureWindowsPath(files[i]).stem), float(dose[i]), files[i])
        for i in range(len(reader))
    )
    return Acquired(path, views, axis_degrees=float(np.median(axis)) if AXIS in reader else None)

"""Defoci as emClarity keeps them: ``*_ctf.tlt``, one line of metres and radians per view."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tomobayes.formats.text_lines import read_numbers
from tomobayes.formats.views import Defocused, DefocusedView, ViewKey
from tomobayes.model import BadInput, Problem
from tomobayes.optics.ctf import voltage_kv

__all__ = ["ENDING", "read_emclarity"]

ENDING = "_ctf.tlt"
N_COLUMNS = range(22, 25)
VIEW, HALF_DIFFERENCE, DIRECTION, DEFOCUS, ABERRATION, WAVELENGTH, CONTRAST = 0, 11, 12, 14, 16, 17, 18
"""Columns; the defocus is negative for underfocus, the first of its two values larger by the half difference, in the direction."""
ANGSTROM, MILLIMETRE = 1e-10, 1e-3


def read_emclarity(path: Path) -> Defocused:
    """Defoci, astigmatism and optics; lines are in any order and begin with the view's number in the stack, from 1.

    Raises
    ------
    BadInput
        lines of other lengths, views that are numbered twice or below 1, wavelengths that no microscope has
    """
    table = read_numbers(path, N_COLUMNS, f"a line of emClarity, {N_COLUMNS[0]} numbers")
    views, optics = table.values[:, VIEW], table.values[0, [ABERRATION, WAVELENGTH, CONTRAST]].tolist()
    problems = []
    if (views < 1).any() or (views % 1 != 0).any() or len(np.unique(views)) < len(views):
        problems.append(Problem(path, "column 1", "does not number the views", remedy="give a *_ctf.tlt file of emClarity"))
    if not 1e-13 < optics[1] < 1e-11:
        problems.append(Problem(path, "column 18", f"is no wavelength in m: {optics[1]:g}", remedy="give a *_ctf.tlt file of emClarity"))
    if problems:
        raise BadInput(problems)
    half, mean = table.values[:, HALF_DIFFERENCE] / ANGSTROM, -table.values[:, DEFOCUS] / ANGSTROM
    direction = np.degrees(table.values[:, DIRECTION])
    rows = zip(views.tolist(), (mean + half).tolist(), (mean - half).tolist(), direction.tolist(), strict=True)
    voltage = float(round(voltage_kv(optics[1] / ANGSTROM)))  # constants of physics differ in their fifth digit between programs
    found = tuple(DefocusedView(ViewKey(section=int(view) - 1), u, v, angle) for view, u, v, angle in rows)
    return Defocused(path, "emClarity", found, voltage, optics[0] / MILLIMETRE, optics[2])

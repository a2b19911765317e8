"""Defoci that other programs fitted: CTFFIND 4 and 5 (also AreTomo's), gctf, IMOD's ctfplotter, emClarity."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.emclarity import ENDING as ENDING_OF_EMCLARITY
from tomobayes.formats.emclarity import read_emclarity
from tomobayes.formats.star import read_star
from tomobayes.formats.star_values import TableReader
from tomobayes.formats.text_lines import finite, read_lines, read_numbers
from tomobayes.formats.views import Defocused, DefocusedView, ViewKey
from tomobayes.model import BadInput, Problem

__all__ = ["read_ctf", "read_ctffind", "read_ctfplotter", "read_gctf"]

Float = NDArray[np.float64]

VOLTAGE = re.compile(r"acceleration voltage:\s*([\d.]+)")
ABERRATION = re.compile(r"spherical aberration:\s*([\d.]+)")
CONTRAST = re.compile(r"amplitude contrast:\s*([\d.]+)")
GCTF_LABELS = {"rlnDefocusU": "gctf writes the defoci", "rlnDefocusV": "gctf writes the defoci", "rlnDefocusAngle": "gctf writes the angle"}
MAX_VIEWS = 10_000
ASTIGMATISM, ANGLE_IN_RADIANS, PHASE, PHASE_IN_RADIANS, INVERTED = 1, 2, 4, 8, 16


def read_ctf(path: Path) -> Defocused:
    """Defoci of a file, by its ending: .star of gctf, .defocus of ctfplotter, _ctf.tlt of emClarity, else text of CTFFIND."""
    if path.name.lower().endswith(ENDING_OF_EMCLARITY):
        return read_emclarity(path)
    readers: dict[str, Callable[[Path], Defocused]] = {".star": read_gctf, ".defocus": read_ctfplotter}
    return readers.get(path.suffix.lower(), read_ctffind)(path)


def read_ctffind(path: Path) -> Defocused:
    """Text output of CTFFIND 4 and 5: number, defocus 1 and 2 (Å), angle, phase (radians), score, resolution (Å), perhaps more."""
    table = read_numbers(path, range(7, 16), "a line of CTFFIND, seven numbers or more")
    head = " ".join(table.comments)
    views = tuple(
        DefocusedView(ViewKey(section=int(row[0]) - 1), row[1], row[2], row[3], float(np.degrees(row[4])), row[6] if row[6] > 0 else None)
        for row in table.values.tolist()
    )
    voltage, aberration, contrast = (finite(match[1]) if (match := one.search(head)) else None for one in (VOLTAGE, ABERRATION, CONTRAST))
    return Defocused(path, "CTFFIND", views, voltage, aberration, contrast)


def read_gctf(path: Path) -> Defocused:
    """STAR file of gctf, or RELION's of the same columns: one row per image, by name or in the order of the stack."""
    tables = [table for table in read_star(path).values() if "rlnDefocusU" in table.columns]
    if not tables:
        raise BadInput(Problem(path, "", "has no column rlnDefocusU", remedy="give the STAR file that gctf writes"))
    problems: list[Problem] = []
    reader = TableReader(path, tables[0], problems)
    reader.require(GCTF_LABELS)
    u, v, angle, phase = (reader.floats(label) for label in (*GCTF_LABELS, "rlnPhaseShift"))
    resolution = reader.floats("rlnFinalResolution") if "rlnFinalResolution" in reader else reader.floats("rlnCtfMaxResolution")
    names = reader.text("rlnMicrographName").tolist()
    optics = [reader.floats(label)[0] if label in reader and len(reader) else None for label in OPTICS_LABELS]
    if len(reader) == 0:
        reader.report("", "has no rows", "give the defoci of all views")
    if problems:
        raise BadInput(problems)
    views = tuple(
        DefocusedView(ViewKey(section=i, frames=_frames(names[i])), u[i], v[i], angle[i], phase[i], resolution[i] or None)
        for i in range(len(reader))
    )
    return Defocused(path, "gctf", views, *optics)


OPTICS_LABELS = ("rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast")


def read_ctfplotter(path: Path) -> Defocused:
    """ctfplotter's defocus file, versions 1 to 3 (nm). A line holds for a range of views; its value is that of the middle of the range,
    and between middles the values run linearly, as `ctfphaseflip` takes them."""
    rows = [(number, line.split()) for number, line in enumerate(read_lines(path), start=1) if line.strip() and line.strip()[0] != "#"]
    values = [(number, [finite(word) for word in words]) for number, words in rows]
    faulty = [number for number, row in values if None in row or len(row) < 5]
    version3 = bool(values) and len(values[0][1]) == 6 and values[0][1][5] == 3 and values[0][1][1] == 0
    flags = int(values[0][1][0] or 0) if version3 else 0
    lines = [[cell for cell in row if cell is not None] for _, row in values[1 if version3 else 0 :]]
    width = 5 + 2 * bool(flags & ASTIGMATISM) + bool(flags & PHASE)
    if faulty or not lines or min(map(len, lines)) < width:
        where = f"line {faulty[0]}" if faulty else ""
        what = f"is not {width} numbers: first and last view, their angles, defocus in nm"
        raise BadInput(Problem(path, where, what, remedy="give the .defocus file of ctfplotter"))
    table = np.array([line[:width] for line in lines])
    wrong = (table[:, 0] < 0) | (table[:, 1] < table[:, 0]) | (table[:, 1] > MAX_VIEWS)
    if wrong.any():
        what = f"line {int(np.flatnonzero(wrong)[0]) + 1} of defoci is of no range of views"
        raise BadInput(Problem(path, "", what, remedy="give the .defocus file of ctfplotter"))
    first_view = 0 if not version3 and len(lines[0]) < 6 and table[0, 0] == 0 else 1  # version 1 counts views from 0
    return Defocused(path, "ctfplotter", _interpolated(table, flags, first_view))


def _interpolated(table: Float, flags: int, first_view: int) -> tuple[DefocusedView, ...]:
    """One entry for every view that a line covers."""
    middle, angle = table[:, :2].mean(1), table[:, 2:4].mean(1) * (-1 if flags & INVERTED else 1)
    order = np.argsort(middle)
    views = np.arange(int(table[:, 0].min()), int(table[:, 1].max()) + 1)
    u = table[:, 4] * 10
    v = table[:, 5] * 10 if flags & ASTIGMATISM else u
    turn = np.radians(table[:, 6] * (np.degrees(1) if flags & ANGLE_IN_RADIANS else 1)) if flags & ASTIGMATISM else np.zeros_like(u)
    phase = table[:, -1] * (np.degrees(1) if flags & PHASE_IN_RADIANS else 1) if flags & PHASE else np.zeros_like(u)
    quantities = [(u + v) / 2, (u - v) / 2 * np.cos(2 * turn), (u - v) / 2 * np.sin(2 * turn), phase, angle]
    mean, cosine, sine, phases, angles = (np.interp(views, middle[order], quantity[order]) for quantity in quantities)
    half, axis = np.hypot(cosine, sine), np.degrees(np.arctan2(sine, cosine)) / 2
    every = len(table) == len(views)
    return tuple(
        DefocusedView(
            ViewKey(angles[i] if every else None, section=int(view) - first_view), mean[i] + half[i], mean[i] - half[i], axis[i], phases[i]
        )
        for i, view in enumerate(views)
    )


def _frames(name: str) -> str:
    """The frames' name, where a row names an image of its own rather than one cut from a stack (``split.mrc.01``)."""
    path = Path(name)
    return path.stem if path.suffix.lower() in (".mrc", ".mrcs", ".tif", ".tiff", ".eer", ".st") else ""

"""RELION's motion.star: where each particle was in each tilt, in Å in the tomogram's frame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.problems import shortened
from tomobayes.formats.relion_particles import ORIGIN_LABELS
from tomobayes.formats.star import Table, read_star, write_star
from tomobayes.formats.star_values import TableReader, format_float
from tomobayes.model import Problem

__all__ = ["load_motion", "write_motion"]

Float = NDArray[np.float64]


def load_motion(path: Path, names: Sequence[str], n_tilts: Sequence[int], problems: list[Problem]) -> tuple[Float, ...]:
    """The (F, 3) displacement of each particle, added to its position.

    Parameters
    ----------
    path : motion.star
    names : particle names, which name the tables (older files number them from 0 instead)
    n_tilts : number of tilts of each particle's tilt series
    problems : receives what is wrong
    """
    tables = read_star(path)
    numbered = "0" in tables and not any(name in tables for name in names)
    keys = [str(i) for i in range(len(names))] if numbered else list(names)
    missing = [key for key in keys if key not in tables]
    if missing:
        what = f"has no trajectories of {len(missing)} of {len(keys)} particles: {shortened(missing)}"
        problems.append(Problem(path, "", what, remedy="give the motion.star that belongs to the particles, or go without one"))
    motion = []
    for key, expected in zip(keys, n_tilts, strict=True):
        reader = TableReader(path, tables.get(key, Table(key)), problems)
        if key in tables and reader.require(dict.fromkeys(ORIGIN_LABELS, "frame alignment writes the trajectories")):
            if len(reader) != expected:
                reader.report("", f"has {len(reader)} rows for {expected} tilts", "give the motion.star that belongs to the tilt series")
            motion.append(reader.triple(ORIGIN_LABELS))
    return tuple(motion)


def write_motion(path: Path, names: Sequence[str], motion_angstrom: Sequence[Float]) -> None:
    """Write one table per particle, in the order given."""
    general = Table("general", {"rlnParticleNumber": np.array([str(len(names))])}, is_list=True)
    tables = [general]
    for name, motion in zip(names, motion_angstrom, strict=True):
        cells = {label: np.array([format_float(v) for v in motion[:, i]]) for i, label in enumerate(ORIGIN_LABELS)}
        tables.append(Table(name, cells))
    write_star(path, tables)

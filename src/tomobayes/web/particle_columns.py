"""Columns of numbers in a job's particle table."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from starlette.exceptions import HTTPException

from tomobayes.model import Columns
from tomobayes.project import Job
from tomobayes.web.datasets import set_of

__all__ = ["CLASS", "floats", "has_particles", "number_columns", "numbers_of"]

Float = NDArray[np.float64]
CLASS = "rlnClassNumber"


def has_particles(job: Job) -> bool:
    """Whether a job leaves particles from which others may be chosen."""
    return set_of(job) is not None


def number_columns(job: Job, project: Path) -> Mapping[str, Float]:
    """Label -> (P,) values, of every column that holds numbers, of the particles that a job hands on.

    Raises
    ------
    BadInput
        if the table cannot be read
    """
    from tomobayes.formats.relion import read_optimisation_set

    name = set_of(job)
    particles = None if name is None else read_optimisation_set(project / name, project).particles
    if particles is None or not particles.is_file():
        raise HTTPException(404, "This job leaves no particles.")
    return numbers_of(particles)


def numbers_of(path: Path) -> Mapping[str, Float]:
    """The same of a particle file; nothing where it has no table of particles."""
    return _numbers(path, path.stat().st_mtime_ns)


def floats(columns: Columns) -> Mapping[str, Float]:
    """The columns that hold numbers."""
    found = {label: _as_numbers(cells) for label, cells in columns.items()}
    return {label: values for label, values in found.items() if values is not None}


@lru_cache(maxsize=2)
def _numbers(path: Path, modified: int) -> Mapping[str, Float]:
    from tomobayes.formats.star import read_star

    tables = read_star(path)
    return floats(tables["particles"].columns) if "particles" in tables else {}


def _as_numbers(cells: NDArray[np.str_]) -> Float | None:
    try:
        return cells.astype(np.float64)
    except ValueError:
        return None

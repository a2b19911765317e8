"""The particles that a job hands on, column by column."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from starlette.exceptions import HTTPException

from tomobayes.project import Job
from tomobayes.web.datasets import set_of
from tomobayes.web.table_numbers import numbers_of

__all__ = ["CLASS", "has_particles", "number_columns"]

CLASS = "rlnClassNumber"


def has_particles(job: Job) -> bool:
    """Whether a job leaves particles from which others may be chosen."""
    return set_of(job) is not None


def number_columns(job: Job, project: Path) -> Mapping[str, NDArray[np.float64]]:
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

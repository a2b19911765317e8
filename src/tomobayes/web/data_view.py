"""What the tables of a job's particles and tilt series tell, of our jobs and RELION's alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request

from tomobayes.model import BadInput, Dataset
from tomobayes.project import Job
from tomobayes.report import Item, Section, Table, drawn_sections
from tomobayes.web.datasets import Data, data_of
from tomobayes.web.desk import the_desk
from tomobayes.web.particle_columns import number_columns

__all__ = ["data_view", "sections_of"]

MOST_SERIES = 4
"""Tilt series whose motion and deformation are drawn."""


def data_view(job: Job, request: Request) -> Mapping[str, Any]:
    """Distributions of the particles, every tilt image, motion and deformation, and a table of the tilt series.

    Where files of the set are missing, what the particles' own table tells, and what is missing.
    """
    try:
        return {"sections": drawn_sections(sections_of(data_of(request))), "problems": ()}
    except BadInput as error:
        particles = number_columns(job, the_desk(request).project)
        return {"sections": drawn_sections([_particles(particles)]), "problems": error.problems}


def sections_of(data: Data) -> list[Section]:
    """What the view shows of a data set; sections that would be empty are left out."""
    from tomobayes.jobs.describe import describe, tilt_charts

    dataset = data.dataset
    description = describe(dataset)
    found = [
        _particles(data.numbers),
        Section("Tilt images", tilt_charts(dataset)),
        Section("Motion and deformation", list(_moved(dataset))),
        Section("Tilt series", [Table("Tilt series", description.columns, description.rows)]),
    ]
    return [section for section in found if section.items]


def _particles(columns: Mapping[str, NDArray[np.float64]]) -> Section:
    from tomobayes.jobs.particle_figures import particle_items

    return Section("Particles", particle_items(columns))


def _moved(dataset: Dataset) -> Iterator[Item]:
    from tomobayes.jobs.motion_figures import deformation_chart, track_charts

    particles = dataset.particles
    for index, series in enumerate(dataset.tilt_series[:MOST_SERIES]):
        rows = np.flatnonzero(particles.tilt_series == index)
        if dataset.motion_angstrom is not None and len(rows):
            motion = [dataset.motion_angstrom[row] for row in rows]
            yield from track_charts(motion, particles.centre_angstrom[rows], series.dose, f"{series.name}.")
        if series.deformation is not None and series.image_size is not None:
            yield deformation_chart(series)

"""A data set with some of its particles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tomobayes.model import Dataset

__all__ = ["with_rows"]

_PER_PARTICLE = (
    "name", "tilt_series", "optics", "position_angstrom", "rotation_subtomogram", "rotation_particle", "origin_angstrom", "half",
    "class_number", "tilt_prior_degrees", "psi_prior_degrees", "rot_prior_degrees",
)  # fmt: skip
_WHERE_SUBTRACTED = ("subtracted_rotation", "subtracted_centre_angstrom")


def with_rows(dataset: Dataset, rows: NDArray[np.int64]) -> Dataset:
    """The same experiment with these rows of the particle table, in the order given; a row may occur more than once.

    Columns go along verbatim, which still name stored images; the open files of those images do not.
    """
    table = dataset.particles
    subtracted = _WHERE_SUBTRACTED if table.subtracted_rotation is not None else ()
    chosen = {name: getattr(table, name)[rows] for name in (*_PER_PARTICLE, *subtracted)}
    columns = {label: cells[rows] for label, cells in table.columns.items()}
    visible = None if table.visible is None else tuple(table.visible[row] for row in rows)
    particles = replace(table, **chosen, columns=columns, stacks=None, subtomograms=None, visible=visible)
    motion = None if dataset.motion_angstrom is None else tuple(dataset.motion_angstrom[row] for row in rows)
    return replace(dataset, particles=particles, motion_angstrom=motion)

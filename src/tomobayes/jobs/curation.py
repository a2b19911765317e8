"""What the verbs that choose and arrange particles share: how they read and what they hand on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tomobayes.formats.relion import OptimisationSet, find_members, read_dataset, write_dataset
from tomobayes.formats.relion_write import Part
from tomobayes.jobs.frame import Context
from tomobayes.jobs.parameters.dataset import DatasetParameters
from tomobayes.model import BadInput, Columns, Dataset, Problem
from tomobayes.report import Axis, Chart, Series

__all__ = ["column_or_refuse", "distance_chart", "hand_on_particles", "open_dataset"]

_RELION4 = "rlnTomoProjX"


def open_dataset(parameters: DatasetParameters) -> tuple[OptimisationSet, Dataset]:
    """Files and metadata of an experiment, whose images need not be at hand."""
    return find_members(*parameters.members), read_dataset(*parameters.members, require_images=False)


def hand_on_particles(
    folder: Path, dataset: Dataset, members: OptimisationSet, context: Context, extra: Mapping[str, ArrayLike] | None = None
) -> Path:
    """Write particles.star, with ``extra`` columns, motion.star where particles move, and the optimisation set; give the set's path.

    Tomograms stay where they are, unless they are of RELION 4: then they are written anew, as the particles are.
    """
    what: list[Part] = ["particles", "motion"]
    if any(_RELION4 in series.columns for series in dataset.tilt_series):
        what.append("tomograms")
    written = write_dataset(folder, dataset, what=what, members=replace(members, reference=dataset.reference), extra=extra)
    context.output(written, folder / "particles.star")
    return written


def column_or_refuse(columns: Columns, label: str, option: str) -> NDArray[np.float64]:
    """(P,) numbers of a column that an option names."""
    problem = Problem(None, option, f"the particles have no column {label}", remedy=f"choose one of {', '.join(columns)}")
    if label not in columns:
        raise BadInput(problem)
    try:
        return columns[label].astype(np.float64)
    except ValueError:
        raise BadInput(replace(problem, what=f"the column {label} does not hold numbers")) from None


def distance_chart(
    title: str, distances: Mapping[str, NDArray[np.float64]], mark_angstrom: float | None = None, caption: str = ""
) -> Chart:
    """How often particles have their nearest neighbour at a distance.

    Parameters
    ----------
    distances : label -> Å, of particles; infinite ones have no neighbour and are not drawn
    mark_angstrom : the histogram reaches to at least four times this
    """
    finite = {label: values[np.isfinite(values)] for label, values in distances.items()}
    drawn = np.concatenate(list(finite.values()))
    reach = max(float(np.percentile(drawn, 98)) if len(drawn) else 1.0, 4 * (mark_angstrom or 0.0), 1.0)
    edges = np.linspace(0, reach, 61)
    middles = ((edges[1:] + edges[:-1]) / 2).tolist()
    series = [Series(label, middles, np.histogram(values, edges)[0].tolist(), "line") for label, values in finite.items()]
    return Chart(title, Axis("Nearest neighbour", "Å", low=0.0, high=reach), Axis("Particles", low=0.0), series, caption=caption)

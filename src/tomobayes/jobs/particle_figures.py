"""What a particle table tells of its particles: how sure their poses are, how far they moved, along which directions they are seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.euler import matrix_from_euler
from tomobayes.formats.relion_particles import ORIGIN_LABELS, PARTICLE_ANGLES, SUBTOMOGRAM_ANGLES
from tomobayes.report import Chart, Directions, Item, directions_of, histogram_chart

__all__ = ["particle_items"]

Columns = Mapping[str, NDArray[np.float64]]

_SPREAD = {
    "rlnMaxValueProbDistribution": ("Posterior", "Largest share that one pose has", ""),
    "tomobayesSigmaAngle": ("Certainty of orientations", "Width of the posterior", "°"),
    "tomobayesSigmaOriginAngst": ("Certainty of positions", "Width of the posterior", "Å"),
    "rlnLogLikeliContribution": ("Log evidence", "Of each particle", "nats"),
    "tomobayesClassConsistency": ("Agreement of runs", "Share of runs", ""),
}
"""Column -> title, quantity and unit of its histogram."""

MOST_CLASSES = 6


def particle_items(columns: Columns) -> list[Item]:
    """Distributions of posterior and offsets, and directions of view, class by class where there are several.

    Parameters
    ----------
    columns : those of a particles table that hold numbers, (P,) each
    """
    spread = [histogram_chart(title, columns[label], what, unit) for label, (title, what, unit) in _SPREAD.items() if label in columns]
    return [*_directions(columns), *_offsets(columns), *spread]


def _offsets(columns: Columns) -> Iterator[Chart]:
    if all(label in columns for label in ORIGIN_LABELS):
        far = np.linalg.norm(np.stack([columns[label] for label in ORIGIN_LABELS]), axis=0)
        yield histogram_chart("Offsets", far, "Distance from the extracted position", "Å")


def _directions(columns: Columns) -> Iterator[Directions]:
    if not all(label in columns for label in PARTICLE_ANGLES):
        return
    rotation = _matrices(columns, PARTICLE_ANGLES)
    if all(label in columns for label in SUBTOMOGRAM_ANGLES):
        rotation = _matrices(columns, SUBTOMOGRAM_ANGLES) @ rotation
    kind = columns.get("rlnClassNumber", np.zeros(len(rotation)))
    classes = np.unique(kind)
    if not 1 < len(classes) <= MOST_CLASSES:
        yield directions_of(rotation)
        return
    for one in classes.tolist():
        yield directions_of(rotation[kind == one], f"Viewing directions, class {one:.0f}")


def _matrices(columns: Columns, labels: tuple[str, ...]) -> NDArray[np.float64]:
    return matrix_from_euler(np.stack([columns[label] for label in labels], axis=1))

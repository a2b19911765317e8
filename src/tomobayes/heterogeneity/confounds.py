"""Whether classes follow something that is no property of the particle: its tilt series, its defocus, how often it was seen."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["NOTEWORTHY", "association", "confounds", "correlation_ratio"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

NOTEWORTHY = 0.3
"""A larger correlation says that classes may tell the images apart, not the particles."""


def confounds(labels: Int, quantities: Mapping[str, Float], categories: Mapping[str, Int]) -> dict[str, float]:
    """How strongly classes go with each quantity and category, 0 (not at all) to 1, corrected for what chance alone would give.

    Parameters
    ----------
    labels : (P,) class of each particle; quantities, categories : name -> (P,)
    """
    found = {name: correlation_ratio(labels, values) for name, values in quantities.items()}
    return found | {name: association(labels, values) for name, values in categories.items()}


def correlation_ratio(labels: Int, values: Float) -> float:
    """√ε²: share of the variance of a quantity between classes, without its expectation under chance (Kelley 1935); |r| of two classes."""
    _, place = np.unique(labels, return_inverse=True)
    count, classes = len(values), int(place.max()) + 1
    whole = float(((values - values.mean()) ** 2).sum())
    if whole <= 1e-12 * max(float((values**2).sum()), 1e-300) or classes < 2 or count <= classes:
        return 0.0
    means = np.bincount(place, values) / np.bincount(place)
    within = float(((values - means[place]) ** 2).sum())
    return float(np.sqrt(max(1 - within / whole * (count - 1) / (count - classes), 0)))


def association(labels: Int, categories: Int) -> float:
    """Cramér's V of two labellings, without its expectation under chance (Bergsma 2013)."""
    _, one = np.unique(labels, return_inverse=True)
    _, two = np.unique(categories, return_inverse=True)
    rows, columns, count = int(one.max()) + 1, int(two.max()) + 1, len(labels)
    if min(rows, columns) < 2 or count < 2:
        return 0.0
    table = np.bincount(one * columns + two, minlength=rows * columns).reshape(rows, columns)
    expected = table.sum(1)[:, None] * table.sum(0) / count
    phi = float(((table - expected) ** 2 / expected).sum()) / count
    left = max(0.0, phi - (rows - 1) * (columns - 1) / (count - 1))
    side = min(rows - (rows - 1) ** 2 / (count - 1), columns - (columns - 1) ** 2 / (count - 1)) - 1
    return float(np.sqrt(left / side)) if side > 0 else 0.0

"""Values per tilt as samples that lie evenly over the dose, which is how M keeps what changes while a tilt series is taken."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["sample_count", "sampled"]

Float = NDArray[np.float64]
MAX_SAMPLES = 400
ON_SAMPLE = 1e-4


def sample_count(times: Sequence[Float]) -> int:
    """The fewest samples among which every tilt finds its own; as many as may be where there is no such number.

    Parameters
    ----------
    times : dose of each tilt from 0 (the least of its series) to 1 (the most), per tilt series
    """
    for count in range(2, MAX_SAMPLES):
        if all(np.abs(one * (count - 1) - np.round(one * (count - 1))).max(initial=0) < ON_SAMPLE for one in times):
            return count
    return MAX_SAMPLES


def sampled(values: Float, time: Float, count: int) -> Float:
    """Samples (T, ...) of values (F, ...) at times (F,): the tilts' own where they meet samples, and on straight lines between them."""
    order = np.argsort(time, kind="stable")
    ordered, at = time[order], np.linspace(0, 1, count)
    upper = np.clip(np.searchsorted(ordered, at - ON_SAMPLE / count), min(1, len(time) - 1), len(time) - 1)
    lower = np.maximum(upper - 1, 0)
    apart = ordered[upper] - ordered[lower]
    weight = np.clip((at - ordered[lower]) / np.where(apart > 0, apart, 1.0), 0, 1).reshape(-1, *(1,) * (values.ndim - 1))
    return np.asarray((1 - weight) * values[order][lower] + weight * values[order][upper])

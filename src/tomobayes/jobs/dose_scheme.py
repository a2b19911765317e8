"""In which order the tilts of a series were taken, told from dose and angle."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["Scheme", "dose_scheme"]

Scheme = Literal["no dose", "unidirectional", "bidirectional", "dose-symmetric", "other"]
_SLACK_DEGREES = 0.5
_DISORDER = 0.15
"""Share of images that may be out of order: refined angles of poor images stray."""


def dose_scheme(tilt_degrees: ArrayLike, dose: ArrayLike) -> Scheme:
    """Name the order of acquisition.

    Unidirectional: from one end to the other. Bidirectional: from the middle to one end, then from the middle to the other.
    Dose-symmetric: outwards on both sides in turn (Hagen et al. 2017), in groups of any size.

    Parameters
    ----------
    tilt_degrees : (F,) tilt angles
    dose : (F,) dose received before each image
    """
    angle, received = np.asarray(tilt_degrees, dtype=float), np.asarray(dose, dtype=float)
    if len(angle) < 3 or np.ptp(received) == 0:
        return "no dose"
    taken = angle[np.argsort(received, kind="stable")]
    offset = taken - taken[0]
    sides = [offset[offset > _SLACK_DEGREES], -offset[offset < -_SLACK_DEGREES]]
    inwards = sum(int((np.diff(side) < -_SLACK_DEGREES).sum()) for side in sides)
    if inwards > _DISORDER * len(taken):
        return "other"
    side = np.sign(offset[np.abs(offset) > _SLACK_DEGREES])
    schemes: dict[int, Scheme] = {0: "unidirectional", 1: "bidirectional"}
    return schemes.get(int((np.diff(side) != 0).sum()), "dose-symmetric")

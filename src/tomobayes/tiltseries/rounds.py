"""Alignment in rounds: fits to all tilt series, then references from the images as these fits have them, then fits anew.

Every fit counts from the data set that was given; the rounds only bring better references and boxes cut where particles are. In a
rebuilt reference no particle meets its own noise. What is kept is decided in the last round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tomobayes.model import Dataset
from tomobayes.tiltseries.aligned import AlignedSeries, AlignSettings, align_series
from tomobayes.tiltseries.applied import applied
from tomobayes.tiltseries.references import References
from tomobayes.tiltseries.shifted import shift_series

__all__ = ["AlignmentState", "align", "shift"]


@dataclass(frozen=True)
class AlignmentState:
    """What a round has led to.

    Parameters
    ----------
    number : of the round, from 1
    found : by tilt series; dataset : the given one with these alignments
    references : those that were compared with
    """

    number: int
    found: Mapping[int, AlignedSeries]
    dataset: Dataset
    references: References


def align(
    given: Dataset,
    references: References,
    rebuild: Callable[[Dataset, int], References],
    settings: AlignSettings,
    rounds: int,
    done: Callable[[NDArray[np.int64]], None],
) -> Iterator[AlignmentState]:
    """Align all tilt series that have particles.

    Parameters
    ----------
    rebuild : makes references from a data set, of about the radius that is given
    done : is told the particles of each tilt series that a round has finished
    """
    now, found = given, dict[int, AlignedSeries]()
    for number in range(1, rounds + 1):
        if number > 1:
            references = rebuild(now, references.radius)
        for index in np.unique(given.particles.tilt_series).tolist():
            rows = np.flatnonzero(given.particles.tilt_series == index)
            found[index] = align_series(given, now, rows, references, settings, found.get(index), number == rounds)
            done(rows)
        now = applied(given, list(found.values()), settings.deformation)
        yield AlignmentState(number, dict(found), now, references)


def shift(
    given: Dataset,
    references: References,
    settings: AlignSettings,
    by: Literal["particles", "images"],
    done: Callable[[NDArray[np.int64]], None],
) -> AlignmentState:
    """Shift tilt images and change nothing else, in one round; parameters as in `align` and `shift_series`."""
    found = {}
    for index in np.unique(given.particles.tilt_series).tolist():
        rows = np.flatnonzero(given.particles.tilt_series == index)
        found[index] = shift_series(given, rows, references, settings, by)
        done(rows)
    return AlignmentState(1, found, applied(given, list(found.values())), references)

"""Alignment in rounds: fits to all tilt series, then references from the images as these fits have them, then fits anew.

Every fit counts from the data set that was given; the rounds only bring better references and boxes cut where particles are. In a
rebuilt reference no particle meets its own noise. What is kept is decided in the last round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tomobayes.compute.executors import Executor, Failure
from tomobayes.model import Dataset
from tomobayes.tiltseries.aligned import AlignedSeries, AlignSettings, align_series
from tomobayes.tiltseries.applied import applied
from tomobayes.tiltseries.boxes import Cutter
from tomobayes.tiltseries.each_series import each_series
from tomobayes.tiltseries.references import References
from tomobayes.tiltseries.shifted import shift_series

__all__ = ["FINER", "AlignmentState", "SeriesTask", "align", "shift"]

FINER = 1.3
"""How much finer than the resolution so far rebuilt maps may become: better parameters bring new shells."""


@dataclass(frozen=True)
class AlignmentState:
    """What a round has led to.

    Parameters
    ----------
    number : of the round, from 1
    found : by tilt series; dataset : the given one with these alignments
    references : those that were compared with
    set_aside : tilt series that could not be worked on, and why
    """

    number: int
    found: Mapping[int, AlignedSeries]
    dataset: Dataset
    references: References
    set_aside: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SeriesTask:
    """One tilt series: the (P,) rows of its usable particles, and what the round before has found."""

    rows: NDArray[np.int64]
    before: AlignedSeries | None = None


@dataclass(frozen=True)
class _Alignment:
    """Aligns a tilt series; fields as the parameters of `align_series`."""

    given: Dataset
    now: Cutter
    references: References
    settings: AlignSettings
    final: bool

    def __call__(self, task: SeriesTask) -> dict[int, AlignedSeries]:
        one = align_series(self.given, self.now, task.rows, self.references, self.settings, task.before, self.final)
        return {_series_of(self.given, task): one}


@dataclass(frozen=True)
class _Shift:
    """Shifts the images of a tilt series; fields as the parameters of `shift_series`."""

    now: Cutter
    references: References
    settings: AlignSettings
    by: Literal["particles", "images"]

    def __call__(self, task: SeriesTask) -> dict[int, AlignedSeries]:
        one = shift_series(self.now, task.rows, self.references, self.settings, self.by)
        return {_series_of(self.now.dataset, task): one}


def align(
    first: Cutter,
    usable: NDArray[np.bool_],
    references: References,
    rebuild: Callable[[Cutter, int], References],
    settings: AlignSettings,
    rounds: int,
    executor: Executor,
) -> Iterator[AlignmentState]:
    """Align all tilt series that have particles.

    Parameters
    ----------
    first : cuts the images as the given data set has them; usable : (N,) which particles take part, the others stay as they are
    rebuild : makes references from the images as a cutter cuts them, up to the radius that is given
    """
    given = first.dataset
    now, tasks, failed = first, _tasks(given, usable), dict[int, str]()
    for number in range(1, rounds + 1):
        if number > 1:
            references = rebuild(now, round(FINER * references.radius))
        found, failures = each_series(executor, _Alignment(given, now, references, settings, number == rounds), tasks)
        failed |= _set_aside(given, failures)
        tasks = [SeriesTask(one.rows, one) for one in found.values()]
        after = applied(given, list(found.values()), settings.deformation)
        now = first.anew(after)
        yield AlignmentState(number, found, after, references, dict(failed))


def shift(
    cutter: Cutter,
    usable: NDArray[np.bool_],
    references: References,
    settings: AlignSettings,
    by: Literal["particles", "images"],
    executor: Executor,
) -> AlignmentState:
    """Shift tilt images and change nothing else, in one round; parameters as in `align` and `shift_series`."""
    given = cutter.dataset
    found, failures = each_series(executor, _Shift(cutter, references, settings, by), _tasks(given, usable))
    return AlignmentState(1, found, applied(given, list(found.values())), references, _set_aside(given, failures))


def _tasks(given: Dataset, usable: NDArray[np.bool_]) -> list[SeriesTask]:
    series = given.particles.tilt_series
    return [SeriesTask(np.flatnonzero(usable & (series == index))) for index in np.unique(series[usable]).tolist()]


def _series_of(dataset: Dataset, task: SeriesTask) -> int:
    return int(dataset.particles.tilt_series[task.rows[0]])


def _set_aside(given: Dataset, failures: Sequence[Failure[SeriesTask]]) -> dict[int, str]:
    return {_series_of(given, failure.task): failure.error for failure in failures}

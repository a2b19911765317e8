"""What is said of particles and tilt series that do not take part in a job, and of half-sets that it had to deal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tomobayes.jobs.experiment import Experiment
from tomobayes.jobs.log import Log

__all__ = ["part_sentences", "tell_set_aside"]


def part_sentences(experiment: Experiment, dealt: bool) -> Iterator[str]:
    """Before it starts: particles that are left out, and whether half-sets were dealt."""
    used = experiment.usable
    if not used.all():
        yield f"{int((~used).sum())} of {len(used)} particles are left out: their box does not lie inside enough images"
    if dealt:
        yield "the particles had no half-sets: they were dealt to two, neighbours together"


def tell_set_aside(log: Log, experiment: Experiment, now: Mapping[int, str], before: Mapping[int, str]) -> None:
    """While it runs: tilt series that are newly out, and why."""
    for index in now.keys() - before.keys():
        log.warn(f"tilt series {experiment.dataset.tilt_series[index].name} failed three times and is set aside: {now[index]}")

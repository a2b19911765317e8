"""Which view of one program is which view of another: by stage angle and order, by the files of the frames, by section of the same stack.

Never by line number alone: files of different programs may be sorted differently, and views may be missing from some of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tomobayes.formats.problems import shortened
from tomobayes.formats.views import ViewKey
from tomobayes.model import Problem

__all__ = ["Match", "match_views"]

FURTHEST_DEGREES = 1.4
"""Stage angles that differ by more are not of one view, however coarse the tilt step."""


@dataclass(frozen=True)
class Match:
    """``of_known`` has, for every known view, the place of the other program's view, or None where it has none."""

    of_known: tuple[int | None, ...]
    problems: tuple[Problem, ...] = ()


def match_views(known: Sequence[ViewKey], other: Sequence[ViewKey], file: Path, known_file: Path) -> Match:
    """Find the views of another program among those that are known.

    Parameters
    ----------
    known : views of the tilt series
    other : views of the other program
    file, known_file : where either stands, for messages

    Returns
    -------
    the match, with what is ambiguous, not among the known views, or cannot be told apart at all as problems
    """
    if all(key.frames for key in (*known, *other)) and _overlap([_plain(key) for key in known], [_plain(key) for key in other]):
        return _by_value([_plain(key) for key in known], [_plain(key) for key in other], known, other, file, known_file)
    if all(key.stage_degrees is not None for key in (*known, *other)):
        return _by_angle(known, other, file, known_file)
    sections = [key.section for key in known], [key.section for key in other]
    if None not in (*sections[0], *sections[1]):
        if len(known) != len(other):
            return Match((None,) * len(known), (_counts(known, other, file, known_file),))
        return _by_value(*sections, known, other, file, known_file)
    what = "tells its views apart by nothing that is known of them"
    remedy = (
        f"give the stage angles too, for example a .rawtlt beside the stack; {known_file} has {_kinds(known)}, this has {_kinds(other)}"
    )
    return Match((None,) * len(known), (Problem(file, "", what, remedy=remedy),))


def _by_value(
    known_values: Sequence[object],
    other_values: Sequence[object],
    known: Sequence[ViewKey],
    other: Sequence[ViewKey],
    file: Path,
    known_file: Path,
) -> Match:
    """Equal names or sections."""
    places = {value: place for place, value in enumerate(other_values)}
    repeated = [str(other[other_values.index(value)]) for value, count in Counter(other_values).items() if count > 1]
    strangers = [str(other[place]) for value, place in places.items() if value not in set(known_values)]
    return Match(tuple(places.get(value) for value in known_values), _faults(repeated, strangers, file, known_file))


def _by_angle(known: Sequence[ViewKey], other: Sequence[ViewKey], file: Path, known_file: Path) -> Match:
    """Nearest stage angles; those of one angle by the order in which they were taken."""
    ours = np.array([key.stage_degrees for key in known], dtype=np.float64)
    theirs = np.array([key.stage_degrees for key in other], dtype=np.float64)
    near = np.abs(ours[:, None] - theirs) <= _tolerance(ours)
    found: list[int | None] = []
    ambiguous = []
    for view, candidates in enumerate(near):
        places = np.flatnonzero(candidates).tolist()
        if len(places) > 1 or (places and near[:, places[0]].sum() > 1):
            places = [place for place in places if other[place].order is not None and other[place].order == known[view].order]
            ambiguous += [str(known[view])] if len(places) != 1 else []
        found.append(places[0] if len(places) == 1 else None)
    strangers = [str(key) for key, candidates in zip(other, near.T, strict=True) if not candidates.any()]
    return Match(tuple(found), _faults(ambiguous, strangers, file, known_file))


def _tolerance(angles: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """Less than half the smallest step between different angles."""
    steps = np.diff(np.unique(np.round(angles, 1)))
    return min(FURTHEST_DEGREES, 0.45 * float(steps.min())) if len(steps) else FURTHEST_DEGREES


def _faults(ambiguous: Sequence[str], strangers: Sequence[str], file: Path, known_file: Path) -> tuple[Problem, ...]:
    problems = []
    if ambiguous:
        what = f"has several views that could be {shortened(ambiguous)}"
        remedy = "give the order in which they were taken in both files, or remove the repeated exposures"
        problems.append(Problem(file, "", what, f"views of {known_file} with the same stage angle are told apart by their order", remedy))
    if strangers:
        what = f"has views that {known_file} has not: {shortened(strangers)}"
        remedy = "give the files of one tilt series; angles must be those of the stage, or keep the unrefined ones (.rawtlt) beside them"
        problems.append(Problem(file, "", what, remedy=remedy))
    return tuple(problems)


def _counts(known: Sequence[ViewKey], other: Sequence[ViewKey], file: Path, known_file: Path) -> Problem:
    what = f"has {len(other)} views and {known_file} has {len(known)}, and no stage angles tell which are missing"
    remedy = "give a .rawtlt with the stage angle of every image of that stack, or run the program on the whole stack"
    return Problem(file, "", what, "the defoci or shifts of some views would go to others", remedy)


def _overlap(known: Sequence[str], other: Sequence[str]) -> bool:
    return bool(set(known) & set(other))


def _plain(key: ViewKey) -> str:
    """The frames' name as motion correction may have changed it: RELION turns the dot of ``3.0`` into an underscore."""
    return re.sub(r"[^A-Za-z0-9+-]+", "_", key.frames)


def _kinds(keys: Sequence[ViewKey]) -> str:
    labels = {"stage_degrees": "stage angles", "order": "the order", "section": "sections", "frames": "names of frames"}
    held = [label for name, label in labels.items() if all(getattr(key, name) not in (None, "") for key in keys)]
    return " and ".join(held) or "nothing"

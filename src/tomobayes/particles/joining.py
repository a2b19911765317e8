"""Several experiments as one: tilt series and optics groups told apart by what they are, particles one set after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tomobayes.model import BadInput, Columns, Dataset, Particles, Problem, TiltSeries
from tomobayes.particles.distinct import BOX_LABELS, distinct_optics, distinct_series
from tomobayes.particles.tilt_series_difference import difference

__all__ = ["Joined", "joined"]

Int = NDArray[np.int64]

_IMAGES = "rlnImageName"
_CONCATENATED = (
    "position_angstrom", "rotation_subtomogram", "rotation_particle", "origin_angstrom", "class_number", "tilt_prior_degrees",
    "psi_prior_degrees", "rot_prior_degrees",
)  # fmt: skip


@dataclass(frozen=True)
class Joined:
    """The sets together, which set each particle comes from, (P,), and what had to be changed, in sentences."""

    dataset: Dataset
    origin: Int
    notes: tuple[str, ...]


def joined(sets: Mapping[str, Dataset], *, rename: bool = False) -> Joined:
    """Experiments as one.

    Tilt series of one name must be the same in all sets. Columns that not all sets have go, as do half-sets that not all have;
    particles without motion stand still where others move.

    Parameters
    ----------
    sets : name for messages -> experiment, in the order of the result
    rename : give a particle a new name where an earlier set has its name

    Raises
    ------
    BadInput
        with all conflicts: tilt series that differ, names that occur in two sets, stored images of different kinds
    """
    problems = [*_differing_series(sets), *_differing_boxes(sets), *_subtracted(sets)]
    names, repeated = _names(sets)
    if repeated and not rename:
        problems.append(_repeated_names(repeated, sets))
    if problems:
        raise BadInput(problems)
    with_images = all(_IMAGES in one.particles.columns for one in sets.values())
    optics, optics_rows, optics_names = distinct_optics(list(sets.values()), with_images=with_images)
    series, series_rows = distinct_series(list(sets.values()), optics_names)
    particles, notes = _particles(sets, names, series_rows, optics_rows)
    if repeated:
        notes.append(f"{len(repeated)} particles were renamed: another set had their name.")
    first = next(iter(sets.values()))
    reference = first.reference if all(one.reference == first.reference for one in sets.values()) else type(first.reference)()
    dataset = Dataset(series, optics, particles, _motion(list(sets.values())), reference)
    origin = np.repeat(np.arange(len(sets)), [len(one.particles) for one in sets.values()])
    return Joined(dataset, origin, tuple(notes))


def _differing_series(sets: Mapping[str, Dataset]) -> Iterator[Problem]:
    """Tilt series of one name that are not the same."""
    known: dict[str, tuple[str, TiltSeries]] = {}
    for label, one in sets.items():
        for series in one.tilt_series:
            source, other = known.setdefault(series.name, (label, series))
            found = difference(other, series)
            if found:
                what = f"the tilt series {series.name} is not that of {source}: {'; '.join(found)}"
                remedy = "refine both with the same tomograms, or rename one of the tilt series"
                yield Problem(label, "", what, "poses hold for one geometry only", remedy)


def _differing_boxes(sets: Mapping[str, Dataset]) -> Iterator[Problem]:
    """Stored images that cannot be used together."""
    named = {label: one for label, one in sets.items() if _IMAGES in one.particles.columns}
    boxes = {
        label: sorted({tuple(group.columns.get(key, "") for key in BOX_LABELS) for group in one.optics}) for label, one in named.items()
    }
    first = next(iter(boxes.items()), None)
    for label, box in boxes.items():
        if first is not None and box != first[1]:
            told = [
                ", ".join(f"{key[3:]} {value}" for key, value in zip(BOX_LABELS, one[0], strict=True) if value) for one in (box, first[1])
            ]
            what = f"stored images differ from those of {first[0]}: {told[0]}, not {told[1]}"
            yield Problem(label, "", what, remedy="extract both with one box and binning, or remove the column rlnImageName from one")


def _names(sets: Mapping[str, Dataset]) -> tuple[list[str], list[str]]:
    """Unique names of all particles, and those that an earlier set had."""
    taken = {name for one in sets.values() for name in one.particles.name.tolist()}
    seen: set[str] = set()
    names, repeated = [], []
    for one in sets.values():
        for name in one.particles.name.tolist():
            if name in seen:
                repeated.append(name)
                number = 2
                while f"{name}_{number}" in taken:
                    number += 1
                name = f"{name}_{number}"
                taken.add(name)
            seen.add(name)
            names.append(name)
    return names, repeated


def _repeated_names(repeated: Sequence[str], sets: Mapping[str, Dataset]) -> Problem:
    listed = ", ".join(repeated[:4]) + (f" and {len(repeated) - 4} more" if len(repeated) > 4 else "")
    what = f"{len(repeated)} particle names occur in more than one set: {listed}"
    remedy = "join sets without common particles, or add --rename if they are different ones"
    return Problem(", ".join(sets), "", what, "they would be the same particles twice", remedy)


def _subtracted(sets: Mapping[str, Dataset]) -> Iterator[Problem]:
    """Sets some of whose signal is subtracted: one set can only name one pair of maps."""
    for name, one in sets.items():
        if one.subtraction is not None:
            yield Problem(name, "", "has signal subtracted", "each set has maps of its own for that", "join the sets first, then subtract")


def _particles(
    sets: Mapping[str, Dataset], names: Sequence[str], series_rows: Sequence[Int], optics_rows: Sequence[Int]
) -> tuple[Particles, list[str]]:
    tables = [one.particles for one in sets.values()]
    columns, notes = _common_columns({label: one.particles.columns for label, one in sets.items()})
    half = np.concatenate([table.half for table in tables])
    without = [label for label, one in sets.items() if not one.particles.half.any()]
    if without and half.any():
        half = np.zeros_like(half)
        columns.pop("rlnRandomSubset", None)
        notes.append(f"Half-sets were dropped: {', '.join(without)} has none. Use split-halves.")
    concatenated = {field: np.concatenate([getattr(table, field) for table in tables]) for field in _CONCATENATED}
    particles = replace(
        tables[0],
        name=np.array(names, dtype=np.str_),
        tilt_series=np.concatenate([rows[table.tilt_series] for rows, table in zip(series_rows, tables, strict=True)]),
        optics=np.concatenate([rows[table.optics] for rows, table in zip(optics_rows, tables, strict=True)]),
        half=half,
        columns=columns,
        stacks=None,
        subtomograms=None,
        visible=None,
        **concatenated,
    )
    return particles, notes


def _common_columns(columns: Mapping[str, Columns]) -> tuple[dict[str, NDArray[np.str_]], list[str]]:
    """Columns that all sets have, one set below the other, and what is missing where."""
    first, *others = columns.values()
    common = [label for label in first if all(label in other for other in others)]
    notes = []
    for name, of_set in columns.items():
        gone = [label for label in of_set if label not in common]
        if gone:
            notes.append(f"Columns that not all sets have were dropped from {name}: {', '.join(gone)}.")
    return {label: np.concatenate([one[label] for one in columns.values()]) for label in common}, notes


def _motion(sets: Sequence[Dataset]) -> tuple[NDArray[np.float64], ...] | None:
    if all(one.motion_angstrom is None for one in sets):
        return None
    found: list[NDArray[np.float64]] = []
    for one in sets:
        still = (np.zeros((one.tilt_series[index].n_tilts, 3)) for index in one.particles.tilt_series)
        found.extend(still if one.motion_angstrom is None else one.motion_angstrom)
    return tuple(found)

"""What several experiments share: optics groups and tilt series, each once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tomobayes.model import Dataset, Optics, TiltSeries

__all__ = ["BOX_LABELS", "distinct_optics", "distinct_series"]

Int = NDArray[np.int64]

BOX_LABELS = ("rlnImageSize", "rlnImagePixelSize", "rlnImageDimensionality", "rlnTomoSubtomogramBinning", "rlnCtfDataAreCtfPremultiplied")
"""Columns of optics groups that describe stored images."""


def distinct_optics(sets: Sequence[Dataset], *, with_images: bool) -> tuple[tuple[Optics, ...], list[Int], list[dict[str, str]]]:
    """Optics groups told apart by what they hold, names included; of one name and different content, the later are renamed.

    Parameters
    ----------
    with_images : whether what describes stored images belongs to a group; else it is left out

    Returns
    -------
    the groups, numbered from 1; for each set the rows of its groups among them; for each set its groups' names -> their new ones
    """
    groups: list[Optics] = []
    rows = []
    for one in sets:
        plain = [_plain(group, with_images) for group in one.optics]
        groups.extend(group for group in plain if group not in groups)
        rows.append(np.array([groups.index(group) for group in plain], dtype=np.int64))
    told: list[str] = []
    for group in groups:
        told.append(_free_name(group.name, told))
    names = [{group.name: told[row] for group, row in zip(one.optics, of_set, strict=True)} for one, of_set in zip(sets, rows, strict=True)]
    numbered = [
        replace(group, name=name, columns={**group.columns, "rlnOpticsGroup": str(i)})
        for i, (group, name) in enumerate(zip(groups, told, strict=True), start=1)
    ]
    return tuple(numbered), rows, names


def _plain(group: Optics, with_images: bool) -> Optics:
    """A group without its number, and without what describes stored images where not all have some."""
    gone = {"rlnOpticsGroup", *(() if with_images else BOX_LABELS)}
    return replace(group, columns={label: cell for label, cell in group.columns.items() if label not in gone})


def distinct_series(sets: Sequence[Dataset], optics_names: Sequence[Mapping[str, str]]) -> tuple[tuple[TiltSeries, ...], list[Int]]:
    """Distinct tilt series, and the rows of each set's among them; of two with and without images the one with."""
    series: dict[str, TiltSeries] = {}
    for one, names in zip(sets, optics_names, strict=True):
        for each in one.tilt_series:
            known = series.get(each.name)
            if known is None or (known.images is None and each.images is not None):
                series[each.name] = replace(each, optics_name=names.get(each.optics_name, each.optics_name))
    place = {name: index for index, name in enumerate(series)}
    return tuple(series.values()), [np.array([place[each.name] for each in one.tilt_series], dtype=np.int64) for one in sets]


def _free_name(name: str, taken: Sequence[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free

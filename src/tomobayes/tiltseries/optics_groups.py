"""Optics groups split by time, where a microscope's aberrations drift during a session."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tomobayes.model import Dataset, Optics

__all__ = ["split_by_time"]


def split_by_time(dataset: Dataset, parts: int) -> Dataset:
    """Every optics group as ``parts`` of its own (fewer where it has fewer tilt series), tilt series in the order of acquisition.

    The order of acquisition is that of the data set's tilt series. Groups without particles stay as they are.
    """
    table, optics = dataset.particles, list(dataset.optics)
    of_particle, names = table.optics.copy(), {index: one.optics_name for index, one in enumerate(dataset.tilt_series)}
    for group, old in enumerate(dataset.optics):
        series = np.unique(table.tilt_series[table.optics == group])
        for number, chosen in enumerate(np.array_split(series, min(parts, max(len(series), 1)))):
            new = _part(old, number, len(optics) + 1)
            if number == 0:
                optics[group], place = replace(new, columns=old.columns), group
            else:
                optics.append(new)
                place = len(optics) - 1
            mine = (table.optics == group) & np.isin(table.tilt_series, chosen)
            of_particle[mine] = place
            names |= {index: optics[place].name for index in chosen.tolist() if names[index] == old.name}
    series_of = tuple(replace(one, optics_name=names[index]) for index, one in enumerate(dataset.tilt_series))
    return replace(dataset, optics=tuple(optics), tilt_series=series_of, particles=replace(table, optics=of_particle))


def _part(old: Optics, number: int, group_number: int) -> Optics:
    return replace(old, name=f"{old.name}_{number + 1}", columns={**old.columns, "rlnOpticsGroup": str(group_number)})

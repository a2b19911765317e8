"""Particles beside what a map predicts of them, as pictures and figures."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray

from tomobayes.model import Dataset, Map
from tomobayes.report import format_number
from tomobayes.report.pictures import to_grey, to_png

if TYPE_CHECKING:
    from tomobayes.imaging.pairs import Pairs

__all__ = ["OWN_CLASS", "Panel", "Shown", "class_maps", "panels_of"]

Int = NDArray[np.int64]

OWN_CLASS = "of each particle's class"
"""In place of a map's name."""
LARGEST_PX = 128
SPREAD = 3.0
"""Grey values reach so many standard deviations to either side of the mean."""
_TOLD = {
    "rlnAngleRot": "rot", "rlnAngleTilt": "tilt", "rlnAnglePsi": "psi", "rlnClassNumber": "class", "rlnRandomSubset": "half",
    "rlnLogLikeliContribution": "log L", "rlnMaxValueProbDistribution": "max P",
}  # fmt: skip
"""Columns told of every particle, where its file has them."""


@dataclass(frozen=True)
class Panel:
    """One particle: its row from 1, its name, its image as the page of tilt series knows it, the pictures as data, what is told of it."""

    number: int
    name: str
    image: str
    recorded: str
    predicted: str
    correlation: float
    told: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Shown:
    """How particles are shown.

    Parameters
    ----------
    exposure : which image of a tilt series, from 0 in the order in which they were taken
    map_name : of the map that is projected, or `OWN_CLASS`; "" where there is none
    recorded : whether images are shown as recorded, not multiplied by the CTF
    """

    exposure: int
    map_name: str
    lowpass_angstrom: float
    diameter_angstrom: float
    recorded: bool


def class_maps(dataset: Dataset, maps: Mapping[str, Path]) -> dict[int, Path]:
    """Class -> its map, of the first job whose maps are called ``..._classKKK.mrc`` and are of all particles' classes; none without."""
    classes = set(np.unique(dataset.particles.class_number).tolist())
    by_stem: dict[str, dict[int, Path]] = {}
    for name, path in maps.items():
        if match := re.fullmatch(r"(.*_class)(\d+)\.mrc", name):
            by_stem.setdefault(match[1], {})[int(match[2])] = path
    return next((found for found in by_stem.values() if len(found) > 1 and classes <= set(found)), {})


def panels_of(dataset: Dataset, rows: Int, shown: Shown, maps: Mapping[str, Path]) -> list[Panel]:
    """The particles in ``rows``, in their order.

    Raises
    ------
    ValueError
        where images cannot be shown in this way
    """
    from tomobayes.particles.rows import with_rows

    tilts, by_class = _tilts(dataset, rows, shown.exposure), class_maps(dataset, maps)
    classes = dataset.particles.class_number[rows]
    few, places = dataset, rows
    if dataset.particles.stacks is None:  # what is done to all particles of a set is then not done to a million of them
        few, places = with_rows(dataset, rows), np.arange(len(rows))
    panels: dict[int, Panel] = {}
    for number in np.unique(classes).tolist() if shown.map_name == OWN_CLASS else [None]:
        mine = np.arange(len(rows)) if number is None else np.flatnonzero(classes == number)
        path = maps[shown.map_name] if number is None else by_class[number]
        pairs = _pairs(few, places[mine], tilts[mine], path, shown)
        panels |= {at: _panel(dataset, int(rows[at]), int(tilts[at]), pairs, place) for place, at in enumerate(mine.tolist())}
    return [panels[at] for at in range(len(rows))]


def _pairs(dataset: Dataset, rows: Int, tilts: Int, path: Path, shown: Shown) -> Pairs:
    from tomobayes.imaging.pairs import pairs_in

    options = {"lowpass_angstrom": shown.lowpass_angstrom, "diameter_angstrom": shown.diameter_angstrom}
    return pairs_in(dataset, rows, tilts, _map(path, path.stat().st_mtime_ns), **options, modulated=not shown.recorded)


def _tilts(dataset: Dataset, rows: Int, exposure: int) -> Int:
    """(P,) the tilt in which each particle is shown; series with fewer exposures show their last."""
    order = {}
    for index in set(dataset.particles.tilt_series[rows].tolist()):
        by_dose = np.argsort(dataset.tilt_series[index].dose, kind="stable")
        order[index] = int(by_dose[min(exposure, len(by_dose) - 1)])
    return np.array([order[index] for index in dataset.particles.tilt_series[rows].tolist()], dtype=np.int64)


def _panel(dataset: Dataset, row: int, tilt: int, pairs: Pairs, place: int) -> Panel:
    table = dataset.particles
    told = [(label, _short(str(table.columns[column][row]))) for column, label in _TOLD.items() if column in table.columns]
    recorded, predicted = (_picture(images[place]) for images in (pairs.recorded, pairs.predicted))
    image = urlencode({"series": int(table.tilt_series[row]), "tilt": tilt})
    return Panel(row + 1, str(table.name[row]), image, recorded, predicted, float(pairs.correlation[place]), told)


def _short(cell: str) -> str:
    """A cell of the particle file as one reads it."""
    try:
        return format_number(float(cell), 4)
    except ValueError:
        return cell


def _picture(image: NDArray[np.float32]) -> str:
    from tomobayes.imaging.reduced import reduced

    small = reduced(image, LARGEST_PX)[0]
    middle, spread = float(small.mean()), SPREAD * float(small.std())
    return "data:image/png;base64," + base64.b64encode(to_png(to_grey(small, middle - spread, middle + spread))).decode()


@lru_cache(maxsize=4)
def _map(path: Path, modified: int) -> Map:
    from tomobayes.formats.mrc import read_map

    return read_map(path)

"""A job iteration by iteration, from the model files and maps that it, or RELION, leaves after each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from tomobayes.formats.mrc import read_map
from tomobayes.formats.relion_iteration import Changes, IterationModel, read_changes, read_iteration_model
from tomobayes.model import BadInput
from tomobayes.report import Chart, Item, Section, fsc_chart, iteration_chart, projections_of, slices_of
from tomobayes.web.table_numbers import numbers_of

__all__ = ["Iteration", "iterations_of", "map_items", "sections_of"]

_MODEL = re.compile(r"(run(?:_ct\d+)?_it(\d+))(?:_half1)?_model\.star")
MOST_CURVES = 5


@dataclass(frozen=True)
class Iteration:
    """One iteration: its number, its model file, and the maps that are still there."""

    number: int
    model: Path
    maps: tuple[Path, ...]

    @property
    def stem(self) -> str:
        """What the names of its files begin with."""
        return re.sub(r"(?:_half1)?_model$", "", self.model.stem)


def iterations_of(folder: Path) -> list[Iteration]:
    """All iterations of the job in a folder, in their order; of one that was done twice, the last time."""
    names = sorted(path.name for path in folder.glob("run*_it*"))
    maps = [name for name in names if name.endswith(".mrc") and "_class" in name]
    found: dict[int, Iteration] = {}
    for name in names:
        match = _MODEL.fullmatch(name)
        if match:
            own = tuple(folder / one for one in maps if one.startswith(match[1] + "_"))
            found[int(match[2])] = Iteration(int(match[2]), folder / name, own)
    return [found[number] for number in sorted(found)]


def sections_of(iterations: Sequence[Iteration], shown: Iteration) -> list[Section]:
    """What changed over the iterations, and the maps of one of them."""
    models = [(one.number, model) for one in iterations if (model := _model(one.model, one.model.stat().st_mtime_ns)) is not None]
    items: list[Item] = [*_fsc_of_iterations(models, shown.number), *_over_iterations(models)]
    found = [
        Section("Over the iterations", [*items, *_changes(iterations)]),
        Section(f"Maps of iteration {shown.number}", [item for path in shown.maps for item in map_items(path)]),
        Section(f"Particles of iteration {shown.number}", _particles(shown)),
    ]
    return [section for section in found if section.items]


def map_items(path: Path) -> tuple[Item, ...]:
    """Central slices and projections of a map; nothing of what is no map."""
    try:
        return _map_items(path, path.stat().st_mtime_ns)
    except (BadInput, FileNotFoundError):
        return ()


@lru_cache(maxsize=32)
def _map_items(path: Path, modified: int) -> tuple[Item, ...]:
    map_ = read_map(path)
    return slices_of(map_, f"{path.name}: slices", path.stem), projections_of(map_, f"{path.name}: projections", f"{path.stem}_projected")


@lru_cache(maxsize=1000)
def _model(path: Path, modified: int) -> IterationModel | None:
    try:
        return read_iteration_model(path)
    except BadInput:
        return None


@lru_cache(maxsize=1000)
def _changed(path: Path, modified: int) -> Changes | None:
    try:
        return read_changes(path)
    except BadInput:
        return None


def _changes(iterations: Sequence[Iteration]) -> list[Chart]:
    """How far particles still move, where RELION tells; the first iteration knows nothing."""
    paths = [(one.number, one.model.with_name(f"{one.stem}_optimiser.star")) for one in iterations[1:]]
    told = [(number, _changed(path, path.stat().st_mtime_ns)) for number, path in paths if path.is_file()]
    known = [(number, changes) for number, changes in told if changes is not None]
    if not known:
        return []
    first, changes = known[0][0], [one for _, one in known]
    charts = [
        iteration_chart("Changes of orientations", "Angle", "°", {"Mean": [one.orientation_degrees for one in changes]}, first),
        iteration_chart("Changes of offsets", "Distance", "Å", {"Mean": [one.offset_angstrom for one in changes]}, first),
    ]
    if any(one.classes for one in changes):
        charts.append(
            iteration_chart(
                "Particles that changed their class", "Particles", "%", {"Changed": [100 * one.classes for one in changes]}, first
            )
        )
    return charts


def _particles(shown: Iteration) -> list[Item]:
    from tomobayes.jobs.particle_figures import particle_items

    path = shown.model.with_name(f"{shown.stem}_data.star")
    try:
        return particle_items(numbers_of(path)) if path.is_file() else []
    except BadInput:
        return []


def _fsc_of_iterations(models: Sequence[tuple[int, IterationModel]], shown: int) -> list[Chart]:
    """The curves of five iterations, evenly chosen, the last among them, and of the one on show; one chart per class."""
    with_curves = [(number, model) for number, model in models if model.fsc]
    if not with_curves:
        return []
    places = np.linspace(0, len(with_curves) - 1, MOST_CURVES).round().astype(int)
    places = np.unique(np.append(places, [at for at, (number, _) in enumerate(with_curves) if number == shown]))
    chosen = [with_curves[place] for place in places]
    last = with_curves[-1][1]
    charts = []
    for index in range(len(last.fsc)):
        curves = {f"Iteration {number}": model.fsc[index] for number, model in chosen if len(model.fsc) > index}
        title = "FSC of every iteration" + (f", class {index + 1}" if len(last.fsc) > 1 else "")
        charts.append(fsc_chart(curves, last.box, last.pixel_size_angstrom, title))
    return charts


def _over_iterations(models: Sequence[tuple[int, IterationModel]]) -> list[Chart]:
    if not models:
        return []
    first = models[0][0]
    charts = [iteration_chart("Resolution", "Resolution", "Å", {"Best class": [model.resolution_angstrom for _, model in models]}, first)]
    n_classes = min(len(model.distribution) for _, model in models)
    if n_classes > 1:
        shares = {f"Class {index + 1}": [100 * model.distribution[index] for _, model in models] for index in range(n_classes)}
        charts.append(iteration_chart("Occupancy of classes", "Particles", "%", shares, first))
    return charts

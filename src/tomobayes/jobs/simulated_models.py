"""What ``simulate`` puts into the ice, and the noise it adds: names and files to maps and spectra."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tomobayes.formats.atomic_model import builtin_model, read_atomic_model
from tomobayes.formats.mrc import read_map
from tomobayes.maps.resampling import change_pixel_size
from tomobayes.model import BadInput, Map, Problem
from tomobayes.simulation.density import density_map, smallest_box
from tomobayes.simulation.noise import NoiseSpectrum, solvent, white
from tomobayes.simulation.scattering import Scatterers, centred

__all__ = ["read_models", "read_noise", "read_scatterers"]

_BUILTIN = "builtin:"
_NOISES = {"solvent": solvent, "white": white}


def read_models(names: Sequence[str], pixel_size_angstrom: float, box: int | None) -> list[Map]:
    """One map per model, all of one box and pixel size, each model's centre at the box's.

    Parameters
    ----------
    names : ``builtin:NAME``, atomic models or maps (.mrc)
    box : edge in pixels; None for the smallest even one that holds them all
    """
    models = [_read(name) for name in names]
    needed = max(_smallest(model, pixel_size_angstrom) for model in models)
    if box is not None and any(isinstance(model, Scatterers) for model in models) and box < needed:
        what = f"the models need a box of at least {needed} pixels of {pixel_size_angstrom:g} Å, not {box}"
        raise BadInput(Problem(None, "--box", what, remedy="make it larger, or leave it out"))
    return [_as_map(model, pixel_size_angstrom, box or needed) for model in models]


def read_noise(name: str) -> NoiseSpectrum:
    """``solvent``, ``white``, or a text file with a frequency in 1/Å and a relative amplitude in each line."""
    if name in _NOISES:
        return _NOISES[name]()
    path = Path(name)
    try:
        table = np.loadtxt(path, ndmin=2)
    except (OSError, ValueError) as error:
        raise BadInput(
            Problem(path, "", f"no noise spectrum could be read ({error})", remedy="give solvent, white or a text file")
        ) from None
    if table.shape[1] != 2 or (np.diff(table[:, 0]) <= 0).any() or not (table[:, 1] > 0).all() or table[0, 0] < 0:
        what = "it is not a list of increasing frequencies with positive amplitudes"
        raise BadInput(Problem(path, "", what, remedy="give a frequency in 1/Å and a relative amplitude in each line"))
    return NoiseSpectrum(tuple(table[:, 0].tolist()), tuple(table[:, 1].tolist()))


def _read(name: str) -> Scatterers | Map:
    return read_map(name) if name.endswith(".mrc") else read_scatterers(name)


def read_scatterers(name: str) -> Scatterers:
    """``builtin:NAME`` or an atomic model, its centre at the origin."""
    return centred(builtin_model(name.removeprefix(_BUILTIN)) if name.startswith(_BUILTIN) else read_atomic_model(name))


def _smallest(model: Scatterers | Map, pixel_size_angstrom: float) -> int:
    if isinstance(model, Scatterers):
        return smallest_box(model, pixel_size_angstrom)
    return 2 * round(model.box * model.pixel_size_angstrom / pixel_size_angstrom / 2)


def _as_map(model: Scatterers | Map, pixel_size_angstrom: float, box: int) -> Map:
    if isinstance(model, Scatterers):
        return density_map(model, box, pixel_size_angstrom)
    return Map(change_pixel_size(model.data, model.pixel_size_angstrom, pixel_size_angstrom, box), pixel_size_angstrom)

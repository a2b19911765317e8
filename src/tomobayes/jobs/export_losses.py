"""What files of another program cannot hold of an experiment, by name and with its size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from tomobayes.geometry.deformation import displacement
from tomobayes.geometry.projection import project
from tomobayes.jobs.parameters.export import Dialect
from tomobayes.model import Dataset, TiltSeries

__all__ = ["losses"]

_SERIES = frozenset({"alignment", "defocus", "dose"})
_HELD: Mapping[Dialect, frozenset[str]] = {
    "relion5": frozenset({"scale", "subtraction", "motion", "deformation", "magnification", "aberrations", "damping", "halves", "priors"})
    | _SERIES,
    "relion4": frozenset({"scale", "motion", "deformation", "magnification", "aberrations", "halves", "priors"}) | _SERIES,
    "warp": frozenset({"scale", "motion", "deformation", "magnification", "aberrations", "damping", "halves"}) | _SERIES,
    "dynamo": frozenset({"scale"}),
    "stopgap": frozenset({"scale", "halves", "defocus", "dose"}),
    "artiax": frozenset({"scale", "halves"}),
    "chimerax": frozenset({"scale"}),
    "tomodrgn": frozenset({"scale", "subtraction", "motion", "deformation", "halves"}) | _SERIES,
    "cryodrgn": frozenset({"subtraction", "motion", "deformation", "halves"}) | _SERIES,
    "table": frozenset({"scale", "halves"}),
}
"""Motion and deformation are in exported images: boxes are cut where they say. ``scale`` stands for what only cryoDRGN puts otherwise."""


def losses(dataset: Dataset, to: Dialect, *, flat: bool) -> list[str]:
    """Sentences about everything that is in the data set and not in the files, empty where nothing is lost."""
    held = _HELD[to] - ({"priors"} if flat else set())
    return [sentence for name, of in _SENTENCES.items() if name not in held for sentence in of(dataset)]


def _subtraction(dataset: Dataset) -> Iterator[str]:
    if dataset.subtraction is not None:
        yield "The subtraction of signal is lost: only extracted images have it in them."


def _motion(dataset: Dataset) -> Iterator[str]:
    motion = dataset.motion_angstrom
    if motion is None:
        return
    lengths = np.concatenate([np.linalg.norm(one, axis=-1) for one in motion])
    if lengths.max() > 0:
        yield f"Motion of particles from tilt to tilt is lost: {_rms(lengths):.2f} Å rms, up to {lengths.max():.2f} Å."


def _deformation(dataset: Dataset) -> Iterator[str]:
    lengths = [_deformation_angstrom(dataset, index) for index in range(len(dataset.tilt_series))]
    moved = np.concatenate([one for one in lengths if one is not None] or [np.zeros(1)])
    if moved.max() > 0:
        yield f"Deformation of tilt images is lost: {_rms(moved):.2f} Å rms at the particles, up to {moved.max():.2f} Å."


def _deformation_angstrom(dataset: Dataset, index: int) -> NDArray[np.float64] | None:
    """How far the particles of a tilt series are displaced in its images; None where nothing is deformed."""
    series, particles = dataset.tilt_series[index], dataset.particles
    points = particles.centre_angstrom[particles.tilt_series == index]
    if series.deformation is None or series.image_size is None or not len(points):
        return None
    geometry = (torch.tensor(series.rotation), torch.tensor(series.shift_angstrom))
    places = project(torch.from_numpy(points), *geometry, series.pixel_size_angstrom, series.tomogram_size, series.image_size)
    coefficients = torch.tensor(series.deformation.coefficients)
    moved = displacement(series.deformation.kind, coefficients, places, series.image_size, series.deformation.grid)
    lengths: NDArray[np.float64] = moved.norm(dim=-1).flatten().numpy() * series.pixel_size_angstrom
    return lengths


def _alignment(dataset: Dataset) -> Iterator[str]:
    used = _used(dataset)
    shift = np.concatenate([np.linalg.norm(one.shift_angstrom, axis=1) for one in used])
    n_tilts = sum(one.n_tilts for one in used)
    yield f"The alignment of {n_tilts} tilt images is not in these files (shifts of {_rms(shift):.0f} Å rms): it is in the tomograms."


def _defocus(dataset: Dataset) -> Iterator[str]:
    heights = [_height_angstrom(dataset, index) for index in range(len(dataset.tilt_series))]
    reach = max((height for height in heights if height is not None), default=0.0)
    yield f"The defocus of the images is not in these files, nor that it differs by up to {reach:.0f} Å between particles of one tomogram."


def _height_angstrom(dataset: Dataset, index: int) -> float | None:
    """How far particles of a tilt series lie apart along the beam in any tilt, at most; None without particles."""
    points = dataset.particles.centre_angstrom[dataset.particles.tilt_series == index]
    return float(np.ptp(points @ dataset.tilt_series[index].rotation[:, 2].T, axis=0).max()) if len(points) else None


def _dose(dataset: Dataset) -> Iterator[str]:
    most = max(float(one.dose.max()) for one in dataset.tilt_series)
    if most > 0:
        yield f"The dose of the images (up to {most:.0f} e/Å²) and the weights that follow from it are not in these files."


def _magnification(dataset: Dataset) -> Iterator[str]:
    off = max(float(np.abs(np.linalg.svd(np.array(group.magnification))[1] - 1).max()) for group in dataset.optics)
    if off > 0:
        yield f"Anisotropic magnification of up to {100 * off:.3g} % is lost: {100 * off:.2g} Å at 100 Å from a particle's centre."


def _aberrations(dataset: Dataset) -> Iterator[str]:
    groups = [group.name for group in dataset.optics if any(group.even_zernike) or any(group.odd_zernike)]
    if groups:
        yield f"Aberrations beyond spherical aberration and astigmatism are lost, of {', '.join(groups)}."


def _damping(dataset: Dataset) -> Iterator[str]:
    used = _used(dataset)
    b_factor = max(max(float(np.abs(one.b_factor).max()), one.b_factor_per_dose * float(one.dose.max())) for one in used)
    if b_factor > 0:
        yield f"B-factors of tilt images (up to {b_factor:.0f} Å²) are lost."
    plate = max(float(np.abs(one.phase_shift_radians).max()) for one in used)
    if plate > 0:
        yield f"Phase shifts of a phase plate (up to {np.degrees(plate):.0f}°) are lost."


def _scale(dataset: Dataset) -> Iterator[str]:
    off = max(float(np.abs(one.scale - np.abs(one.rotation[:, 2, 2])).max()) for one in _used(dataset))
    if off > 0.01:
        yield f"Amplitude factors of tilt images are lost: the cosine of the tilt takes their place, {off:.2f} off at most."


def _halves(dataset: Dataset) -> Iterator[str]:
    if (dataset.particles.half > 0).any():
        yield "Half-sets are lost: what is refined from these files must be split anew, or its resolution means nothing."


def _priors(dataset: Dataset) -> Iterator[str]:
    particles = dataset.particles
    given = [particles.tilt_prior_degrees, particles.psi_prior_degrees, particles.rot_prior_degrees]
    count = int((~np.isnan(given)).any(axis=0).sum())
    if count:
        yield f"Prior angles of {count} particles are lost: searches in the other program start from the angles alone."


def _used(dataset: Dataset) -> Sequence[TiltSeries]:
    return [dataset.tilt_series[index] for index in np.unique(dataset.particles.tilt_series).tolist()]


def _rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


_SENTENCES: Mapping[str, Callable[[Dataset], Iterator[str]]] = {
    "subtraction": _subtraction,
    "motion": _motion,
    "deformation": _deformation,
    "magnification": _magnification,
    "aberrations": _aberrations,
    "damping": _damping,
    "scale": _scale,
    "halves": _halves,
    "priors": _priors,
    "alignment": _alignment,
    "defocus": _defocus,
    "dose": _dose,
}

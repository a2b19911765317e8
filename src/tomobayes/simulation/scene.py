"""What is in the ice: particles of several classes, placed without overlap, or where a given experiment had them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from tomobayes.model import Dataset, Particles, TiltSeries
from tomobayes.simulation.acquisition import Acquisition, record

__all__ = ["assign_classes", "place", "scene", "scene_like"]

Float = NDArray[np.float64]


def scene(
    acquisition: Acquisition,
    n_series: int,
    n_particles: int,
    min_distance_angstrom: float,
    random: np.random.Generator,
) -> Dataset:
    """Tilt series of a session, each with ``n_particles`` in random orientations in a slab of ice."""
    series = tuple(record(acquisition, f"TS_{index + 1:02d}", random) for index in range(n_series))
    extent = np.array([*acquisition.image_size, 0.0]) * acquisition.pixel_size_angstrom
    extent[2] = acquisition.thickness_angstrom
    extent[:2] -= min_distance_angstrom + 4 * acquisition.shift_angstrom
    position = np.concatenate([place(n_particles, extent, min_distance_angstrom, random) for _ in series])
    n = len(position)
    particles = Particles(
        name=np.array([f"{one.name}/{index + 1}" for one in series for index in range(n_particles)]),
        tilt_series=np.repeat(np.arange(n_series), n_particles),
        optics=np.zeros(n, dtype=np.int64),
        position_angstrom=position,
        rotation_subtomogram=np.tile(np.eye(3), (n, 1, 1)),
        rotation_particle=Rotation.random(n, random_state=random).as_matrix(),
        origin_angstrom=np.zeros((n, 3)),
        half=np.zeros(n, dtype=np.int64),
        class_number=np.ones(n, dtype=np.int64),
        tilt_prior_degrees=np.full(n, np.nan),
        psi_prior_degrees=np.full(n, np.nan),
        rot_prior_degrees=np.full(n, np.nan),
    )
    return Dataset(series, (acquisition.optics,), particles)


def place(n: int, extent_angstrom: Float, min_distance_angstrom: float, random: np.random.Generator) -> Float:
    """(n, 3) uniform positions in a centred block, no two closer than ``min_distance_angstrom`` (random sequential addition)."""
    if (extent_angstrom < 0).any():
        raise ValueError("the image is smaller than the shifts and the distance kept from its edges: make it larger, or the shifts smaller")
    placed = np.empty((0, 3))
    for _ in range(200):
        candidates = (random.random((4 * n, 3)) - 0.5) * extent_angstrom
        if len(placed):
            nearest, _ = cKDTree(placed).query(candidates)
            candidates = candidates[nearest >= min_distance_angstrom]
        placed = np.concatenate([placed, _first_come(candidates, min_distance_angstrom)])[:n]
        if len(placed) == n:
            return placed
    raise ValueError(
        f"only {len(placed)} of {n} particles fit into {extent_angstrom.round().tolist()} Å at {min_distance_angstrom:g} Å "
        "from each other: ask for fewer, a larger image or a smaller distance"
    )


def _first_come(candidates: Float, min_distance: float) -> Float:
    """The candidates that are far enough from every earlier one that is kept."""
    kept = np.ones(len(candidates), dtype=bool)
    for earlier, later in sorted(cKDTree(candidates).query_pairs(min_distance)) if len(candidates) else ():
        if kept[earlier]:
            kept[later] = False
    return candidates[kept]


def scene_like(dataset: Dataset, pixel_size_angstrom: float | None = None, image_size: tuple[int, int] | None = None) -> Dataset:
    """The geometry, poses, dose, defoci, deformation and motion of a given experiment, to be filled with new images.

    Parameters
    ----------
    pixel_size_angstrom : of the new images; by default each series keeps its own
    image_size : (width, height) of the new images; by default the field of view of the old ones, or of the tomogram where there are none
    """
    series = tuple(_recorded_again(one, pixel_size_angstrom or one.pixel_size_angstrom, image_size) for one in dataset.tilt_series)
    table = dataset.particles
    kept = replace(table, stacks=None, subtomograms=None, visible=None, columns={}, class_number=np.ones(len(table), dtype=np.int64))
    return Dataset(series, tuple(replace(one, columns={}) for one in dataset.optics), kept, dataset.motion_angstrom)


def _recorded_again(series: TiltSeries, pixel_size: float, image_size: tuple[int, int] | None) -> TiltSeries:
    """The same field of view in pixels of another size; even, so that the tomogram's centre stays where it was."""
    ratio = series.pixel_size_angstrom / pixel_size

    def even(size: float) -> int:
        return 2 * round(0.5 * size * ratio)

    width, height = image_size or tuple(even(size) for size in series.image_size or series.tomogram_size[:2])
    x, y, z = (even(size) for size in series.tomogram_size)
    bent = series.deformation
    if bent is not None and bent.kind != "affine":  # displacements in pixels; those of an affine one are per pixel
        bent = replace(bent, coefficients=ratio * bent.coefficients)
    return replace(
        series,
        pixel_size_angstrom=pixel_size,
        tomogram_size=(x, y, z),
        image_size=(width, height),
        deformation=bent,
        images=None,
        columns={},
        globals_={},
    )


def assign_classes(dataset: Dataset, populations: Sequence[float], random: np.random.Generator) -> Dataset:
    """Deal the particles to classes 1, 2, … in the given proportions, at random."""
    n = len(dataset.particles)
    share = np.cumsum(np.asarray(populations, dtype=np.float64) / np.sum(populations))
    number = 1 + np.searchsorted(share, (np.arange(n) + 0.5) / n)
    return dataset.with_particles(replace(dataset.particles, class_number=random.permutation(number).astype(np.int64)))

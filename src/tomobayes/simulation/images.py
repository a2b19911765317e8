"""Tilt images from the forward model that everything else infers with: the sum of all particles' boxes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.fourier.grids import good_box, half_plane
from tomobayes.fourier.volume import PADDING, FourierVolume, from_map
from tomobayes.imaging.predict import predict, real_images
from tomobayes.imaging.views import one_tilt, views_of
from tomobayes.model import Dataset, Map
from tomobayes.optics import wavelength_angstrom

__all__ = ["clean_images", "delocalised_box", "rendering_bytes", "signal_variance"]

CHUNK = 64
"""Particles predicted at a time."""


def delocalised_box(dataset: Dataset, density: Map) -> int:
    """Box that holds a particle's image with all the signal the CTF throws around it: λ·Δf/(2·pixel) more on every side."""
    widest = max(
        wavelength_angstrom(optics.voltage_kv) * float(np.abs(series.defocus_u_angstrom).max())
        for series in dataset.tilt_series
        for optics in dataset.optics
    )
    pixel = density.pixel_size_angstrom
    return good_box(density.box + 2 * math.ceil(widest / (2 * pixel) / pixel))


def rendering_bytes(dataset: Dataset, maps: Sequence[Map]) -> int:
    """Memory that rendering needs: every map's transform is kept, and one map at a time is transformed in its padded box."""
    voxels = [(PADDING * delocalised_box(dataset, one)) ** 3 for one in maps]
    return 4 * sum(voxels) + 12 * max(voxels)


def clean_images(dataset: Dataset, series: int, maps: Sequence[Map]) -> Iterator[NDArray[np.float32]]:
    """The (height, width) images of a tilt series without noise, bright particles, one tilt at a time.

    Parameters
    ----------
    maps : one map per class; a particle of class c is an image of maps[c - 1]
    """
    volumes = _volumes(dataset, maps)
    groups = [(volumes[number], rows) for number, rows in _groups(dataset, series)]
    size = dataset.tilt_series[series].image_size
    if size is None:
        raise ValueError(f"{dataset.tilt_series[series].name} has no image size")
    for tilt in range(dataset.tilt_series[series].n_tilts):
        image = np.zeros(size[::-1], dtype=np.float32)
        for volume, rows in groups:
            corner, boxes = _boxes(dataset, rows, volume, tilt)
            for (x, y), box in zip(corner.tolist(), boxes, strict=True):
                _add(image, box, x, y)
        yield image


def signal_variance(dataset: Dataset, maps: Sequence[Map], diameter_angstrom: float, at_most: int = CHUNK) -> float:
    """Variance of the signal inside the disc of the particle's diameter in untilted images that have seen no dose, mean over particles."""
    fresh = tuple(
        replace(one, dose=np.zeros(one.n_tilts), scale=np.ones(one.n_tilts), b_factor=np.zeros(one.n_tilts)) for one in dataset.tilt_series
    )
    dataset = replace(dataset, tilt_series=fresh)
    series = int(dataset.particles.tilt_series.min())
    untilted = int(fresh[series].rotation[:, 2, 2].argmax())
    volumes = _volumes(dataset, maps)
    variances: list[Tensor] = []
    for number, rows in _groups(dataset, series):
        volume = volumes[number]
        _, boxes = _boxes(dataset, rows[:at_most], volume, untilted)
        axis = torch.arange(volume.box) - volume.box // 2
        disc = (axis[:, None] ** 2 + axis**2).sqrt() * maps[number].pixel_size_angstrom <= diameter_angstrom / 2
        variances.append(boxes[:, disc].var(1, correction=0))
    return float(torch.cat(variances).mean())


def _volumes(dataset: Dataset, maps: Sequence[Map]) -> list[FourierVolume]:
    return [from_map(torch.from_numpy(_padded(one.data, delocalised_box(dataset, one)))) for one in maps]


def _padded(volume: NDArray[np.float32], box: int) -> NDArray[np.float32]:
    """Zeros around a map, its centre kept at index box//2."""
    start = box // 2 - len(volume) // 2
    return np.pad(volume, (start, box - len(volume) - start))


def _groups(dataset: Dataset, series: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """(class - 1, rows) of a series' particles, in pieces of one class and one optics group."""
    table = dataset.particles
    mine = table.tilt_series == series
    for number, optics in sorted(set(zip(table.class_number[mine].tolist(), table.optics[mine].tolist(), strict=True))):
        rows = np.flatnonzero(mine & (table.class_number == number) & (table.optics == optics))
        for start in range(0, len(rows), CHUNK):
            yield number - 1, rows[start : start + CHUNK]


def _boxes(dataset: Dataset, rows: NDArray[np.int64], volume: FourierVolume, tilt: int) -> tuple[Tensor, Tensor]:
    """First pixels (P, 2) and images (P, n, n) of the particles' boxes in one tilt."""
    views = one_tilt(views_of(dataset, rows), tilt)
    assert views.centre_px is not None
    corner = views.centre_px[:, 0].round().long() - volume.box // 2
    offset = views.centre_px - (corner + volume.box // 2)[:, None]
    # The mean of a box is part of its image: without it every box would end in a step.
    samples = torch.cat([torch.zeros(1, 2, dtype=torch.int64), half_plane(volume.radius)])
    rotation = torch.from_numpy(dataset.particles.rotation[rows])
    values = predict(volume, rotation, views, samples, views.pixel_size_angstrom, offset)[:, 0]
    return corner, real_images(values, samples, volume.box)


def _add(image: NDArray[np.float32], box: Tensor, x: int, y: int) -> None:
    """Add a box whose first pixel lies at (x, y), as much of it as is inside the image."""
    height, width = image.shape
    n = len(box)
    top, left, bottom, right = max(y, 0), max(x, 0), min(y + n, height), min(x + n, width)
    if top < bottom and left < right:
        image[top:bottom, left:right] += box[top - y : bottom - y, left - x : right - x].numpy()

"""Boxes of particles from tilt images, each beside what a map predicts of it there."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.fourier.grids import half_plane
from tomobayes.fourier.volume import FourierVolume, from_map
from tomobayes.imaging.crops import Crop, crop_boxes, crop_plan, delocalisation_angstrom, half_plane_frequency, transform_boxes
from tomobayes.imaging.observation import modulate
from tomobayes.imaging.predict import predict, real_images
from tomobayes.imaging.subtraction import subtracted_signal
from tomobayes.imaging.views import Views, odd_phase_factor, one_tilt, transfer, views_of
from tomobayes.maps.filters import raised_cosine
from tomobayes.maps.resampling import change_pixel_size
from tomobayes.model import Dataset, Map

__all__ = ["Pairs", "pairs_in"]

Float32 = NDArray[np.float32]
Int = NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """P particles, each in one tilt image, in the order in which they were asked for.

    Parameters
    ----------
    recorded, predicted : (P, n, n) bright particles, both filtered alike; zero where a stored stack does not hold the tilt
    correlation : (P,) of the two inside the circle; NaN where one of them is constant
    pixel_size_angstrom : of these images
    """

    recorded: Float32
    predicted: Float32
    correlation: NDArray[np.float64]
    pixel_size_angstrom: float


def pairs_in(
    dataset: Dataset,
    particles: Int,
    tilts: Int,
    reference: Map,
    *,
    lowpass_angstrom: float,
    diameter_angstrom: float,
    modulated: bool = True,
) -> Pairs:
    """Cut the boxes, and project the map at the particles' poses through the forward model.

    Parameters
    ----------
    particles, tilts : (P,) rows of the dataset, and in which image of its tilt series each is looked at
    lowpass_angstrom : resolution of both images
    diameter_angstrom : of the circle in which they are compared
    modulated : both multiplied once more by CTF·d·a, as the likelihood weighs them, so that particles look like particles; else as
        recorded. Stored stacks mostly are multiplied already: then there is no other way to look at them
    """
    pixel, box = _grid(dataset, particles, reference)
    recorded, predicted = np.zeros((2, len(particles), box, box), dtype=np.float32)
    groups = list(_groups(dataset, particles, tilts))
    images = [_Group.of(dataset, particles[places], tilt, pixel, box, lowpass_angstrom, modulated) for places, tilt in groups]
    radius = min(box // 2 - 1, max(one.radius for one in images) + 1)
    volume = from_map(torch.from_numpy(_on_grid(reference, pixel, box).data), radius)
    for (places, _), group in zip(groups, images, strict=True):
        recorded[places], predicted[places] = group.recorded(), group.predicted(volume)
    return Pairs(recorded, predicted, _correlations(recorded, predicted, diameter_angstrom / pixel), pixel)


def _groups(dataset: Dataset, particles: Int, tilts: Int) -> Iterator[tuple[Int, int]]:
    """Places in ``particles`` of those in one image and of one optics group, and which tilt it is."""
    keys = np.stack([dataset.particles.tilt_series[particles], tilts, dataset.particles.optics[particles]], 1)
    for key in np.unique(keys, axis=0):
        yield np.flatnonzero((keys == key).all(1)), int(key[1])


def _grid(dataset: Dataset, particles: Int, reference: Map) -> tuple[float, int]:
    """Pixel size and edge of the images: the map's, but no finer than the recorded ones, and those of stored stacks."""
    stacks = dataset.particles.stacks
    if stacks is not None:
        return stacks.pixel_size_angstrom, stacks.box
    unbinned = [dataset.tilt_series[index].pixel_size_angstrom for index in set(dataset.particles.tilt_series[particles].tolist())]
    pixel = max(reference.pixel_size_angstrom, *unbinned)
    return pixel, 2 * math.ceil(reference.box * reference.pixel_size_angstrom / pixel / 2 - 1e-6)


def _on_grid(reference: Map, pixel: float, box: int) -> Map:
    if reference.box == box and abs(reference.pixel_size_angstrom / pixel - 1) < 1e-4:
        return reference
    return Map(change_pixel_size(reference.data, reference.pixel_size_angstrom, pixel, box), pixel)


@dataclass(frozen=True)
class _Group:
    """Particles of one optics group in one tilt, and the samples on which their images are told.

    Parameters
    ----------
    read : gives the transforms (P, box, box//2+1) of the boxes, particle at the origin, and what they were multiplied with is ``factor``
    samples : (J, 2); window : (J,) of the low-pass filter
    points : (J, 2) the samples in Fourier pixels of the map, whose pixels may be a little smaller
    factor : (P, J), 1 or CTF·d·a
    """

    views: Views
    rotation: Tensor
    box: int
    pixel: float
    read: Callable[[], Tensor]
    samples: Tensor
    points: Tensor
    window: Tensor
    factor: Tensor

    @classmethod
    def of(cls, dataset: Dataset, rows: Int, tilt: int, pixel: float, box: int, lowpass: float, modulated: bool) -> _Group:
        """The particles in ``rows``, which share an optics group."""
        every = views_of(dataset, rows)
        views = one_tilt(every, tilt)
        views = replace(views, optics=replace(views.optics, odd_zernike=()))
        if dataset.particles.stacks is None:
            series = dataset.tilt_series[int(dataset.particles.tilt_series[rows[0]])]
            reach, large = delocalisation_angstrom(views, max(lowpass, 2 * pixel)), None if modulated else box
            crop = crop_plan(box, pixel / series.pixel_size_angstrom, large, reach, series.pixel_size_angstrom)
            read, binned = _from_images(dataset, rows, tilt, every, crop, modulated), series.pixel_size_angstrom * crop.binning
        else:
            read, binned = _from_stacks(dataset, rows, tilt, views, modulated), pixel
        cutoff = box * binned / lowpass
        samples = half_plane(min(box // 2 - 1, math.ceil(cutoff + 1)))
        window = torch.from_numpy(raised_cosine(samples.double().norm(dim=-1).numpy(), cutoff - 1, cutoff + 1))
        factor = transfer(views, 0, (samples / (box * binned)).float()) if modulated else torch.ones(len(rows), 1)
        rotation = torch.from_numpy(dataset.particles.rotation[rows])
        return cls(views, rotation, box, pixel, read, samples, samples * (pixel / binned), window, factor)

    def recorded(self) -> Float32:
        """(P, box, box) filtered boxes."""
        x, y = self.samples.T
        found: Float32 = real_images(self.read()[:, y % self.box, x] * self.window, self.samples, self.box).numpy()
        return found

    @property
    def radius(self) -> int:
        """Furthest sample, in whole Fourier pixels."""
        return math.ceil(float(self.samples.double().norm(dim=-1).max()))

    def predicted(self, volume: FourierVolume) -> Float32:
        """(P, box, box) filtered projections of the map."""
        expected = predict(volume, self.rotation, self.views, self.points, self.pixel)[:, 0]
        images = real_images(expected * self.factor * self.window, self.samples, self.box)
        shown: Float32 = (images * self.views.visible[:, :1, None]).numpy()
        return shown


def _from_images(dataset: Dataset, rows: Int, tilt: int, views: Views, crop: Crop, modulated: bool) -> Callable[[], Tensor]:
    """Boxes cut from a tilt image, without odd aberrations and what is subtracted."""
    series = dataset.tilt_series[int(dataset.particles.tilt_series[rows[0]])]
    images = series.images
    if images is None or views.centre_px is None:
        raise ValueError(f"tilt series {series.name} has no tilt images")
    centre = views.centre_px[:, tilt]

    def read() -> Tensor:
        boxes, position = crop_boxes([images.read(tilt)] * len(rows), centre, crop.raw)
        spectrum = transform_boxes(boxes, position, crop)
        frequency = half_plane_frequency(crop.large, series.pixel_size_angstrom * crop.binning)
        if views.optics.odd_zernike:
            spectrum = spectrum * odd_phase_factor(views, frequency).conj()
        taken = subtracted_signal(dataset, rows, views, crop)
        if taken is not None:
            spectrum = spectrum - torch.cat([taken(one, torch.tensor([tilt])) for one in range(len(rows))])
        if not modulated:
            return spectrum
        factor = transfer(one_tilt(views, tilt), 0, frequency.reshape(-1, 2)).reshape(spectrum.shape)
        return modulate(spectrum, factor, crop)[0]

    return read


def _from_stacks(dataset: Dataset, rows: Int, tilt: int, views: Views, modulated: bool) -> Callable[[], Tensor]:
    """Stored images of the tilt, which lack odd aberrations already."""
    stacks, visible = dataset.particles.stacks, dataset.particles.visible
    assert stacks is not None and visible is not None
    if stacks.premultiplied and not modulated:
        raise ValueError("the stored images are multiplied by the CTF already")

    def read() -> Tensor:
        boxes = np.zeros((len(rows), stacks.box, stacks.box), dtype=np.float32)
        for box, row in zip(boxes, rows.tolist(), strict=True):
            if visible[row][tilt]:
                box[:] = stacks.read(row)[int(visible[row][:tilt].sum())]
        spectrum: Tensor = torch.fft.rfft2(torch.fft.ifftshift(torch.from_numpy(boxes), dim=(-2, -1)), norm="ortho")
        if stacks.premultiplied or not modulated:
            return spectrum
        frequency = half_plane_frequency(stacks.box, stacks.pixel_size_angstrom)
        return spectrum * transfer(views, 0, frequency.reshape(-1, 2)).reshape(spectrum.shape)

    return read


def _correlations(recorded: Float32, predicted: Float32, diameter_px: float) -> NDArray[np.float64]:
    """(P,) Pearson's coefficient inside a circle."""
    axis = np.arange(recorded.shape[-1]) - recorded.shape[-1] // 2
    circle = np.hypot(axis[:, None], axis) <= diameter_px / 2
    one, two = (images[:, circle].astype(np.float64) for images in (recorded, predicted))
    one, two = (values - values.mean(1, keepdims=True) for values in (one, two))
    size = np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
    told = size > 0
    correlation = np.full(len(recorded), np.nan)
    correlation[told] = (one * two).sum(1)[told] / size[told]
    return correlation

"""Boxes around particles in tilt images, before the CTF, on samples of one half of the plane: cut once, compared and made maps of.

A box holds the delocalised signal (it is not cropped after the CTF), so that the CTF may change without cutting anew.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.fourier.grids import good_box, half_plane, shells
from tomobayes.imaging.crops import circle_fade, crop_boxes, delocalisation_angstrom, soften_circle
from tomobayes.imaging.views import Views, elongation, transfer_by_particle, views_of
from tomobayes.model import Dataset

__all__ = ["Boxes", "Cut", "Cutter", "cut_holding", "portioned", "portions_of", "transfers"]

PORTION_BYTES = 3e8
"""Of the particles that are worked on together."""
SAMPLE_BYTES = 56
"""Of one sample of an image: itself, its slice, its prediction and what comes in between."""


@dataclass(frozen=True)
class Cut:
    """How boxes are cut: edge in unbinned pixels, and the half-width that must lie inside the image."""

    edge: int
    half_width_px: float
    max_dose: float | None = None


@dataclass(frozen=True)
class Boxes:
    """P particles of one tilt series and optics group in F tilts, on J samples of one half of the plane, sorted by radius.

    Parameters
    ----------
    particles : (P,) rows of the data set
    views : where and under which optics they are seen
    frequency : (J, 2) float32, 1/Å; shell : (J,) int64, Fourier pixels of the cut box
    image : (P, F, J) complex64, X, bright, with the projected centre at the origin; zero where not visible
    window_share : mean square of the window the boxes were faded with: the noise of X is so much weaker than that of the image
    edge : of the box, unbinned pixels
    """

    particles: NDArray[np.int64]
    views: Views
    frequency: Tensor
    shell: Tensor
    image: Tensor
    window_share: float
    edge: int

    @property
    def lattice(self) -> Tensor:
        """(J, 2) int64, the samples in Fourier pixels of the cut box."""
        return (self.frequency * (self.edge * self.views.pixel_size_angstrom)).round().long()

    def within(self, radius: int) -> Boxes:
        """Those samples only that are inside a radius."""
        count = int((self.lattice.square().sum(-1) <= radius**2).sum())
        if count == len(self.frequency):
            return self
        image = self.image[..., :count].contiguous()
        return replace(self, frequency=self.frequency[:count], shell=self.shell[:count], image=image)


def cut_holding(
    dataset: Dataset,
    rows: NDArray[np.int64],
    extent_angstrom: float,
    finest_frequency: float,
    diameter_angstrom: float,
    max_dose: float | None,
) -> Cut:
    """A box that holds the particle's signal where the CTF has carried it, up to a frequency (1/Å).

    Parameters
    ----------
    extent_angstrom : edge of the maps' box, which the box is not to be smaller than
    """
    views = views_of(dataset, rows)
    pixel = views.pixel_size_angstrom
    reach = delocalisation_angstrom(views, 1 / finest_frequency)
    edge = good_box(math.ceil(max(extent_angstrom, diameter_angstrom + 2 * reach) / pixel))
    return Cut(edge, 0.5 * diameter_angstrom / pixel, max_dose)


def portioned(rows: NDArray[np.int64], tilts: int, samples: int, budget_bytes: float = PORTION_BYTES) -> Sequence[NDArray[np.int64]]:
    """Rows in portions whose comparison takes no more than about a budget."""
    largest = max(1, int(budget_bytes / (SAMPLE_BYTES * tilts * samples)))
    return np.array_split(rows, -(-len(rows) // largest))


def portions_of(dataset: Dataset, rows: NDArray[np.int64], cut: Cut, finest_frequency: float) -> Sequence[NDArray[np.int64]]:
    """Particles of one tilt series that are worked on together, up to a frequency (1/Å)."""
    series = dataset.tilt_series[int(dataset.particles.tilt_series[rows[0]])]
    samples = int(0.5 * math.pi * (finest_frequency * cut.edge * series.pixel_size_angstrom) ** 2) + 1
    return portioned(rows, series.n_tilts, samples)


class Cutter:
    """Boxes of a data set, kept in memory while they fit into a budget and cut again from the images where they do not."""

    def __init__(self, dataset: Dataset, budget_bytes: float = 0.0):
        self.dataset, self.budget_bytes = dataset, budget_bytes
        self._kept: dict[tuple[bytes, Cut], Boxes] = {}

    def __call__(self, rows: NDArray[np.int64], cut: Cut, finest_frequency: float) -> Boxes:
        """Boxes of particles of one tilt series and optics group, up to a frequency (1/Å)."""
        radius, key = self.radius(rows, cut, finest_frequency), (rows.tobytes(), cut)
        kept = self._kept.get(key)
        if kept is not None and int(kept.shell[-1]) >= radius:
            return kept.within(radius)
        found = _cut(self.dataset, rows, cut, radius)
        if kept is None and found.image.nbytes + sum(one.image.nbytes for one in self._kept.values()) <= self.budget_bytes:
            self._kept[key] = found
        return found

    def anew(self, dataset: Dataset) -> Cutter:
        """One for the same images with other parameters, which begins with nothing; this one forgets what it has kept."""
        self._kept.clear()
        return Cutter(dataset, self.budget_bytes)

    def __reduce__(self) -> tuple[type[Cutter], tuple[Dataset, float]]:
        return Cutter, (self.dataset, self.budget_bytes)

    def radius(self, rows: NDArray[np.int64], cut: Cut, finest_frequency: float) -> int:
        """Fourier pixels of the cut box up to which images are looked at for maps up to a frequency."""
        series = self.dataset.tilt_series[int(self.dataset.particles.tilt_series[rows[0]])]
        longest = elongation(views_of(self.dataset, rows[:1]))
        return min(int(finest_frequency * cut.edge * series.pixel_size_angstrom / longest + 1e-6), cut.edge // 2 - 1)


def _cut(dataset: Dataset, rows: NDArray[np.int64], cut: Cut, radius: int) -> Boxes:
    series = dataset.tilt_series[int(dataset.particles.tilt_series[rows[0]])]
    assert series.images is not None
    views = views_of(dataset, rows, half_width_px=cut.half_width_px, max_dose=cut.max_dose)
    samples, fade = half_plane(radius), circle_fade(cut.edge)
    pictures = [np.asarray(series.images.read(tilt)) for tilt in range(series.n_tilts)]
    return Boxes(
        particles=rows,
        views=views,
        frequency=(samples / (cut.edge * views.pixel_size_angstrom)).float(),
        shell=shells(samples),
        image=_transforms(pictures, views, samples, fade),
        window_share=float(fade.square().mean()),
        edge=cut.edge,
    )


def _transforms(pictures: Sequence[NDArray[np.generic]], views: Views, samples: Tensor, fade: Tensor) -> Tensor:
    """(P, F, J) orthonormal transforms with the particles at the origin; columns and rows beyond the samples are never computed."""
    assert views.centre_px is not None
    edge, radius = len(fade), int(samples[:, 0].max())
    rows = torch.arange(-radius, radius + 1)
    turn = 2 * math.pi / edge
    at = (samples[:, 1] + radius) * (radius + 1) + samples[:, 0]
    out = torch.zeros(*views.visible.shape, len(samples), dtype=torch.complex64)
    for particle, visible in enumerate(views.visible):
        tilts = visible.nonzero()[:, 0]
        boxes, position = crop_boxes([pictures[tilt] for tilt in tilts.tolist()], views.centre_px[particle, tilts], edge)
        spectrum = torch.fft.rfft(soften_circle(boxes, fade), norm="ortho")[..., : radius + 1]
        spectrum = torch.fft.fft(spectrum, dim=1, norm="ortho")[:, rows]
        across, up = (
            torch.polar(torch.ones(1, dtype=torch.float64), turn * position[:, axis, None] * one).to(torch.complex64)
            for axis, one in enumerate((rows[radius:], rows))
        )
        out[particle, tilts] = (spectrum * up[:, :, None] * across[:, None]).flatten(1)[:, at]
    return out


def transfers(views: Views, frequency: Tensor) -> Tensor:
    """(P, F, J) CTF·d·a, everything real that multiplies the signal, at frequencies (J, 2) in 1/Å."""
    of, tilts = transfer_by_particle(views, frequency), torch.arange(len(views.rotation))
    return torch.stack([of(particle, tilts) for particle in range(len(views.visible))])

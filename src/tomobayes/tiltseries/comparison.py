"""Tilt images beside what the maps predict of them, before the CTF: the one place where optics and geometry are learned from.

The box holds the delocalised signal (it is not cropped after the CTF), so that the CTF may change without cutting anew. Samples are
those of the unbinned box up to the references' resolution; what is finer is never computed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.fourier.grids import good_box, half_plane, shells
from tomobayes.fourier.slices import extract_slices
from tomobayes.imaging.crops import Crop, circle_fade, crop_boxes, delocalisation_angstrom, soften_circle, transform_boxes
from tomobayes.imaging.noise import NoiseSums, spectrum
from tomobayes.imaging.views import Views, elongation, odd_phase_factor, slice_rotation, transfer, views_of
from tomobayes.model import Dataset
from tomobayes.tiltseries.references import References

__all__ = ["Calibration", "Comparison", "Cut", "calibrate", "compare", "cut_for", "portioned", "predicted"]

SAMPLE = 64
"""Particles of a tilt series from which its noise and the reference's grey scale are learned."""
PRIOR_NATS = 10.0
"""Strength of the belief that all shells of a reference have the same grey scale."""


@dataclass(frozen=True)
class Cut:
    """How boxes are cut: edge in unbinned pixels, and the half-width that must lie inside the image."""

    edge: int
    half_width_px: float
    max_dose: float | None = None


@dataclass(frozen=True)
class Comparison:
    """P particles of one tilt series and optics group in F tilts, on J samples of one half of the plane, sorted by radius.

    Parameters
    ----------
    particles : (P,) rows of the data set
    views : where and under which optics they are seen
    frequency : (J, 2) float32, 1/Å; shell : (J,) int64, Fourier pixels of the cut box
    image : (P, F, J) complex64, X, bright, with the projected centre at the origin; zero where not visible
    slices : (P, F, J) complex64, V((R_f A_p)ᵀ(j, 0)) of the particle's own half-set, no optics applied; zero where not visible
    window_share : mean square of the window the boxes were faded with: the noise of X is so much weaker than that of the image
    """

    particles: NDArray[np.int64]
    views: Views
    frequency: Tensor
    shell: Tensor
    image: Tensor
    slices: Tensor
    window_share: float


@dataclass(frozen=True)
class Calibration:
    """What all images of a tilt series have in common.

    Parameters
    ----------
    amplitude : (S,) by what the reference is to be multiplied, per shell, to predict the images
    sigma2 : (F, S) variance of one real component of the noise of X, as if no window had been applied
    """

    amplitude: Tensor
    sigma2: Tensor

    def precision(self, shell: Tensor) -> Tensor:
        """(F, J) 1/σ² of samples in shells (J,)."""
        return (1 / self.sigma2)[:, shell].float()


def cut_for(dataset: Dataset, rows: NDArray[np.int64], references: References, diameter_angstrom: float, max_dose: float | None) -> Cut:
    """A box that holds the particle's signal where the CTF has carried it, at the references' resolution."""
    views = views_of(dataset, rows)
    pixel = views.pixel_size_angstrom
    reach = delocalisation_angstrom(views, 1 / references.finest_frequency)
    edge = good_box(math.ceil(max(references.extent_angstrom, diameter_angstrom + 2 * reach) / pixel))
    return Cut(edge, 0.5 * diameter_angstrom / pixel, max_dose)


def portioned(rows: NDArray[np.int64], tilts: int, samples: int, budget_bytes: float = 3e8) -> Sequence[NDArray[np.int64]]:
    """Rows in portions whose comparison takes no more than about a budget."""
    largest = max(1, int(budget_bytes / (32 * tilts * samples)))
    return np.array_split(rows, -(-len(rows) // largest))


def compare(dataset: Dataset, rows: NDArray[np.int64], references: References, cut: Cut) -> Comparison:
    """Cut the images of particles of one tilt series and optics group, and project the references at their poses.

    Parameters
    ----------
    rows : (P,) rows of the data set
    """
    series = dataset.tilt_series[int(dataset.particles.tilt_series[rows[0]])]
    assert series.images is not None
    views = views_of(dataset, rows, half_width_px=cut.half_width_px, max_dose=cut.max_dose)
    pixel = series.pixel_size_angstrom
    radius = min(int(references.finest_frequency * cut.edge * pixel / elongation(views)), cut.edge // 2 - 1)
    samples = half_plane(radius)
    fade = circle_fade(cut.edge)
    images = [np.asarray(series.images.read(tilt)) for tilt in range(series.n_tilts)]
    frequency = (samples / (cut.edge * pixel)).float()
    return Comparison(
        particles=rows,
        views=views,
        frequency=frequency,
        shell=shells(samples),
        image=_images(images, views, samples, Crop(cut.edge, cut.edge, cut.edge), fade),
        slices=_slices(dataset, rows, references, views, frequency),
        window_share=float(fade.square().mean()),
    )


def _images(pictures: Sequence[NDArray[np.generic]], views: Views, samples: Tensor, crop: Crop, fade: Tensor) -> Tensor:
    assert views.centre_px is not None
    at = (samples[:, 1] % crop.raw) * (crop.raw // 2 + 1) + samples[:, 0]
    out = torch.zeros(*views.visible.shape, len(samples), dtype=torch.complex64)
    for particle, visible in enumerate(views.visible):
        tilts = visible.nonzero()[:, 0]
        boxes, position = crop_boxes([pictures[tilt] for tilt in tilts.tolist()], views.centre_px[particle, tilts], crop.raw)
        out[particle, tilts] = transform_boxes(soften_circle(boxes, fade), position, crop).flatten(1)[:, at]
    return out


def _slices(dataset: Dataset, rows: NDArray[np.int64], references: References, views: Views, frequency: Tensor) -> Tensor:
    table = dataset.particles
    points = torch.nn.functional.pad(frequency * references.extent_angstrom, (0, 1))
    seen = slice_rotation(views) @ torch.from_numpy(table.rotation[rows])[:, None]
    out = torch.zeros(*views.visible.shape, len(frequency), dtype=torch.complex64)
    for place, row in enumerate(rows.tolist()):
        volume = references.volumes[int(table.half[row]) - 1][int(references.fold[row])]
        tilts = views.visible[place].nonzero()[:, 0]
        out[place, tilts] = extract_slices(volume, seen[place, tilts].float(), points)
    return out


def predicted(comparison: Comparison) -> Tensor:
    """CTF·d·a·exp(iρ)·V as the views have it, (P, F, J) complex64."""
    c, views = comparison, comparison.views
    factor = torch.stack([transfer(views, tilt, c.frequency) for tilt in range(len(views.rotation))], 1)
    image = c.slices * factor
    return image * odd_phase_factor(views, c.frequency) if views.optics.odd_zernike else image


def calibrate(comparisons: Sequence[Comparison]) -> Calibration:
    """Noise and grey scale from comparisons of one tilt series on the same samples; some `SAMPLE` particles are enough.

    The amplitude of a shell is the regression of the images on the prediction, drawn towards that of all shells; σ² is what is left.
    """
    agreement, power, energy, count = (torch.stack(sums).sum(0) for sums in zip(*map(_sums, comparisons), strict=True))
    share = comparisons[0].window_share
    noise = (energy / (2 * share * count)).where(energy > 0, torch.inf)  # nearly all of an image is noise
    known, expected = (agreement / noise).sum(0), (power / noise).sum(0)
    common = float(known.sum() / expected.sum().clamp_min(1e-300))
    if common <= 0:
        amplitude = torch.zeros_like(known)
    else:
        prior = PRIOR_NATS / common**2
        amplitude = ((known + prior * common) / (expected + prior)).clamp_min(0)
    residual = (energy - 2 * amplitude * agreement + amplitude.square() * power).clamp_min(0) / share
    return Calibration(amplitude, spectrum(NoiseSums(residual, 2 * count, count, comparisons[0].views.dose)))


def _sums(comparison: Comparison) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """ΣRe(X*·prediction), Σ|prediction|², Σ|X|² and how many, each (F, S) float64."""
    image, prediction = comparison.image, predicted(comparison)
    seen = comparison.views.visible.sum(0).double()
    bins = int(comparison.shell.max()) + 1

    def per_shell(values: Tensor) -> Tensor:
        return torch.zeros(len(values), bins, dtype=torch.float64).index_add_(1, comparison.shell, values.double())

    count = torch.bincount(comparison.shell, minlength=bins) * seen[:, None]
    agreement = (image.real * prediction.real + image.imag * prediction.imag).sum(0)
    return per_shell(agreement), per_shell(prediction.abs().square().sum(0)), per_shell(image.abs().square().sum(0)), count

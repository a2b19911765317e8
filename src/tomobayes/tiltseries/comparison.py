"""Tilt images beside what the maps predict of them, before the CTF: the one place where optics and geometry are learned from.

Samples are those of the unbinned box up to the references' resolution; what is finer is never computed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.fourier.slices import extract_slices
from tomobayes.imaging.noise import NoiseSums, spectrum
from tomobayes.imaging.views import Views, odd_phase_factor, slice_rotation, transfer_by_particle
from tomobayes.model import Dataset
from tomobayes.tiltseries.boxes import Boxes, Cut, Cutter, cut_holding, transfers
from tomobayes.tiltseries.references import References

__all__ = ["Calibration", "Comparison", "beside", "calibrate", "compare", "cut_for"]

SAMPLE = 64
"""Particles of a tilt series from which its noise and the reference's grey scale are learned."""
PRIOR_NATS = 10.0
"""Strength of the belief that all shells of a reference have the same grey scale."""


@dataclass(frozen=True)
class Comparison:
    """Boxes (fields as theirs) beside the references.

    Parameters
    ----------
    slices : (P, F, J) complex64, V((R_f A_p)ᵀ(j, 0)) of the particle's own half-set, no optics applied; zero where not visible
    """

    particles: NDArray[np.int64]
    views: Views
    frequency: Tensor
    shell: Tensor
    image: Tensor
    slices: Tensor
    window_share: float

    @cached_property
    def factor(self) -> Tensor:
        """(P, F, J) float32, CTF·d·a."""
        return transfers(self.views, self.frequency)

    @cached_property
    def predicted(self) -> Tensor:
        """CTF·d·a·exp(iρ)·V as the views have it, (P, F, J) complex64."""
        of, tilts = transfer_by_particle(self.views, self.frequency), torch.arange(len(self.views.rotation))
        turn = odd_phase_factor(self.views, self.frequency) if self.views.optics.odd_zernike else None
        image = torch.empty_like(self.slices)
        for particle, (one, slices) in enumerate(zip(image, self.slices, strict=True)):  # one at a time stays in the cache
            torch.mul(slices, of(particle, tilts), out=one)
            if turn is not None:
                one *= turn
        return image

    def every(self, step: int) -> Comparison:
        """Of every so manieth particle."""
        views, each = self.views, slice(None, None, step)
        few = replace(
            views,
            centre_px=None if views.centre_px is None else views.centre_px[each],
            defocus_u_angstrom=views.defocus_u_angstrom[each],
            defocus_v_angstrom=views.defocus_v_angstrom[each],
            visible=views.visible[each],
        )
        return replace(self, particles=self.particles[each], views=few, image=self.image[each], slices=self.slices[each])


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
    """How boxes of particles of one tilt series are cut to be compared with references."""
    return cut_holding(dataset, rows, references.extent_angstrom, references.cut_frequency, diameter_angstrom, max_dose)


def compare(cutter: Cutter, rows: NDArray[np.int64], references: References, cut: Cut) -> Comparison:
    """Cut the images of particles of one tilt series and optics group, and project the references at their poses.

    Parameters
    ----------
    rows : (P,) rows of the data set
    """
    return beside(cutter.dataset, cutter(rows, cut, references.finest_frequency), references)


def beside(dataset: Dataset, boxes: Boxes | Comparison, references: References) -> Comparison:
    """Boxes that are cut already beside references."""
    slices = _slices(dataset, boxes.particles, references, boxes.views, boxes.frequency)
    return Comparison(boxes.particles, boxes.views, boxes.frequency, boxes.shell, boxes.image, slices, boxes.window_share)


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


def calibrate(comparisons: Iterable[Comparison]) -> Calibration:
    """Noise and grey scale from comparisons of one tilt series on the same samples; some `SAMPLE` particles are enough.

    The amplitude of a shell is the regression of the images on the prediction, drawn towards that of all shells; σ² is what is left.
    """
    parts = [(_sums(one), one.window_share, one.views.dose) for one in comparisons]
    agreement, power, energy, count = (torch.stack(sums).sum(0) for sums in zip(*(sums for sums, _, _ in parts), strict=True))
    _, share, dose = parts[0]
    noise = (energy / (2 * share * count)).where(energy > 0, torch.inf)  # nearly all of an image is noise
    known, expected = (agreement / noise).sum(0), (power / noise).sum(0)
    common = float(known.sum() / expected.sum().clamp_min(1e-300))
    if common <= 0:
        amplitude = torch.zeros_like(known)
    else:
        prior = PRIOR_NATS / common**2
        amplitude = ((known + prior * common) / (expected + prior)).clamp_min(0)
    residual = (energy - 2 * amplitude * agreement + amplitude.square() * power).clamp_min(0) / share
    return Calibration(amplitude, spectrum(NoiseSums(residual, 2 * count, count, dose)))


def _sums(comparison: Comparison) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """ΣRe(X*·prediction), Σ|prediction|², Σ|X|² and how many, each (F, S) float64."""
    seen = comparison.views.visible.sum(0).double()
    bins = int(comparison.shell.max()) + 1
    products = torch.zeros(3, len(seen), len(comparison.shell), 2)
    images, predictions = torch.view_as_real(comparison.image), torch.view_as_real(comparison.predicted)
    for image, prediction in zip(images, predictions, strict=True):  # one particle at a time stays in the cache
        for total, factor, other in zip(products, (image, prediction, image), (prediction, prediction, image), strict=True):
            total.addcmul_(factor, other)
    agreement, power, energy = torch.zeros(3, len(seen), bins, dtype=torch.float64).index_add_(
        2, comparison.shell, products.sum(-1).double()
    )
    return agreement, power, energy, torch.bincount(comparison.shell, minlength=bins) * seen[:, None]

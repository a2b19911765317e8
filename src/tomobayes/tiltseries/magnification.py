"""Anisotropic magnification of an optics group: by how much and where to images are stretched, at an unchanged mean magnification.

The prediction is linear in so small a stretch, so each portion of the particles is condensed to normal equations. A stretch also
stretches the rings of the CTF, as astigmatism would; defocus and astigmatism that a series' images share are therefore unknowns, too, and
eliminated. A mean magnification would be a pixel size, and a turn is in the poses already: neither is fitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.fourier.slices import extract_slices
from tomobayes.imaging.views import odd_phase_factor, slice_rotation, specimen_frequency
from tomobayes.model import Dataset
from tomobayes.optics import phase_coefficients, phase_terms
from tomobayes.tiltseries.comparison import Calibration, Comparison
from tomobayes.tiltseries.condensed import decays
from tomobayes.tiltseries.references import References

__all__ = ["MagnificationResult", "MagnificationSums", "magnification_sums", "refined_magnification", "stretched"]

Float = NDArray[np.float64]
Matrix = tuple[tuple[float, float], tuple[float, float]]

STEP = 1e-3
"""Stretch over which the prediction is differentiated."""
UNKNOWNS = 2
"""How many of the parameters are of interest; the rest, defocus and astigmatism, are eliminated."""


@dataclass(frozen=True)
class MagnificationSums:
    """Normal equations of one tilt series by fold: (K, 5) slopes and (K, 5, 5) information on stretch, defocus and astigmatism."""

    slope: Float
    information: Float

    def __add__(self, other: MagnificationSums) -> MagnificationSums:
        return MagnificationSums(self.slope + other.slope, self.information + other.information)

    def alone(self, folds: NDArray[np.bool_]) -> tuple[Float, Float]:
        """(2,) and (2, 2) on the stretch, with everything else as the same folds have it."""
        slope, information = self.slope[folds].sum(0), self.information[folds].sum(0)
        rest = information[UNKNOWNS:, UNKNOWNS:] + 1e-9 * np.eye(len(slope) - UNKNOWNS)
        across = np.linalg.solve(rest, information[UNKNOWNS:, :UNKNOWNS]).T
        return slope[:UNKNOWNS] - across @ slope[UNKNOWNS:], information[:UNKNOWNS, :UNKNOWNS] - across @ information[UNKNOWNS:, :UNKNOWNS]


@dataclass(frozen=True)
class MagnificationResult:
    """The stretch of an optics group.

    Parameters
    ----------
    before, after : magnification that was written, and that is kept
    stretch : (a, b) of the change [[a, b], [b, -a]] that was found; error : (2,)
    gain : of the log likelihood of particles held out from it, nats
    """

    group: int
    before: Matrix
    after: Matrix
    stretch: Float
    error: Float
    gain: float

    @property
    def kept(self) -> bool:
        """Whether the change is worth keeping."""
        return self.gain > 0


def stretched(magnification: Tensor, stretch: Sequence[float] | Float) -> Tensor:
    """(2, 2) magnification after another stretch (a, b)."""
    a, b = (float(value) for value in stretch)
    return torch.tensor([[1 + a, b], [b, 1 - a]], dtype=magnification.dtype) @ magnification


def magnification_sums(
    dataset: Dataset, comparison: Comparison, references: References, calibration: Calibration, fold: NDArray[np.int64], n_folds: int
) -> MagnificationSums:
    """What a portion of the particles says of the stretch.

    Parameters
    ----------
    fold : (P,) fold of each particle
    """
    amplitude = calibration.amplitude[comparison.shell].float()
    precision = calibration.precision(comparison.shell)
    derivatives = [
        (_stretched(dataset, comparison, references, STEP * direction) - _stretched(dataset, comparison, references, -STEP * direction))
        / (2 * STEP)
        for direction in np.eye(UNKNOWNS)
    ]
    derivatives += _defocus_derivatives(comparison)
    rest = comparison.image - comparison.predicted * amplitude
    slope = torch.zeros(n_folds, len(derivatives), dtype=torch.float64)
    information = torch.zeros(n_folds, len(derivatives), len(derivatives), dtype=torch.float64)
    members = torch.from_numpy(fold)
    for i, one in enumerate(derivatives):
        weighed = one * (amplitude * precision)
        slope[:, i].index_add_(0, members, _product(weighed, rest))
        for k in range(i + 1):
            information[:, i, k].index_add_(0, members, _product(weighed, derivatives[k] * amplitude))
            information[:, k, i] = information[:, i, k]
    return MagnificationSums(slope.numpy(), information.numpy())


def _product(one: Tensor, other: Tensor) -> Tensor:
    """(P,) real products of (P, F, J)."""
    return (one.real * other.real + one.imag * other.imag).sum((1, 2), dtype=torch.float64)


def _stretched(dataset: Dataset, comparison: Comparison, references: References, stretch: Float) -> Tensor:
    """The prediction with other slices and other rings."""
    views = replace(comparison.views, magnification=stretched(comparison.views.magnification, stretch))
    table = dataset.particles
    points = torch.nn.functional.pad(comparison.frequency * references.extent_angstrom, (0, 1)) * (1 - 4 * STEP)
    seen = slice_rotation(views) @ torch.from_numpy(table.rotation[comparison.particles])[:, None] / (1 - 4 * STEP)
    slices = torch.zeros_like(comparison.slices)
    for place, row in enumerate(comparison.particles.tolist()):
        volume = references.volumes[int(table.half[row]) - 1][int(references.fold[row])]
        tilts = views.visible[place].nonzero()[:, 0]
        slices[place, tilts] = extract_slices(volume, seen[place, tilts].float(), points)
    return replace(comparison, views=views, slices=slices).predicted


def _defocus_derivatives(comparison: Comparison) -> list[Tensor]:
    """(P, F, J) derivatives of the prediction in defocus and either astigmatism, per 1e4 Å."""
    views = comparison.views
    seen = specimen_frequency(views, comparison.frequency)
    terms = phase_terms(seen, views.optics)
    phase = phase_coefficients(views.defocus_u_angstrom, views.defocus_v_angstrom, views.astigmatism_radians, views.phase_shift_radians).to(
        terms
    )
    signal = comparison.slices * (torch.cos(phase @ terms) * decays(views, seen))
    if views.optics.odd_zernike:
        signal = signal * odd_phase_factor(views, comparison.frequency)
    return [signal * (1e4 * terms[number]) for number in range(3)]


def refined_magnification(group: int, before: Matrix, found: Sequence[MagnificationSums]) -> MagnificationResult:
    """The stretch of a group, kept where it explains particles that were held out from it.

    Parameters
    ----------
    found : of all the group's tilt series, each with a defocus of its own
    """
    number = np.arange(len(found[0].slope))
    gain = 0.0
    for fold in number:
        stretch = _solved(found, number != fold)[0]
        slope, information = _added(found, number == fold)
        gain += float(slope @ stretch - 0.5 * stretch @ information @ stretch)
    stretch, error = _solved(found, number >= 0)
    after = stretched(torch.tensor(before, dtype=torch.float64), stretch).tolist() if gain > 0 else before
    (xx, xy), (yx, yy) = after
    return MagnificationResult(group, before, ((xx, xy), (yx, yy)), stretch, error, gain)


def _added(found: Sequence[MagnificationSums], folds: NDArray[np.bool_]) -> tuple[Float, Float]:
    alone = [one.alone(folds) for one in found]
    return np.sum([slope for slope, _ in alone], 0), np.sum([information for _, information in alone], 0)


def _solved(found: Sequence[MagnificationSums], folds: NDArray[np.bool_]) -> tuple[Float, Float]:
    slope, information = _added(found, folds)
    inverse = np.linalg.inv(information + 1e-9 * np.eye(UNKNOWNS))
    return inverse @ slope, np.sqrt(np.diag(inverse))

"""Shifts of whole tilt images, however far they are off: nothing else is changed.

Two ways: the sum of all particles' tables, which reaches as far as they do, and the whole image beside its prediction from all particles,
which has no limit but is hampered by whatever else the image shows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.imaging.views import odd_phase_factor, transfer
from tomobayes.tiltseries.comparison import Comparison
from tomobayes.tiltseries.signal import Signal
from tomobayes.tiltseries.tables import Tables, look_up

__all__ = ["add_prediction", "correlation", "peak_of", "shift_by_particles"]

REFINEMENTS = 6


def shift_by_particles(table: Tables, chosen: Tensor) -> Tensor:
    """(F, 2) Å, the peak of the sum of the chosen (P, F) particles' tables in each tilt; zero where none was chosen."""
    size = int(2 * table.reach_angstrom / table.step_angstrom) | 1
    axis = torch.linspace(-table.reach_angstrom, table.reach_angstrom, size, dtype=torch.float64)
    best = torch.zeros(chosen.shape[1], 2, dtype=torch.float64)
    highest = torch.full((chosen.shape[1],), -math.inf, dtype=torch.float64)
    for y in axis:
        for x in axis:
            value = (look_up(table, torch.stack([x, y]).expand(*chosen.shape, 2))[0] * chosen).sum(0)
            better = value > highest
            highest = torch.where(better, value, highest)
            best[better] = torch.stack([x, y])
    stiffness = (table.information * chosen[..., None, None]).sum(0) + 1e-12 * torch.eye(2, dtype=torch.float64)
    for _ in range(REFINEMENTS):
        slope = (look_up(table, best.expand(*chosen.shape, 2))[1] * chosen[..., None]).sum(0)
        best = best + torch.linalg.solve(stiffness, slope).clamp(-table.step_angstrom, table.step_angstrom)
    return torch.where(chosen.any(0)[:, None], best, 0)


def add_prediction(canvas: NDArray[np.float32], comparison: Comparison, signal: Signal, tilt: int, chosen: Tensor) -> None:
    """Add to a picture (height, width) what a tilt image should show of its particles, bright, up to the references' resolution.

    Parameters
    ----------
    chosen : (P,) bool, which of the comparison's particles
    """
    one = comparison
    seen = (one.views.visible[:, tilt] & chosen).nonzero()[:, 0]
    assert one.views.centre_px is not None
    centre = one.views.centre_px[seen, tilt]
    corner = centre.round().long()
    base = float(one.frequency[0].norm())
    edge = round(1 / (base * one.views.pixel_size_angstrom))
    samples = (one.frequency / base).round().long()
    turn = torch.exp(-2j * math.pi / edge * ((centre - corner + edge // 2) @ samples.T.double()))
    image = (
        one.slices[seen, tilt] * transfer(one.views, tilt, one.frequency)[seen] * signal.scale(one.shell)[tilt] * turn.to(torch.complex64)
    )
    if one.views.optics.odd_zernike:
        image = image * odd_phase_factor(one.views, one.frequency)
    spectrum = torch.zeros(len(seen), edge, edge // 2 + 1, dtype=torch.complex64)
    spectrum[:, samples[:, 1] % edge, samples[:, 0]] = image
    # Samples with x = 0 stand for two in the half-transform: their mates must be there as well.
    first = samples[:, 0] == 0
    spectrum[:, -samples[first, 1] % edge, 0] = image[:, first].conj()
    boxes = torch.fft.irfft2(spectrum, (edge, edge), norm="ortho").numpy()
    for box, (x, y) in zip(boxes, (corner - edge // 2).tolist(), strict=True):
        _add(canvas, box, x, y)


def _add(canvas: NDArray[np.float32], box: NDArray[np.float32], x: int, y: int) -> None:
    """Add a box with its first pixel at (x, y), as far as it lies inside."""
    height, width = canvas.shape
    rows, columns = slice(max(y, 0), min(y + len(box), height)), slice(max(x, 0), min(x + len(box), width))
    if rows.start < rows.stop and columns.start < columns.stop:
        canvas[rows, columns] += box[rows.start - y : rows.stop - y, columns.start - x : columns.stop - x]


def correlation(
    image: NDArray[np.generic], prediction: NDArray[np.float32], pixel_size_angstrom: float, sigma2: Tensor, shell_width: float
) -> Tensor:
    """(height, width) log likelihood, but for a constant, of an image displaced by (x, y) pixels from its prediction, cyclic.

    Parameters
    ----------
    image : (height, width) as recorded, dark particles
    sigma2 : (S,) variance of one real component of the noise per shell; shell_width : 1/Å
    """
    height, width = image.shape
    bright = torch.from_numpy(np.negative(image, dtype=np.float32))
    y, x = torch.fft.fftfreq(height, pixel_size_angstrom), torch.fft.rfftfreq(width, pixel_size_angstrom)
    shell = ((y[:, None] ** 2 + x**2).sqrt() / shell_width).round().long()
    weight = torch.where((shell > 0) & (shell < len(sigma2)), 1 / sigma2[shell.clamp(0, len(sigma2) - 1)], 0)
    expected = torch.fft.rfft2(torch.from_numpy(prediction))
    # The transform adds up the whole plane, the likelihood half of it.
    agreement: Tensor = 0.5 * torch.fft.irfft2(torch.fft.rfft2(bright - bright.mean()) * expected.conj() * weight, (height, width))
    return agreement


def peak_of(agreement: Tensor) -> Tensor:
    """(2,) pixels (x, y) of the highest point of a cyclic map (height, width), to a part of a pixel."""
    height, width = agreement.shape
    row, column = divmod(int(agreement.argmax()), width)
    peak = [
        column + _vertex([float(agreement[row, (column + step) % width]) for step in (-1, 0, 1)]),
        row + _vertex([float(agreement[(row + step) % height, column]) for step in (-1, 0, 1)]),
    ]
    wrapped = [place - edge if place > edge / 2 else place for place, edge in zip(peak, (width, height), strict=True)]
    return torch.tensor(wrapped, dtype=torch.float64)


def _vertex(values: Sequence[float]) -> float:
    """Where a parabola through three neighbours has its top, from the middle one."""
    before, here, after = values
    bend = before - 2 * here + after
    return 0.0 if bend >= 0 else 0.5 * (before - after) / bend

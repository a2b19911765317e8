"""What reading slices of a map and adding them up again makes of it: a convolution on a box of twice its edge."""

from __future__ import annotations

import torch
from torch import Tensor

from tomobayes.fourier.volume import PADDING, Sums, spread, wrapped

__all__ = ["Response", "convolved", "response"]

Response = Tensor
"""(2n, 2n, n+1) real: what Σw does to a map inside its box, on the grid of an rfftn of twice its edge."""

COLUMNS = 16
"""Of the third axis, padded at a time: all of them would be the largest array of a reconstruction."""


def response(sums: Sums) -> Response:
    """Σw itself, every half Fourier pixel.

    Trilinear insertion smears it by half a Fourier pixel, which is not undone: as it is it is nowhere negative, so that no map can be
    made much of that the images do not show.
    """
    extent, padded = sums.weight.shape[-1] - 1, PADDING * sums.box
    rows = wrapped(-extent, 2 * extent + 1, padded, sums.weight.device)
    columns = torch.nn.functional.pad(sums.weight, (0, sums.box - extent))
    return spread(spread(columns, 1, rows, padded), 0, rows, padded)


def convolved(volume: Tensor, passed: Response) -> Tensor:
    """A map (n, n, n) as the images pass it on, inside its box: twice the box holds every lag, so nothing wraps around."""
    box, padded = len(volume), len(passed)
    spectrum = torch.fft.fft(torch.fft.rfft(volume, n=padded), n=padded, dim=1)
    for first in range(0, spectrum.shape[2], COLUMNS):
        some = slice(first, first + COLUMNS)
        spectrum[..., some] = torch.fft.ifft(torch.fft.fft(spectrum[..., some], n=padded, dim=0) * passed[..., some], dim=0)[:box]
    inside: Tensor = torch.fft.irfft(torch.fft.ifft(spectrum, dim=1)[:, :box], n=padded)[..., :box]
    return inside

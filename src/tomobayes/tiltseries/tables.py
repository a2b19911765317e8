"""How likely each displacement of a particle in a tilt image is: cross-correlation tables (eqs 31-33), read as cubic splines.

Near its predicted place the log likelihood of a displacement δ is CC(δ) = Σ_j Re[X_j* · prediction_j · exp(-2πi k_j·δ)]/σ_j², a
band-limited function. It is kept as coefficients of cubic B-splines on a grid fine enough for its band limit: those of a wave are known
exactly, wave by wave, so a table has no errors from its borders, and its gradient is as smooth as the interpolant.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.compute.threads import one_thread
from tomobayes.tiltseries.comparison import Comparison

__all__ = ["Tables", "common_peak", "joined_tables", "look_up", "silenced", "some_of", "table_points", "table_step", "tables"]

POINTS_PER_WAVE = 6.0
"""Grid points per period of the finest wave: interpolation is then good to 2e-3 of that wave's amplitude."""


@dataclass(frozen=True)
class Tables:
    """Log likelihoods of displacements of P particles in F tilts.

    Parameters
    ----------
    coefficients : (P, F, T, T) float32, cubic B-splines on a square grid (y, x) around the origin
    origin_angstrom : (P, F, 2) float64 (x, y), displacement at which the table is centred
    step_angstrom : of the grid; reach_angstrom : farthest displacement from the centre that is read from the grid
    information : (P, F, 2, 2) float64, 1/Å²: expected curvature of -CC at its peak, Σ (2π)² k kᵀ |prediction|²/σ²; 0 where not visible
    """

    coefficients: Tensor
    origin_angstrom: Tensor
    step_angstrom: float
    reach_angstrom: float
    information: Tensor


def table_step(finest_frequency: float) -> float:
    """Å between the points of a grid for waves up to a frequency (1/Å)."""
    return 1 / (POINTS_PER_WAVE * finest_frequency)


def table_points(finest_frequency: float, reach_angstrom: float) -> int:
    """Points along an edge of a table."""
    return _points(table_step(finest_frequency), reach_angstrom)


def _points(step_angstrom: float, reach_angstrom: float) -> int:
    return 2 * (math.ceil(reach_angstrom / step_angstrom) + 2)


@one_thread()
def tables(
    comparison: Comparison,
    scale: Tensor,
    precision: Tensor,
    step_angstrom: float,
    reach_angstrom: float,
    origin_angstrom: Tensor,
    by_chance: Tensor | None = None,
) -> Tables:
    """Tables of one portion of particles.

    Parameters
    ----------
    scale : (F, J) by what the prediction is to be multiplied, to be one of X in the images' grey scale
    precision : (F, J) 1/σ² of one real component
    step_angstrom : see `table_step`
    origin_angstrom : (P, F, 2) displacement from the places that the fit counts from to those where the images were cut
    by_chance : (P, F, J) what X*·prediction has of an image's own noise in the reference, and the tables are not to have; real where
        the reference was made of the very places where the images were cut
    """
    step, pairs = step_angstrom, comparison.slices.shape[:2]
    points = _points(step, reach_angstrom)
    at = step * (torch.arange(points, dtype=torch.float64) - (points - 1) / 2)
    base = float(comparison.frequency[0].norm())
    samples = (comparison.frequency / base).round().long()
    radius = int(samples[:, 0].max())
    along_x, along_y = (_waves(torch.arange(low, radius + 1).double() * base, at) for low in (0, -radius))
    place = samples[:, 0] * (2 * radius + 1) + samples[:, 1] + radius
    wave, weight = 2 * math.pi * comparison.frequency, scale * precision
    squares = torch.stack([wave[:, 0] ** 2, wave[:, 0] * wave[:, 1], wave[:, 1] ** 2], 1)
    coefficients, curvature = comparison.slices.real.new_empty(*pairs, points, points), comparison.slices.real.new_empty(*pairs, 3)
    for particle, (image, prediction) in enumerate(zip(comparison.image, comparison.predicted, strict=True)):
        products = image.conj() * prediction
        if by_chance is not None:
            products = products - by_chance[particle]
        products *= weight
        curvature[particle] = (torch.view_as_real(prediction).square().sum(-1) * (scale * weight)) @ squares
        grid = products.new_zeros(len(products), (radius + 1) * (2 * radius + 1))
        grid[:, place] = products
        rows = (grid.reshape(-1, 2 * radius + 1) @ along_y).reshape(len(products), radius + 1, points).transpose(1, 2)
        coefficients[particle] = rows.real @ along_x.real - rows.imag @ along_x.imag
    xx, xy, yy = curvature.double().unbind(-1)
    information = torch.stack([torch.stack([xx, xy], -1), torch.stack([xy, yy], -1)], -2)
    return Tables(coefficients, origin_angstrom.double(), step, reach_angstrom, information)


def _waves(frequency: Tensor, at: Tensor) -> Tensor:
    """(K, T) complex64 exp(-2πi k·x) over the spectrum of a B-spline, (2 + cos 2πkh)/3: coefficients whose spline runs through the wave."""
    phase = -2 * math.pi * frequency[:, None] * at
    spline = (2 + torch.cos(2 * math.pi * frequency * (at[1] - at[0]))) / 3
    return torch.polar(1 / spline[:, None].expand_as(phase), phase).to(torch.complex64)


def joined_tables(parts: Sequence[Tables]) -> Tables:
    """Tables of several portions of the same tilt series in one."""
    if len(parts) == 1:
        return parts[0]
    return replace(
        parts[0],
        coefficients=torch.cat([part.coefficients for part in parts]),
        origin_angstrom=torch.cat([part.origin_angstrom for part in parts]),
        information=torch.cat([part.information for part in parts]),
    )


def some_of(table: Tables, particles: NDArray[np.int64]) -> Tables:
    """The tables of some particles, in their order."""
    chosen = torch.from_numpy(particles)
    names = ("coefficients", "origin_angstrom", "information")
    return replace(table, **{name: getattr(table, name)[chosen] for name in names})


def silenced(table: Tables, tilts: Tensor) -> Tables:
    """Tables in which only some tilts (F,) bool say anything."""
    if bool(tilts.all()):
        return table
    spoken = tilts.to(table.coefficients)[:, None, None]
    return replace(table, coefficients=table.coefficients * spoken, information=table.information * spoken)


def common_peak(table: Tables, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Where on the grid the sum of all particles' tables is highest if all are displaced alike, from their tables' centres.

    Parameters
    ----------
    weight : (P, F) of each table in the sum

    Returns
    -------
    (F, 2) Å, and the sum there (F,)
    """
    total = torch.einsum("pf,pfyx->fyx", weight.float(), table.coefficients)
    for axis in (1, 2):  # values of a spline at its nodes
        before, here, after = (total.narrow(axis, first, total.shape[axis] - 2) for first in range(3))
        total = (before + 4 * here + after) / 6
    size = total.shape[-1]
    height, place = total.flatten(1).max(1)
    peak = torch.stack([place % size, place // size], -1).double() - (size - 1) / 2
    return table.step_angstrom * peak, height.double()


def look_up(table: Tables, displacement_angstrom: Tensor) -> tuple[Tensor, Tensor]:
    """CC and its gradient at displacements (P, F, 2) -> (P, F) and (P, F, 2), float64.

    Beyond the table CC goes on along its tangent and bends down with the expected curvature, so that a fit finds its way back.
    """
    size = table.coefficients.shape[-1]
    away = displacement_angstrom.double() - table.origin_angstrom
    inside = away.clamp(-table.reach_angstrom, table.reach_angstrom)
    place = inside / table.step_angstrom + (size - 1) / 2
    corner = place.floor()
    value, slope = _splines(place - corner)
    first = corner.long() - 1
    index = (first[..., 1, None, None] + torch.arange(4)[:, None]) * size + first[..., 0, None, None] + torch.arange(4)
    near = table.coefficients.flatten(2).gather(2, index.flatten(2)).reshape(index.shape).double()
    # Sums of products, not matrix products: of so small matrices these take several times as long.
    by_row, by_row_slope = ((near * each[..., 0, None, :]).sum(-1) for each in (value, slope))
    found = (by_row * value[..., 1, :]).sum(-1)
    along_x = (by_row_slope * value[..., 1, :]).sum(-1)
    along_y = (by_row * slope[..., 1, :]).sum(-1)
    gradient = torch.stack([along_x, along_y], -1) / table.step_angstrom
    beyond = away - inside
    stiffness = table.information.diagonal(dim1=-2, dim2=-1)
    found = found + (beyond * (gradient - 0.5 * stiffness * beyond)).sum(-1)
    return found, gradient - stiffness * beyond


def _splines(part: Tensor) -> tuple[Tensor, Tensor]:
    """Values and slopes (..., 4) of the cubic B-splines of the four nearest points, at a part of a step past the second of them."""
    t, s = part, 1 - part
    values = [s**3 / 6, 2 / 3 - t**2 + t**3 / 2, 2 / 3 - s**2 + s**3 / 2, t**3 / 6]
    slopes = [-(s**2) / 2, -2 * t + 1.5 * t**2, 2 * s - 1.5 * s**2, t**2 / 2]
    return torch.stack(values, -1), torch.stack(slopes, -1)

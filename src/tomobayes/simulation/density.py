"""Points to density: exact up to the map's Nyquist frequency at any pixel size."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.model import Map
from tomobayes.simulation.scattering import Scatterers, Shape

__all__ = ["B_FACTOR", "density_map", "particle_diameter_angstrom", "smallest_box"]

B_FACTOR = 60.0
"""Å², blur of every atom. Deposited B factors mean different things in different entries, so they are not used."""

VOLTS = 47.878
"""V·Å², h²/(2π·m·e): a scattering amplitude in Å, spread over a volume in Å³, as an electrostatic potential."""

OVERSAMPLING = 2
"""Points are spread by cubic B-splines on a grid this much finer; their aliases stay below 1.5 % at the map's Nyquist frequency."""


def smallest_box(scatterers: Scatterers, pixel_size_angstrom: float) -> int:
    """Smallest even box that holds the points with two pixels and 5 Å to spare."""
    return 2 * math.ceil((scatterers.radius_angstrom + 5) / pixel_size_angstrom + 2)


def density_map(scatterers: Scatterers, box: int, pixel_size_angstrom: float, b_factor_angstrom2: float = B_FACTOR) -> Map:
    """Electrostatic potential above the solvent's, in volts, with the origin of the points at voxel box//2.

    F(k) = Σ weight·f(k)·exp(-2πi k·x)·exp(-B k²/4) inside the ball of the Nyquist frequency, zero outside.

    Parameters
    ----------
    b_factor_angstrom2 : blur of every point
    """
    reach = float(np.abs(scatterers.position_angstrom).max()) / pixel_size_angstrom + 2
    if reach > box // 2:
        raise ValueError(
            f"the model reaches {reach:.0f} pixels from its centre: the box must have at least {2 * math.ceil(reach)} pixels, not {box}"
        )
    squared = _frequency_squared(box, pixel_size_angstrom)
    spectrum = torch.zeros(squared.shape, dtype=torch.complex64)
    for kind, shape in enumerate(scatterers.shapes):
        mine = scatterers.kind == kind
        points = _spectrum_of_points(scatterers.position_angstrom[mine] / pixel_size_angstrom, scatterers.weight[mine], box)
        spectrum += points * torch.from_numpy(_blurred(shape, b_factor_angstrom2).at(squared))
    nyquist = ((box - 1) // 2 / (box * pixel_size_angstrom)) ** 2
    spectrum[torch.from_numpy(squared > nyquist * (1 + 1e-6))] = 0
    density = torch.fft.fftshift(torch.fft.irfftn(spectrum, s=(box,) * 3))
    return Map((density * (VOLTS / pixel_size_angstrom**3)).numpy(), pixel_size_angstrom)


def _blurred(shape: Shape, b_factor: float) -> Shape:
    return Shape(shape.amplitude_angstrom, tuple(b + b_factor for b in shape.b_factor_angstrom2))


def _frequency_squared(box: int, pixel_size: float) -> NDArray[np.float32]:
    """(n, n, n//2+1) k² in 1/Å² in FFT order."""
    full, half = np.fft.fftfreq(box, pixel_size) ** 2, np.fft.rfftfreq(box, pixel_size) ** 2
    squared: NDArray[np.float64] = full[:, None, None] + full[:, None] + half
    return squared.astype(np.float32)


def _spectrum_of_points(position_px: NDArray[np.float64], weight: NDArray[np.float64], box: int) -> Tensor:
    """Σ w·exp(-2πi k·x) on the half transform of the box, (n, n, n//2+1)."""
    fine = OVERSAMPLING * box
    grid = _spread(position_px * OVERSAMPLING + fine // 2, weight, fine)
    spectrum = torch.fft.rfftn(torch.fft.ifftshift(torch.from_numpy(grid)))
    signed = np.rint(np.fft.fftfreq(box) * box).astype(np.int64)
    rows = torch.from_numpy(signed % fine)
    cropped = spectrum[rows][:, rows][:, :, : box // 2 + 1]
    blur = torch.from_numpy(np.sinc(signed / fine) ** 4).float()
    last = torch.from_numpy(np.sinc(np.arange(box // 2 + 1) / fine) ** 4).float()
    deconvolved: Tensor = cropped / (blur[:, None, None] * blur[:, None] * last)
    return deconvolved


def _spread(position: NDArray[np.float64], weight: NDArray[np.float64], n: int) -> NDArray[np.float32]:
    """Cubic B-spline splat of (N, 3) grid positions onto an (n, n, n) grid in (z, y, x) order; periodic."""
    cell = np.floor(position).astype(np.int64)
    share = _cubic_spline(position - cell)
    grid = np.zeros(n**3, dtype=np.float32)
    for dx, dy, dz in product(range(4), repeat=3):
        x, y, z = (np.add(cell, [dx - 1, dy - 1, dz - 1]) % n).T
        np.add.at(grid, (z * n + y) * n + x, weight * share[dx][:, 0] * share[dy][:, 1] * share[dz][:, 2])
    return grid.reshape(n, n, n)


def _cubic_spline(fraction: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Weights of the four grid points around a fraction t in [0, 1): at -1, 0, 1 and 2."""
    t = fraction
    return (1 - t) ** 3 / 6, (3 * t**3 - 6 * t**2 + 4) / 6, (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6, t**3 / 6


def particle_diameter_angstrom(density: Map) -> float:
    """Diameter of the centred sphere that holds 99 % of the map's squared density."""
    axis = np.arange(density.box) - density.box // 2
    radius = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2).round().astype(np.int64).ravel()
    inside = np.cumsum(np.bincount(radius, np.square(density.data, dtype=np.float64).ravel()))
    return 2 * density.pixel_size_angstrom * (int(np.searchsorted(inside, 0.99 * inside[-1])) + 0.5)

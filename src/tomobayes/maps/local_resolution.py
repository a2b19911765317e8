"""Local resolution: the Fourier shell correlation of two half-maps around every point (Cardone, Heymann & Steven 2013).

Around a point r and in a band of frequencies about s the two halves correlate by

    C(r, s) = Σ_x g(x - r)·m(x)·a(x)·b(x) / sqrt( Σ_x g·m·a² · Σ_x g·m·b² ),

with a, b the halves filtered to the band, both divided by their local amplitude sqrt(g' ∗ (a² + b²)), g a Gaussian window,
g' one half as wide, and m the mask. The division gives every place in the window the same say: otherwise strong signal
would drown the noise beside it and carry its own resolution there. The halves are filtered first and windowed
afterwards, the other way round from an FSC of masked boxes: independent noise then correlates by 0 on average whatever the
window or mask, so that nothing has to be corrected by random phases, and one transform per band serves all points at once.
Two choices keep the error of C the same at every resolution: the window is a given number of resolution elements wide,
and the width of a band is a given share of its frequency. Each shell is scaled to the same power before, so that a band
holds the mean FSC of its shells and not that of the strongest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomobayes.maps.filters import raised_cosine
from tomobayes.maps.local_grids import band_box, coarse_points, crop_transform, grid_positions, hat_matrix, separable
from tomobayes.maps.spectra import Complex, Float, Float32, inverse, radius, shell_mean, transform

__all__ = ["LocalFsc", "local_fsc", "resolution_map"]

Volume = NDArray[np.floating[Any]]

BAND_WIDTH = 0.2
"""Half width of a band, where its raised cosine reaches 0, as a share of its frequency; never less than one shell."""

BAND_STEP = 0.1
"""From one band to the next, as a share of its frequency; never less than one shell."""

AMPLITUDE_WINDOW = 0.5
"""Width of the window in which the local amplitude is measured, as a share of the other's."""

SMALLEST_POWER = 1e-6
"""Of the highest: where a map has less it is taken to be empty."""

CHANCE = 3.09
"""How many standard errors a correlation must be away from 0: noise gets there once in a thousand."""


@dataclass(frozen=True)
class LocalFsc:
    """FSC around the points of a coarse grid, centred as the map is.

    Parameters
    ----------
    shell : (K,) mean frequency of each band, in Fourier pixels of the box
    correlation : (K, m, m, m)
    significant : (K, m, m, m) what noise alone exceeds once in a thousand; 1 where the mask leaves nothing to compare
    """

    shell: Float
    correlation: Float32
    significant: Float32
    box: int
    pixel_size_angstrom: float

    @property
    def coarsest_angstrom(self) -> float:
        """Resolution of the first band: all that is coarser belongs to it."""
        return self.box * self.pixel_size_angstrom / float(self.shell[0])

    def last_shell(self, threshold: float = 0.143) -> Float32:
        """(m, m, m) frequency where the correlation first falls below the threshold, or below what noise reaches by chance.

        Between bands the correlation is a straight line. 0 where the first band is too low already, box/2 where none is.
        """
        excess = self.correlation - np.maximum(self.significant, np.float32(threshold))
        below = excess < 0
        first = np.where(below.any(0), below.argmax(0), len(excess))
        after = np.clip(first, 1, len(excess) - 1)
        here, before = (np.take_along_axis(excess, index[None], 0)[0] for index in (after, after - 1))
        share = before / np.maximum(before - here, 1e-6)
        crossing = self.shell[after - 1] + share * (self.shell[after] - self.shell[after - 1])
        return np.select([first == 0, first == len(excess)], [0.0, self.box / 2], crossing).astype(np.float32)


def local_fsc(
    half1: Volume,
    half2: Volume,
    pixel_size_angstrom: float,
    mask: Volume | None = None,
    *,
    window: float = 4.0,
    coarsest_angstrom: float = 50.0,
) -> LocalFsc:
    """FSC of two half-maps around every point of a coarse grid.

    Parameters
    ----------
    half1, half2 : (n, n, n) unfiltered
    mask : (n, n, n), 0 to 1; what lies outside is not compared, and does not dilute what lies inside
    window : full width at half maximum of the Gaussian window, in units of the resolution that is looked at
    coarsest_angstrom : resolution of the first band
    """
    box = half1.shape[0]
    spectra = _flattened(transform(half1), transform(half2))
    centres = band_centres(box, pixel_size_angstrom, coarsest_angstrom)
    inside = np.ones((box,) * 3, dtype=np.float32) if mask is None else np.clip(mask, 0, 1).astype(np.float32)
    bands = [_band(spectra, inside, box, index, centre, window) for index, centre in enumerate(centres)]
    shell, correlation, significant = (np.stack(values) for values in zip(*bands, strict=True))
    return LocalFsc(shell, correlation, significant, box, pixel_size_angstrom)


def resolution_map(local: LocalFsc, threshold: float = 0.143) -> Float32:
    """(n, n, n) local resolution in Å, from Nyquist to the coarsest looked at (which is also told where there is none).

    Frequencies, not resolutions, are interpolated between the points.
    """
    spread = hat_matrix(grid_positions(local.box, local.box), coarse_points(local.box))
    frequency = np.maximum(separable(local.last_shell(threshold), spread), local.shell[0])
    return np.asarray(local.box * local.pixel_size_angstrom / frequency, dtype=np.float32)


def band_centres(box: int, pixel_size_angstrom: float, coarsest_angstrom: float) -> list[float]:
    """Frequencies of the bands in Fourier pixels, from the coarsest to Nyquist."""
    centres = [max(box * pixel_size_angstrom / coarsest_angstrom, 1.0)]
    while centres[-1] + max(1.0, BAND_STEP * centres[-1]) <= box / 2:
        centres.append(centres[-1] + max(1.0, BAND_STEP * centres[-1]))
    return centres


def _flattened(*spectra: Complex) -> tuple[Complex, ...]:
    """All shells scaled to the mean power 1 of the spectra; the mean of the maps is left out."""
    box = spectra[0].shape[0]
    power = np.mean([shell_mean(np.abs(spectrum) ** 2, box) for spectrum in spectra], axis=0)
    power[0] = 0
    empty = power <= 1e-12 * power.max()
    gain = np.where(empty, 0, 1 / np.sqrt(np.where(empty, 1, power)))
    scale = np.interp(radius(box), np.arange(len(gain)), gain, right=0).astype(np.float32)
    scale[0, 0, 0] = 0
    return tuple(np.asarray(spectrum * scale) for spectrum in spectra)


def _band(
    spectra: tuple[Complex, ...], inside: Float32, box: int, index: int, centre: float, window: float
) -> tuple[float, Float32, Float32]:
    """Mean frequency, correlation at the points and what noise reaches by chance, of one band."""
    half_width = max(1.0, BAND_WIDTH * centre)
    small = band_box(box, centre + half_width)
    shape = _band_shape(small, centre, half_width, open_below=index == 0)
    places = grid_positions(box, small)
    width = window * box / centre / math.sqrt(8 * math.log(2))
    a, b = _equalised([inverse(crop_transform(spectrum, small) * shape, small) for spectrum in spectra], places, width)
    weight = separable(inside, hat_matrix(places, grid_positions(box, box)))
    look = _gaussian(coarse_points(box), places, width)
    cross, power1, power2 = (separable(weight * product, look) for product in (a * b, a * a, b * b))
    power = np.sqrt(np.maximum(power1 * power2, 0))
    samples = _independent_samples(shape, places, width) * _share_seen(weight, places, width, box)
    seen = (samples > 1) & (power > SMALLEST_POWER * power.max())
    correlation = np.divide(cross, power, out=np.zeros_like(cross), where=seen)
    chance = np.minimum(CHANCE / np.sqrt(np.maximum(samples, 1)), 1)
    return _mean_frequency(shape) if index else centre, correlation, np.where(seen, chance, 1).astype(np.float32)


def _equalised(fields: list[Float32], places: Float, width: float) -> list[Float32]:
    """Fields divided by their common local amplitude."""
    power = separable(np.sum([field**2 for field in fields], axis=0), _gaussian(places, places, AMPLITUDE_WINDOW * width))
    gain = 1 / np.sqrt(np.maximum(power, max(SMALLEST_POWER * float(power.max()), 1e-30)))
    return [np.asarray(field * gain, dtype=np.float32) for field in fields]


def _band_shape(small: int, centre: float, half_width: float, *, open_below: bool) -> Float32:
    """Raised cosine about a frequency, on the half transform; the first band reaches down to the origin."""
    distance = np.abs(radius(small) - np.float32(centre))
    shape = raised_cosine(distance, 0, half_width)
    return np.where(radius(small) <= centre, np.float32(1), shape) if open_below else shape


def _mean_frequency(shape: Float32) -> float:
    return float((shape**2 * radius(shape.shape[0])).sum(dtype=float) / (shape**2).sum(dtype=float))


def _gaussian(at: Float, places: Float, width: float) -> Float32:
    """exp(-d²/2σ²) for every pair of ``at`` and ``places``, σ = width."""
    return np.exp(-((at[:, None] - places) ** 2) / (2 * width**2)).astype(np.float32)


def _independent_samples(shape: Float32, places: Float, width: float) -> float:
    """How many independent numbers a whole Gaussian window holds of noise that fills a band.

    The variance of Σ g·a·b / Σ g over independent a and b of unit variance, the inverse of that number, is
    Σ_d ρ(d)²·(g∗g)(d) / (Σ g)², ρ the autocorrelation of the filtered noise: the transform of the band's power.
    """
    small = len(places)
    autocorrelation = inverse((shape**2).astype(np.complex64), small)
    autocorrelation /= autocorrelation.max()
    spacing = places[1] - places[0]
    pairs = _gaussian(np.zeros(1), places, math.sqrt(2) * width) * np.float32(spacing / math.sqrt(4 * math.pi) / width)
    return 1 / float(separable(autocorrelation**2, pairs)[0, 0, 0])


def _share_seen(weight: Float32, places: Float, width: float, box: int) -> Float32:
    """(Σ g·m)² / Σ (g·m)² at the points, as a share of what a whole window without a mask would give."""
    points, spacing = coarse_points(box), places[1] - places[0]
    whole = (math.sqrt(4 * math.pi) * width / spacing) ** 3
    weighted = separable(weight, _gaussian(points, places, width))
    squared = separable(weight**2, _gaussian(points, places, width / math.sqrt(2)))
    return np.asarray(weighted**2 / np.maximum(squared, 1e-12) / whole, dtype=np.float32)

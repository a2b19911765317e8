"""From two half-maps to a map to look at: FSC weighting, Guinier sharpening, detector MTF, low-pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomobayes.maps.filters import b_factor_transform, low_pass_transform, multiply_transform
from tomobayes.maps.fsc import FscCurves, masked_fsc
from tomobayes.maps.spectra import Complex, Float, Float32, inverse, radius, shell_mean, transform

__all__ = ["GuinierFit", "GuinierPlot", "Mtf", "Postprocessed", "Sharpening", "fit_guinier", "fsc_weights", "postprocess"]

Volume = NDArray[np.floating[Any]]

SMALLEST_FSC = 1e-4
"""Weights end at the first shell below this."""

BOX_TO_PARTICLE = 0.476
"""RELION's factor from the share of the box inside the mask to the share of the noise that a particle keeps."""


@dataclass(frozen=True)
class Mtf:
    """Modulation transfer function of a detector: (M,) values at (M,) frequencies per detector pixel."""

    frequency_per_pixel: Float
    value: Float
    pixel_size_angstrom: float


@dataclass(frozen=True)
class Sharpening:
    """What is done to the average of the half-maps.

    Parameters
    ----------
    b_factor_angstrom2 : B to apply; None = fit it to the Guinier plot
    fit_low_angstrom, fit_high_angstrom : range of that fit, 0 = Nyquist
    mtf : detector MTF to divide by
    fsc_weighting : multiply by sqrt(2F / (1 + F))
    lowpass_angstrom : final low-pass; 0 = none, negative = at the resolution found
    """

    b_factor_angstrom2: float | None = None
    fit_low_angstrom: float = 10
    fit_high_angstrom: float = 0
    mtf: Mtf | None = None
    fsc_weighting: bool = True
    lowpass_angstrom: float = 0


@dataclass(frozen=True)
class GuinierFit:
    """Straight line through ln|F| over 1/d²: B = 4·slope, in Å² (negative sharpening is the usual case)."""

    slope: float
    intercept: float
    correlation: float
    b_factor_angstrom2: float
    b_factor_standard_error: float


@dataclass(frozen=True)
class GuinierPlot:
    """ln of the mean amplitude per shell, (n//2+1,), over 1/d² in Å⁻²; -inf where nothing is left."""

    inverse_resolution_squared: Float
    original: Float
    mtf_corrected: Float | None
    weighted: Float
    sharpened: Float


@dataclass(frozen=True)
class Postprocessed:
    """Everything postprocess.star and the plots need.

    Parameters
    ----------
    map, masked_map : sharpened map, and its product with the mask (None without one)
    curves : FSC curves
    particle_fsc : unmasked FSC rescaled to the share of the box that the particle fills, f·F / (1 + (f - 1)·F)
    box_over_particle : that f; None without a mask
    resolution_angstrom : last shell before the corrected FSC falls below 0.143; infinite if there is none
    b_factor_angstrom2 : what was applied, exp(-B·k²/4)
    guinier_fit : None where B was given, or where there is nothing to fit it to (then B = 0): fewer than three shells in the range
        of the fit, or all of them beyond the resolution
    """

    map: Float32
    masked_map: Float32 | None
    curves: FscCurves
    particle_fsc: Float | None
    box_over_particle: float | None
    resolution_angstrom: float
    b_factor_angstrom2: float
    guinier_fit: GuinierFit | None
    guinier: GuinierPlot


def fsc_weights(fsc: Float) -> Float:
    """sqrt(2F / (1 + F)): the expected correlation of the average of both halves with the truth (Rosenthal & Henderson 2003).

    0 from the first shell with F below 1e-4 on.
    """
    dead = np.logical_or.accumulate(fsc < SMALLEST_FSC)
    kept = np.where(dead, 0, fsc)
    return np.asarray(np.sqrt(2 * kept / (1 + kept)))


def fit_guinier(inverse_resolution_squared: Float, log_amplitude: Float, low_angstrom: float, high_angstrom: float) -> GuinierFit | None:
    """Least-squares line through the Guinier plot between two resolutions, every shell with weight 1.

    Returns
    -------
    the fit, or None where fewer than three shells with signal lie between
    """
    finest = np.inf if high_angstrom <= 0 else 1 / high_angstrom**2
    used = np.isfinite(log_amplitude) & (inverse_resolution_squared >= 1 / low_angstrom**2) & (inverse_resolution_squared <= finest)
    if used.sum() < 3:
        return None
    x, y = inverse_resolution_squared[used], log_amplitude[used]
    spread = ((x - x.mean()) ** 2).sum()
    slope = float(((x - x.mean()) * (y - y.mean())).sum() / spread)
    intercept = float(y.mean() - slope * x.mean())
    slope_error = float(np.sqrt(((y - intercept - slope * x) ** 2).sum() / (len(x) - 2) / spread))
    correlation = float(np.corrcoef(x, y)[0, 1])
    return GuinierFit(slope, intercept, correlation, 4 * slope, 4 * slope_error)


def postprocess(
    half1: Volume,
    half2: Volume,
    pixel_size_angstrom: float,
    mask: Volume | None = None,
    sharpening: Sharpening | None = None,
    *,
    randomise_below: float = 0.8,
    symmetry_order: int = 1,
    seed: int = 0,
) -> Postprocessed:
    """Average, weight and sharpen two unfiltered half-maps.

    Parameters
    ----------
    half1, half2, mask : (n, n, n)
    sharpening : what is done to the average; None = the defaults
    randomise_below, symmetry_order, seed : see :func:`tomobayes.maps.fsc.masked_fsc`
    """
    box, options = half1.shape[0], sharpening or Sharpening()
    curves = masked_fsc(half1, half2, pixel_size_angstrom, mask, randomise_below=randomise_below, symmetry_order=symmetry_order, seed=seed)
    original = transform(0.5 * (np.asarray(half1, dtype=np.float32) + half2))
    restored = original if options.mtf is None else original / _mtf_transform(options.mtf, box, pixel_size_angstrom)
    weighted = multiply_transform(restored, fsc_weights(curves.corrected)) if options.fsc_weighting else restored
    x = curves.spatial_frequency**2
    log_weighted = _log_amplitude(weighted)
    # A fit that begins beyond the resolution would be one of noise.
    fitted = options.b_factor_angstrom2 is None and curves.resolution_angstrom() <= options.fit_low_angstrom
    fit = fit_guinier(x, log_weighted, options.fit_low_angstrom, options.fit_high_angstrom) if fitted else None
    b_factor = fit.b_factor_angstrom2 if fit else options.b_factor_angstrom2 or 0.0
    sharpened = weighted * b_factor_transform(box, pixel_size_angstrom, b_factor)
    final = inverse(_low_passed(sharpened, pixel_size_angstrom, options.lowpass_angstrom, curves.resolution_angstrom()), box)
    ratio = None if mask is None else BOX_TO_PARTICLE / max(float((mask > 0.5).mean()), 1e-9)
    return Postprocessed(
        map=final,
        masked_map=None if mask is None else np.asarray(final * mask, dtype=np.float32),
        curves=curves,
        particle_fsc=None if ratio is None else ratio * curves.unmasked / (1 + (ratio - 1) * curves.unmasked),
        box_over_particle=ratio,
        resolution_angstrom=curves.resolution_angstrom(),
        b_factor_angstrom2=b_factor,
        guinier_fit=fit,
        guinier=GuinierPlot(
            inverse_resolution_squared=x,
            original=_log_amplitude(original),
            mtf_corrected=None if options.mtf is None else _log_amplitude(restored),
            weighted=log_weighted,
            sharpened=_log_amplitude(sharpened),
        ),
    )


def _low_passed(spectrum: Complex, pixel_size_angstrom: float, lowpass_angstrom: float, resolution_angstrom: float) -> Complex:
    if lowpass_angstrom == 0:
        return spectrum
    cutoff = lowpass_angstrom if lowpass_angstrom > 0 else resolution_angstrom
    return np.asarray(spectrum * low_pass_transform(spectrum.shape[0], pixel_size_angstrom, cutoff))


def _mtf_transform(mtf: Mtf, box: int, pixel_size_angstrom: float) -> Float32:
    """MTF on the half transform, interpolated linearly, its last value beyond the last frequency."""
    frequency = radius(box) * (mtf.pixel_size_angstrom / (box * pixel_size_angstrom))
    return np.asarray(np.interp(frequency, mtf.frequency_per_pixel, mtf.value), dtype=np.float32)


def _log_amplitude(spectrum: Complex) -> Float:
    """ln of the mean amplitude per shell, amplitudes divided by the number of voxels of the map; -inf where it is 0."""
    box = spectrum.shape[0]
    mean = shell_mean(np.abs(spectrum), box) / box**3
    return np.asarray(np.log(mean, out=np.full_like(mean, -np.inf), where=mean > 0))

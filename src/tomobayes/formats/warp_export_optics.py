"""Defoci, aberrations and weights of one of our tilt series as Warp keeps them, and whether they are what a file says already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.warp_geometry import DOSE_B_FACTOR, defocus_ellipse
from tomobayes.formats.warp_grids import CubicGrid, constant_grid
from tomobayes.formats.warp_positions import MICROMETRE
from tomobayes.formats.warp_tilt_series import WarpTiltSeries
from tomobayes.model import Optics, TiltSeries

__all__ = ["per_tilt", "same_defoci", "same_optics", "same_weights", "with_optics", "with_weights"]

Float = NDArray[np.float64]
SAME = 1e-6
OPTICS_DIGITS = 2e-6


def with_optics(base: WarpTiltSeries, series: TiltSeries, optics: Optics) -> WarpTiltSeries:
    """Defoci, phases and <CTF>, for a CTF that is taken at the frequency of the image: D = Mᵀ·D'·M."""
    used, matrix = base.is_used, np.array(optics.magnification)
    mean, delta, angle = _defocus(series, matrix)
    values = {
        "GridCTF": mean / MICROMETRE,
        "GridCTFDefocusDelta": delta / MICROMETRE,
        "GridCTFDefocusAngle": np.degrees(angle),
        "GridCTFPhase": series.phase_shift_radians / np.pi,
    }
    grids = {name: per_tilt(_filled(one, used)) for name, one in values.items()}
    (m11, m12), (m21, m22) = optics.magnification
    ctf = {**base.ctf, **_parameters(optics, float(np.linalg.det(matrix)), {name: float(one.mean()) for name, one in values.items()})}
    options = base.options or {"PixelSize": f"{series.pixel_size_angstrom:.9g}"}
    ctf.setdefault("PixelSize", options.get("PixelSize", ""))
    return replace(base, magnification=((m11, m12), (m21, m22)), ctf=ctf, options=options, cubic={**base.cubic, **grids})


def with_weights(base: WarpTiltSeries, series: TiltSeries) -> WarpTiltSeries:
    """Scales and B factors per tilt; single nodes, which leave the weights to Warp, where nothing was estimated here either."""
    used = base.is_used
    decay, per_dose = series.b_factor, series.b_factor_per_dose
    area = float(np.linalg.det(np.array(base.magnification)))
    factors = -area * (decay + per_dose * series.dose) if per_dose > 0 else -area * decay - 4 * series.dose
    is_weighted, is_decaying = bool((series.scale != 1).any()), per_dose > 0 or bool(decay.any())
    grids = {
        "GridDoseWeights": per_tilt(_filled(series.scale, used)) if is_weighted else constant_grid(1.0),
        "GridDoseBfacs": per_tilt(_filled(np.minimum(factors, -DOSE_B_FACTOR * series.dose), used)) if is_decaying else constant_grid(0.0),
    }
    return replace(base, b_factor=0.0, weight=1.0, cubic={**base.cubic, **grids})


def same_defoci(before: TiltSeries, series: TiltSeries) -> bool:
    """Whether defoci, astigmatism and phase plate are the same, to the digits that files have."""
    return (
        np.allclose(before.defocus_u_angstrom, series.defocus_u_angstrom, rtol=0, atol=1e-3)
        and np.allclose(before.defocus_v_angstrom, series.defocus_v_angstrom, rtol=0, atol=1e-3)
        and np.allclose(before.astigmatism_radians, series.astigmatism_radians, rtol=0, atol=SAME)
        and np.allclose(before.phase_shift_radians, series.phase_shift_radians, rtol=0, atol=SAME)
    )


def same_optics(first: Optics, second: Optics) -> bool:
    """But for their names, and to the digits that files have."""
    numbers = [
        (
            one.voltage_kv,
            one.spherical_aberration_mm,
            one.amplitude_contrast,
            *np.ravel(one.magnification),
            *one.even_zernike,
            *one.odd_zernike,
        )
        for one in (first, second)
    ]
    is_alike = len(first.even_zernike) == len(second.even_zernike) and len(numbers[0]) == len(numbers[1])
    return is_alike and np.allclose(numbers[0], numbers[1], rtol=1e-6, atol=OPTICS_DIGITS)


def same_weights(before: TiltSeries, series: TiltSeries) -> bool:
    """Whether scales and B factors are the same, to the digits that files have."""
    return (
        np.allclose(before.scale, series.scale, rtol=0, atol=SAME)
        and np.allclose(before.b_factor, series.b_factor, rtol=0, atol=1e-3)
        and abs(before.b_factor_per_dose - series.b_factor_per_dose) < SAME
    )


def _defocus(series: TiltSeries, matrix: Float) -> tuple[Float, Float, Float]:
    """Mean, difference (Å) and direction (radians) of the principal defoci as functions of the image's frequency, (F,) each."""
    u, v = series.defocus_u_angstrom, series.defocus_v_angstrom
    if np.array_equal(matrix, np.eye(2)):
        return (u + v) / 2, u - v, series.astigmatism_radians
    seen = matrix.T @ defocus_ellipse(u, v, series.astigmatism_radians) @ matrix
    along, across = (seen[:, 0, 0] - seen[:, 1, 1]) / 2, seen[:, 0, 1]
    return (seen[:, 0, 0] + seen[:, 1, 1]) / 2, 2 * np.hypot(along, across), 0.5 * np.arctan2(2 * across, 2 * along)


def _parameters(optics: Optics, area: float, mean: Mapping[str, float]) -> dict[str, str]:
    even = (*optics.even_zernike[1:], *(0.0,) * 8)[:8] if optics.even_zernike else ()
    odd = (*(0.0 - one for one in optics.odd_zernike), *(0.0,) * 12)[:12] if optics.odd_zernike else ()
    return {
        "Voltage": f"{optics.voltage_kv:.9g}",
        "Cs": f"{optics.spherical_aberration_mm * area**2:.9g}",
        "Amplitude": f"{optics.amplitude_contrast:.9g}",
        "Defocus": f"{mean['GridCTF']:.9g}",
        "DefocusDelta": f"{mean['GridCTFDefocusDelta']:.9g}",
        "DefocusAngle": f"{mean['GridCTFDefocusAngle']:.9g}",
        "PhaseShift": f"{mean['GridCTFPhase']:.9g}",
        "ZernikeCoeffsEven": ";".join(f"{one:.9g}" for one in even),
        "ZernikeCoeffsOdd": ";".join(f"{one:.9g}" for one in odd),
    }


def _filled(values: Float, used: NDArray[np.bool_]) -> Float:
    """(F,) values of the tilts that are used, and of those that are not the nearest one's."""
    place = np.arange(len(used))
    return np.asarray(np.interp(place, place[used], values))


def per_tilt(values: Float) -> CubicGrid:
    """A grid with one value (F,) for each tilt."""
    return CubicGrid(values[:, None, None])

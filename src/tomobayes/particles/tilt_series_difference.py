"""How two tilt series of one name differ, in words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tomobayes.model import Deformation, TiltSeries

__all__ = ["difference"]

Float = NDArray[np.float64]

_PER_TILT = {
    "shift_angstrom": ("shifts", "Å", 1e-3),
    "dose": ("doses", "e/Å²", 1e-3),
    "defocus_u_angstrom": ("defocus U", "Å", 0.1),
    "defocus_v_angstrom": ("defocus V", "Å", 0.1),
    "phase_shift_radians": ("phase shifts", "rad", 1e-4),
    "scale": ("scales", "", 1e-4),
    "b_factor": ("B factors", "Å²", 1e-2),
}
_OF_ALL = {
    "pixel_size_angstrom": ("pixel size", "Å", 1e-4),
    "hand": ("hand", "", 1e-6),
    "tomogram_size": ("tomogram size", "px", 0.5),
    "b_factor_per_dose": ("B factor per dose", "Å²/(e/Å²)", 1e-4),
    "defocus_slope": ("defocus slope", "", 1e-6),
}
_ANGLE_DEGREES = 1e-3


def difference(first: TiltSeries, second: TiltSeries) -> list[str]:
    """What differs in geometry, dose or optics by more than rounding, one phrase each; nothing where they are the same."""
    if first.n_tilts != second.n_tilts:
        return [f"{second.n_tilts} tilts, not {first.n_tilts}"]
    found = []
    for name, (label, unit, tolerance) in _OF_ALL.items():
        there, here = getattr(first, name), getattr(second, name)
        if np.abs(np.subtract(here, there)).max() > tolerance:
            found.append(f"{label} {here}{unit and ' ' + unit}, not {there}")
    angle = _angle_degrees(first.rotation, second.rotation)
    if angle > _ANGLE_DEGREES:
        found.append(f"tilt angles by up to {angle:.3g}°")
    for name, (label, unit, tolerance) in _PER_TILT.items():
        largest = float(np.abs(getattr(first, name) - getattr(second, name)).max())
        if largest > tolerance:
            found.append(f"{label} by up to {largest:.3g}{unit and ' ' + unit}")
    turn = np.degrees(np.abs(np.sin(first.astigmatism_radians - second.astigmatism_radians))).max()  # U at 180° is U at 0°
    if turn > 0.01:
        found.append(f"astigmatism by up to {turn:.3g}°")
    if not _same_deformation(first.deformation, second.deformation):
        found.append("deformation")
    return found


def _angle_degrees(first: Float, second: Float) -> float:
    """Largest angle between rotations, (F, 3, 3) each; from their difference, which is exact where the angle is small."""
    chord = np.linalg.norm(first - second, axis=(1, 2)) / 8**0.5
    return float(np.degrees(2 * np.arcsin(np.clip(chord, 0, 1))).max())


def _same_deformation(first: Deformation | None, second: Deformation | None) -> bool:
    if first is None or second is None:
        return first is second
    kinds = (first.kind, first.grid) == (second.kind, second.grid)
    return kinds and first.coefficients.shape == second.coefficients.shape and bool(np.allclose(first.coefficients, second.coefficients))

"""How tilt series are recorded: tilt scheme, dose, geometry, optics."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from tomobayes.model import Optics, TiltSeries

__all__ = ["Acquisition", "Scheme", "ice_attenuation", "record", "tilt_order"]

Float = NDArray[np.float64]
Scheme = Literal["dose-symmetric", "continuous", "bidirectional"]

MEAN_FREE_PATH_ANGSTROM = 3000.0
"""Inelastic mean free path of 300 kV electrons in vitreous ice."""
ICE_LABELS = ("rlnTomoRelativeLuminance", "rlnTomoRelativeIceThickness", "rlnTomoIceNormalX", "rlnTomoIceNormalY", "rlnTomoIceNormalZ")


@dataclass(frozen=True)
class Acquisition:
    """Settings of a microscope session; what varies between tilts or series is drawn around them.

    Parameters
    ----------
    image_size : (width, height) in pixels
    thickness_angstrom : of the slab of ice
    tilt_range_degrees, tilt_step_degrees, scheme : tilts in rows of increasing angle, exposed in the scheme's order
    dose_per_tilt : e/Å²
    hand : +1 or -1 (rlnTomoHand)
    tilt_axis_degrees : mean ZRot; series scatter by ``axis_spread_degrees`` (as does XTilt by 1°)
    shift_angstrom : rms image shift per axis
    defocus_range_angstrom : mean underfocus of a series is drawn from it; tilts scatter by ``defocus_spread_angstrom``
    astigmatism_angstrom : defocus U - V, in a random direction per series
    thickness_spread_angstrom : standard deviation of the thickness that counts for the scale of a series' images
    ice_tilt_degrees : standard deviation by which the ice of a series leans about the tilt axis
    luminance : scale of images that no ice dims, or None: that which gives untilted images in level ice a scale of 1
    """

    pixel_size_angstrom: float
    image_size: tuple[int, int]
    thickness_angstrom: float = 800.0
    tilt_range_degrees: tuple[float, float] = (-60.0, 60.0)
    tilt_step_degrees: float = 3.0
    scheme: Scheme = "dose-symmetric"
    dose_per_tilt: float = 3.0
    hand: float = -1.0
    tilt_axis_degrees: float = 85.0
    axis_spread_degrees: float = 0.5
    shift_angstrom: float = 40.0
    defocus_range_angstrom: tuple[float, float] = (25000.0, 40000.0)
    defocus_spread_angstrom: float = 150.0
    astigmatism_angstrom: float = 200.0
    phase_shift_degrees: float = 0.0
    voltage_kv: float = 300.0
    spherical_aberration_mm: float = 2.7
    amplitude_contrast: float = 0.07
    thickness_spread_angstrom: float = 0.0
    ice_tilt_degrees: float = 0.0
    luminance: float | None = None

    @property
    def tilts_degrees(self) -> Float:
        """(F,) tilt angles, increasing; multiples of the step where the range holds them."""
        low, high = (round(edge / self.tilt_step_degrees, 6) for edge in self.tilt_range_degrees)
        return self.tilt_step_degrees * np.arange(math.ceil(low), math.floor(high) + 1, dtype=np.float64)

    @property
    def optics(self) -> Optics:
        """The one optics group of the session."""
        return Optics("opticsGroup1", self.voltage_kv, self.spherical_aberration_mm, self.amplitude_contrast)


def tilt_order(tilts_degrees: Float, scheme: Scheme) -> NDArray[np.int64]:
    """(F,) rank of each tilt in time.

    dose-symmetric: 0, +1, -1, -2, +2, +3, … steps from the lowest tilt (Hagen et al. 2017, groups of two);
    continuous: from one end to the other; bidirectional: from zero up, then from zero down.
    """
    if scheme == "continuous":
        key = tilts_degrees
    elif scheme == "bidirectional":
        key = np.where(tilts_degrees >= 0, tilts_degrees, 1000 - tilts_degrees)
    else:
        lowest = int(np.abs(tilts_degrees).argmin())
        step = np.arange(len(tilts_degrees)) - lowest
        second = np.where(np.abs(step) % 2 == 1, step < 0, step > 0)
        key = 2 * np.abs(step) + second
    return np.argsort(np.argsort(key, kind="stable"), kind="stable")


def ice_attenuation(tilts_degrees: Float, thickness_angstrom: float, luminance: float | None = None) -> Float:
    """(F,) amplitude of the signal relative to the noise: α·exp(-½·t/Λ / cos θ) (eq 21); without luminance α, 1 where it is untilted.

    Parameters
    ----------
    tilts_degrees : (F,) angles θ between the beam and the normal of the ice

    Of the electrons exp(-t/(Λ cos θ)) pass without energy loss; the signal is proportional to their number and the
    shot noise to its square root. Images are scaled to the same noise.
    """
    optical = 0.5 * thickness_angstrom / MEAN_FREE_PATH_ANGSTROM
    decay = np.exp(-optical * (1 / np.cos(np.deg2rad(tilts_degrees)) - 1))
    return decay if luminance is None else luminance * np.exp(-optical) * decay


def _ice(acquisition: Acquisition, tilts: Float, random: np.random.Generator) -> tuple[Float, dict[str, str]]:
    """(F,) scale, and eq 21's parameters in RELION's words: luminance, optical thickness, normal at a right angle to the tilt axis."""
    spread, lean = random.standard_normal(2) * [acquisition.thickness_spread_angstrom, acquisition.ice_tilt_degrees]
    thickness = max(acquisition.thickness_angstrom + spread, 0.2 * acquisition.thickness_angstrom)
    optical, angle = 0.5 * thickness / MEAN_FREE_PATH_ANGSTROM, math.radians(lean)
    luminance = math.exp(optical) if acquisition.luminance is None else acquisition.luminance
    values = (luminance, optical, math.sin(angle), 0.0, math.cos(angle))
    told = {label: f"{value + 0.0:.9f}" for label, value in zip(ICE_LABELS, values, strict=True)}
    return ice_attenuation(tilts + lean, thickness, acquisition.luminance), told


def record(acquisition: Acquisition, name: str, random: np.random.Generator) -> TiltSeries:
    """Draw one tilt series; the ice has random numbers of its own, so that nothing else depends on it."""
    (of_the_ice,) = random.spawn(1)
    tilts = acquisition.tilts_degrees
    n, still = len(tilts), np.zeros(len(tilts))
    axis = acquisition.tilt_axis_degrees + acquisition.axis_spread_degrees * random.standard_normal()
    x_tilt = random.standard_normal()
    angles = np.stack([np.full(n, axis), tilts, np.full(n, x_tilt)], axis=1)
    defocus = random.uniform(*acquisition.defocus_range_angstrom) + acquisition.defocus_spread_angstrom * random.standard_normal(n)
    width, height = acquisition.image_size
    shift, axis_of_astigmatism = acquisition.shift_angstrom * random.standard_normal((n, 2)), random.uniform(0, np.pi)
    scale, ice = _ice(acquisition, tilts, of_the_ice)
    return TiltSeries(
        name=name,
        pixel_size_angstrom=acquisition.pixel_size_angstrom,
        hand=acquisition.hand,
        tomogram_size=(width, height, 2 * math.ceil(0.75 * acquisition.thickness_angstrom / acquisition.pixel_size_angstrom)),
        image_size=acquisition.image_size,
        rotation=Rotation.from_euler("ZYX", angles, degrees=True).as_matrix(),
        shift_angstrom=shift,
        dose=acquisition.dose_per_tilt * tilt_order(tilts, acquisition.scheme).astype(np.float64),
        defocus_u_angstrom=defocus + 0.5 * acquisition.astigmatism_angstrom,
        defocus_v_angstrom=defocus - 0.5 * acquisition.astigmatism_angstrom,
        astigmatism_radians=np.full(n, axis_of_astigmatism),
        phase_shift_radians=still + np.deg2rad(acquisition.phase_shift_degrees),
        scale=scale,
        b_factor=still,
        optics_name=acquisition.optics.name,
        globals_=ice,
    )

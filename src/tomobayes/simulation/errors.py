"""What the written metadata get wrong about the truth."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from tomobayes.model import Dataset, Particles, TiltSeries

__all__ = ["Errors", "tilt_degrees", "with_errors"]

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Errors:
    """Standard deviations of normal errors, per tilt or per particle and axis.

    Parameters
    ----------
    shift_angstrom, tilt_degrees, defocus_angstrom : of each tilt image's shift (per axis), tilt angle and defocus
    astigmatism_angstrom : of each tilt's U - V, as a vector of twice the astigmatism's direction, per component: length and angle go wrong
    scale : of the logarithm of each tilt's scale
    pose_degrees : of the rotation vector of each particle's pose error, per axis
    position_angstrom : of each particle's position, per axis
    scale_known : False writes a scale of 1 for all tilts
    angles_known : False writes particles as a picker does, without angles
    """

    shift_angstrom: float = 0.0
    tilt_degrees: float = 0.0
    defocus_angstrom: float = 0.0
    astigmatism_angstrom: float = 0.0
    scale: float = 0.0
    scale_known: bool = True
    pose_degrees: float = 0.0
    position_angstrom: float = 0.0
    angles_known: bool = True


def tilt_degrees(rotation: Float) -> Float:
    """YTilt of (..., 3, 3) matrices Rz·Ry·Rx, whose third row is (-sin Y, cos Y sin X, cos Y cos X)."""
    return np.rad2deg(np.arcsin(-rotation[..., 2, 0]))


def with_errors(truth: Dataset, errors: Errors, random: np.random.Generator) -> Dataset:
    """What is known of an experiment: the truth with errors, without the motion, the classes and what the ice is like."""
    series = tuple(_misaligned(one, errors, random) for one in truth.tilt_series)
    particles = _misplaced(truth.particles, errors, random)
    series = tuple(_misjudged(one, errors, random) for one in series)
    return replace(truth, tilt_series=series, particles=particles, motion_angstrom=None)


def _misaligned(series: TiltSeries, errors: Errors, random: np.random.Generator) -> TiltSeries:
    defocus = errors.defocus_angstrom * random.standard_normal(series.n_tilts)
    return replace(
        series,
        shift_angstrom=series.shift_angstrom + errors.shift_angstrom * random.standard_normal((series.n_tilts, 2)),
        rotation=_tilted_by(series.rotation, errors.tilt_degrees * random.standard_normal(series.n_tilts)),
        defocus_u_angstrom=series.defocus_u_angstrom + defocus,
        defocus_v_angstrom=series.defocus_v_angstrom + defocus,
    )


def _misjudged(series: TiltSeries, errors: Errors, random: np.random.Generator) -> TiltSeries:
    """With wrong astigmatism and scale. Drawn after all else, so that what else is drawn does not depend on them."""
    mean = 0.5 * (series.defocus_u_angstrom + series.defocus_v_angstrom)
    astigmatism = (series.defocus_u_angstrom - series.defocus_v_angstrom) * np.exp(2j * series.astigmatism_radians)
    real, imaginary, logarithm = random.standard_normal((3, series.n_tilts))
    if errors.astigmatism_angstrom > 0:
        astigmatism = astigmatism + errors.astigmatism_angstrom * (real + 1j * imaginary)
        series = replace(
            series,
            defocus_u_angstrom=mean + 0.5 * np.abs(astigmatism),
            defocus_v_angstrom=mean - 0.5 * np.abs(astigmatism),
            astigmatism_radians=0.5 * np.angle(astigmatism),
        )
    scale = series.scale * np.exp(errors.scale * logarithm) if errors.scale_known else np.ones(series.n_tilts)
    return replace(series, scale=scale, globals_={})


def _tilted_by(rotation: Float, degrees: Float) -> Float:
    """Rz·Ry(Y + error)·Rx of matrices Rz·Ry(Y)·Rx."""
    axis_turn = Rotation.from_euler("z", np.arctan2(rotation[:, 1, 0], rotation[:, 0, 0])[:, None]).as_matrix()
    return axis_turn @ Rotation.from_euler("y", degrees[:, None], degrees=True).as_matrix() @ axis_turn.transpose(0, 2, 1) @ rotation


def _misplaced(particles: Particles, errors: Errors, random: np.random.Generator) -> Particles:
    n = len(particles)
    wrong = Rotation.from_rotvec(np.deg2rad(errors.pose_degrees) * random.standard_normal((n, 3))).as_matrix()
    position = particles.position_angstrom + errors.position_angstrom * random.standard_normal((n, 3))
    unknown = np.tile(np.eye(3), (n, 1, 1))
    return replace(
        particles,
        position_angstrom=position,
        rotation_particle=particles.rotation_particle @ wrong if errors.angles_known else unknown,
        class_number=np.ones(n, dtype=np.int64),
    )

"""Where a particle is in every tilt, how it is turned and how much underfocused, as Warp has it.

    c = x − V/2 + volume warp(x/V, dose)                          about the volume's centre
    p = Rz(a)·Ry(−(θ + level y))·Rx(level x)·c                    a: tilt axis, θ: tilt
    image = p + axis offset + I/2, less the movement grid at that place
    defocus = defocus grid + p_z, or − p_z where the angles are inverted
    rotation = Rz(gz)·Ry(gy)·Rx(gx) (stage angle grids) · that of p · the particle's own

Rx, Ry, Rz are right-handed rotations of column vectors, V and I the edges of volume and images. Points and images count from a corner.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.euler import matrix_from_tilt_angles
from tomobayes.formats.warp_tilt_series import WarpTiltSeries

__all__ = [
    "MICROMETRE",
    "Places",
    "dose_fractions",
    "movement_nodes",
    "places_in_tilts",
    "rotations_in_tilts",
    "stage_corrections",
    "tilt_rotations",
    "unmoved_in_tilts",
]

Float = NDArray[np.float64]
MICROMETRE = 1e4


@dataclass(frozen=True)
class Places:
    """P particles in F tilts.

    Parameters
    ----------
    centred_angstrom : (P, F, 3) in the tomogram, from its centre, with the volume warp
    unmoved_angstrom : (P, F, 2) in the image, from its corner, before the movement grid
    image_angstrom : (P, F, 2) in the image, from its corner
    defocus_angstrom : (P, F) mean of the two principal defoci
    """

    centred_angstrom: Float
    unmoved_angstrom: Float
    image_angstrom: Float
    defocus_angstrom: Float


def tilt_rotations(series: WarpTiltSeries) -> Float:
    """(F, 3, 3) tomogram -> image, without the stage angle grids: XTilt = level x, YTilt = −(θ + level y), ZRot = a in RELION's words."""
    level_x, level_y = series.level_degrees
    y_tilt = -(series.angle_degrees + level_y)
    return matrix_from_tilt_angles(np.stack([np.full(series.n_tilts, level_x), y_tilt, series.axis_angle_degrees], -1))


def stage_corrections(series: WarpTiltSeries, fraction: Float) -> Float:
    """Rz·Ry·Rx of the stage angle grids at places (..., 2) in the volume, as fractions of its x and y -> (..., F, 3, 3)."""
    x, y = (np.repeat(fraction[..., axis, None], series.n_tilts, -1) for axis in (0, 1))
    angles = [series.grid(f"GridAngle{axis}").at(x, y, series.n_tilts) for axis in "XYZ"]
    return matrix_from_tilt_angles(np.stack(angles, -1))


def dose_fractions(series: WarpTiltSeries) -> Float:
    """(F,) dose of each tilt from 0 (the least) to 1 (the most)."""
    span = np.ptp(series.dose)
    return np.asarray((series.dose - series.dose.min()) / (span if span > 0 else 1.0))


def movement_nodes(series: WarpTiltSeries) -> tuple[Float, Float] | None:
    """(F, Y, X) Å of the movement grids along x and y, where both lie on the same nodes from edge to edge of the image; else None."""
    grids = [series.grid(f"GridMovement{axis}") for axis in "XY"]
    if grids[0].values.shape[1:] != grids[1].values.shape[1:] or any(grid.margins[:2] != (0, 0) for grid in grids):
        return None
    return grids[0].per_tilt(series.n_tilts), grids[1].per_tilt(series.n_tilts)


def places_in_tilts(
    series: WarpTiltSeries, points_angstrom: Float, volume_angstrom: tuple[float, float, float], image_angstrom: tuple[float, float]
) -> Places:
    """Where particles are in every tilt.

    Parameters
    ----------
    points_angstrom : (P, 3), or (P, F, 3) of particles with trajectories, from the corner of the volume
    volume_angstrom, image_angstrom : edges of volume and images
    """
    centred, unmoved, defocus = unmoved_in_tilts(series, points_angstrom, volume_angstrom, image_angstrom)
    return Places(centred, unmoved, unmoved - _movement(series, unmoved / np.array(image_angstrom)), defocus)


def unmoved_in_tilts(
    series: WarpTiltSeries, points_angstrom: Float, volume_angstrom: tuple[float, float, float], image_angstrom: tuple[float, float]
) -> tuple[Float, Float, Float]:
    """As `places_in_tilts`, without what the movement grids do: centred_angstrom, unmoved_angstrom and defocus_angstrom."""
    points = points_angstrom if points_angstrom.ndim == 3 else points_angstrom[:, None].repeat(series.n_tilts, 1)
    volume, image = np.array(volume_angstrom), np.array(image_angstrom)
    centred = points - volume / 2
    if any(grid.values.any() for grid in series.linear.values()):
        centred = centred + _volume_warp(series, points / volume)
    projected = np.einsum("fij,pfj->pfi", tilt_rotations(series), centred)
    unmoved = projected[..., :2] + series.axis_offset_angstrom + image / 2
    across = points / volume
    defocus = MICROMETRE * series.grid("GridCTF").at(across[..., 0], across[..., 1], series.n_tilts)
    height = -projected[..., 2] if series.is_inverted else projected[..., 2]
    return centred, unmoved, defocus + height


def rotations_in_tilts(
    series: WarpTiltSeries, points_angstrom: Float, rotation: Float | None, volume_angstrom: tuple[float, float, float]
) -> Float:
    """(P, F, 3, 3) from the particles' reference (or, without ``rotation``, from the tomogram) to the images.

    Parameters
    ----------
    points_angstrom : (P, 3) from the corner of the volume
    rotation : (P, 3, 3) or (P, F, 3, 3) reference -> tomogram
    volume_angstrom : edges of the volume
    """
    fraction = points_angstrom[:, :2] / np.array(volume_angstrom[:2])
    turned = stage_corrections(series, fraction) @ tilt_rotations(series)
    if rotation is None:
        return turned
    return np.asarray(turned @ (rotation if rotation.ndim == 4 else rotation[:, None]))


def _movement(series: WarpTiltSeries, fraction: Float) -> Float:
    """(P, F, 2) Å at places (P, F, 2) as fractions of the image."""
    x, y = np.moveaxis(fraction, -1, 0)
    return np.stack([series.grid(f"GridMovement{axis}").at(x, y, series.n_tilts) for axis in "XY"], -1)


def _volume_warp(series: WarpTiltSeries, fraction: Float) -> Float:
    """(P, F, 3) Å at places (P, F, 3) as fractions of the volume."""
    time = dose_fractions(series)
    names = [f"GridVolumeWarp{axis}" for axis in "XYZ"]
    along = [series.linear[name].at(fraction, time) if name in series.linear else np.zeros(fraction.shape[:2]) for name in names]
    return np.stack(along, -1)

"""One of our tilt series as Warp's: the inverse of reading, into the file it was read from where that is at hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from tomobayes.formats.euler import tilt_angles_from_matrix
from tomobayes.formats.mrc_images import MrcImages
from tomobayes.formats.warp_export_optics import per_tilt, same_defoci, same_optics, same_weights, with_optics, with_weights
from tomobayes.formats.warp_frame import WarpFrame
from tomobayes.formats.warp_geometry import as_optics, as_tilt_series, hermite_coefficients
from tomobayes.formats.warp_grids import CubicGrid, LinearGrid, constant_grid
from tomobayes.formats.warp_positions import dose_fractions, tilt_rotations
from tomobayes.formats.warp_sampling import sample_count, sampled
from tomobayes.formats.warp_tilt_series import LINEAR_GRIDS, WarpTiltSeries
from tomobayes.geometry.deformation import displacement
from tomobayes.model import Deformation, Optics, TiltSeries

__all__ = ["as_warp_series", "is_natural_spline", "warp_frame"]

Float = NDArray[np.float64]
SAME = 1e-6
NODES_BETWEEN = 4


def as_warp_series(series: TiltSeries, optics: Optics, original: WarpTiltSeries | None = None) -> WarpTiltSeries:
    """A tilt series in Warp's frames and units.

    Parameters
    ----------
    series, optics : what to write
    original : what the series was read from; what has not changed since stays as it is there, tilts that were not used among it

    Raises
    ------
    ValueError
        the original uses another number of tilts
    """
    base = original or _blank(series)
    if int(base.is_used.sum()) != series.n_tilts:
        raise ValueError(f"{series.name}: {series.n_tilts} tilts, but {int(base.is_used.sum())} are used in the file it came from")
    frame = warp_frame(series, base)
    before = as_tilt_series(base, frame, series.optics_name) if original else None
    magnification, dose = base.magnification, base.dose.copy()
    dose[base.is_used] = series.dose
    base = replace(base, name=series.name, dose=dose, is_inverted=series.hand < 0)
    base = replace(base, volume_angstrom=frame.volume_angstrom, image_angstrom=frame.image_angstrom)
    is_turned = before is None or not np.allclose(before.rotation, series.rotation, rtol=0, atol=SAME)
    if is_turned:
        base = _with_geometry(base, series, frame)
    if is_turned or before is None or not _same_places(before, series):
        base = _with_places(base, series, frame)
    if before is None or not (same_defoci(before, series) and same_optics(as_optics(base, ""), optics)):
        base = with_optics(base, series, optics)
    if before is None or not same_weights(before, series) or base.magnification != magnification:  # B counts in the specimen's k here
        base = with_weights(base, series)
    return base


def warp_frame(series: TiltSeries, original: WarpTiltSeries | None = None) -> WarpFrame:
    """The sizes of a tilt series; edges as the original has them where they mean the same number of pixels."""
    pixel = series.pixel_size_angstrom
    x, y, z = (float(edge * pixel) for edge in series.tomogram_size)
    volume, image = (x, y, z), None
    if original and original.volume_angstrom and tuple(round(edge / pixel) for edge in original.volume_angstrom) == series.tomogram_size:
        volume = original.volume_angstrom
    if series.image_size is not None:
        image = (series.image_size[0] * pixel, series.image_size[1] * pixel)
        if original and original.image_angstrom and tuple(round(edge / pixel) for edge in original.image_angstrom) == series.image_size:
            image = original.image_angstrom
    return WarpFrame(pixel, volume, image, series.image_size)


def _blank(series: TiltSeries) -> WarpTiltSeries:
    nothing = np.zeros(series.n_tilts)
    used, one = np.full(series.n_tilts, True), np.ones(series.n_tilts)
    return WarpTiltSeries(series.name, nothing, nothing, used, nothing, np.zeros((series.n_tilts, 2)), _movies(series), one)


def _movies(series: TiltSeries) -> NDArray[np.str_]:
    """What the tilts are called: their movies, else their images, else numbers."""
    for label in ("rlnMicrographMovieName", "rlnMicrographName"):
        if label in series.columns:
            return series.columns[label]
    if isinstance(series.images, MrcImages):
        return np.array([str(path) if section == 0 else f"{path}_{section + 1:03d}" for path, section in series.images.slices])
    return np.array([f"{series.name}_{tilt + 1:03d}.mrc" for tilt in range(series.n_tilts)])


def _with_geometry(base: WarpTiltSeries, series: TiltSeries, frame: WarpFrame) -> WarpTiltSeries:
    """Tilt and axis from the rotations; what no common inclination about x explains goes to stage angles and volume warp."""
    used = base.is_used
    x_tilt, y_tilt, z_rot = tilt_angles_from_matrix(series.rotation).T
    angle, axis = base.angle_degrees.copy(), base.axis_angle_degrees.copy()
    angle[used], axis[used] = -y_tilt, z_rot
    level = float(x_tilt.mean()) if np.ptp(x_tilt) > SAME else float(x_tilt[0])
    turned = replace(base, angle_degrees=angle, axis_angle_degrees=axis, level_degrees=(level, 0.0))
    rest = np.tile(np.eye(3), (base.n_tilts, 1, 1))
    rest[used] = series.rotation @ tilt_rotations(turned)[used].swapaxes(1, 2)
    stage = tilt_angles_from_matrix(rest)
    is_needed = np.abs(stage).max() > SAME
    grids = {f"GridAngle{name}": per_tilt(stage[:, i]) if is_needed else constant_grid(0.0) for i, name in enumerate("XYZ")}
    is_free = all(grid.is_constant for grid in base.linear.values())
    linear = {**base.linear, **_turning(turned, series.rotation, frame)} if is_needed and is_free else base.linear
    return replace(turned, cubic={**turned.cubic, **grids}, linear=linear)


def _turning(base: WarpTiltSeries, rotation: Float, frame: WarpFrame) -> dict[str, LinearGrid]:
    """Volume warps that move points as the stage angles would, which in Warp turn particles only: linear in space, so two nodes an axis.

    Rᵀ·diag(1, 1, 0)·(R' − R)·c for the rotation R that Warp moves points by and R' that it is to be.
    """
    nominal = tilt_rotations(base)[base.is_used]
    turning = nominal[:, :2].swapaxes(1, 2) @ (rotation - nominal)[:, :2]
    time = dose_fractions(base)[base.is_used]
    samples = sampled(turning, time, sample_count([time]))
    corners = np.stack(np.meshgrid(*(np.array([-0.5, 0.5]) * edge for edge in frame.volume_angstrom[::-1]), indexing="ij")[::-1], -1)
    warp = np.einsum("tij,zyxj->itzyx", samples, corners)
    return {name: LinearGrid(values) for name, values in zip(LINEAR_GRIDS, warp, strict=True)}


def _with_places(base: WarpTiltSeries, series: TiltSeries, frame: WarpFrame) -> WarpTiltSeries:
    """Shifts as axis offsets, and the deformation as movement grids."""
    odd = np.array([0.5 * (edge % 2) for edge in series.tomogram_size])
    shift = series.shift_angstrom + frame.pixel_size_angstrom * series.rotation[:, :2] @ odd
    if frame.image_angstrom is not None and frame.image_size is not None:
        shift = shift - np.array(frame.image_angstrom) / 2 + np.array([edge // 2 for edge in frame.image_size]) * frame.pixel_size_angstrom
    offset = base.axis_offset_angstrom.copy()
    offset[base.is_used] = shift
    grids: Mapping[str, CubicGrid] = {f"GridMovement{axis}": constant_grid(0.0) for axis in "XY"}
    if series.deformation is not None and frame.image_size is not None:
        grids = _movement(series.deformation, base.is_used, frame.image_size, frame.pixel_size_angstrom)
    return replace(base, axis_offset_angstrom=offset, cubic={**base.cubic, **grids})


def _movement(deformation: Deformation, used: NDArray[np.bool_], size: tuple[int, int], pixel: float) -> dict[str, CubicGrid]:
    """Movement grids (Å, subtracted) that are the deformation at their nodes."""
    width, height = _movement_nodes(deformation)
    x, y = (np.linspace(0, edge, nodes) if nodes > 1 else np.full(1, edge / 2) for nodes, edge in zip((width, height), size, strict=True))
    points = torch.from_numpy(np.stack(np.meshgrid(x, y), -1).reshape(-1, 1, 2))
    coefficients = torch.from_numpy(np.array(deformation.per_tilt(int(used.sum()))))
    moved = displacement(deformation.kind, coefficients, points, size, deformation.grid).numpy()
    nodes = np.zeros((2, len(used), height, width))
    nodes[:, used] = -pixel * moved.transpose(2, 1, 0).reshape(2, -1, height, width)
    return {"GridMovementX": CubicGrid(nodes[0]), "GridMovementY": CubicGrid(nodes[1])}


def _movement_nodes(deformation: Deformation) -> tuple[int, int]:
    """Corners of an affine deformation; the nodes of a natural spline; several per interval or wave of what Warp only approaches."""
    width, height = deformation.grid
    if deformation.kind == "affine":
        return 2, 2
    if is_natural_spline(deformation):
        return width, height
    intervals = (width - 1, height - 1) if deformation.kind == "spline" else (width, height)
    return intervals[0] * NODES_BETWEEN + 1, intervals[1] * NODES_BETWEEN + 1


def is_natural_spline(deformation: Deformation) -> bool:
    """Whether it is a natural cubic spline through its nodes, as Warp's movement grids are."""
    if deformation.kind != "spline":
        return False
    width, height = deformation.grid
    rows = deformation.coefficients.reshape(-1, 2, height, width, 4)
    natural = hermite_coefficients(rows[:, 0, ..., 0], rows[:, 1, ..., 0])
    return bool(np.allclose(natural, rows.reshape(len(rows), -1), rtol=0, atol=SAME))


def _same_places(before: TiltSeries, series: TiltSeries) -> bool:
    if (before.deformation is None) != (series.deformation is None) or not np.allclose(
        before.shift_angstrom, series.shift_angstrom, rtol=0, atol=SAME
    ):
        return False
    if before.deformation is None or series.deformation is None:
        return True
    first, second = (one.deformation.per_tilt(one.n_tilts) for one in (before, series) if one.deformation is not None)
    return (
        before.deformation.kind == series.deformation.kind and first.shape == second.shape and np.allclose(first, second, rtol=0, atol=SAME)
    )

"""Warp's tilt series and particles as one Dataset, and what of them a Dataset cannot hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from tomobayes.formats.euler import matrix_from_euler
from tomobayes.formats.problems import shortened
from tomobayes.formats.warp_frame import WarpFrame
from tomobayes.formats.warp_geometry import as_optics, as_tilt_series, at_centre
from tomobayes.formats.warp_particles import WarpParticles, along_trajectories
from tomobayes.formats.warp_positions import MICROMETRE, dose_fractions, places_in_tilts, rotations_in_tilts, unmoved_in_tilts
from tomobayes.formats.warp_tilt_series import WarpTiltSeries
from tomobayes.geometry.projection import project
from tomobayes.model import BadInput, Columns, Dataset, Optics, Particles, Problem, TiltSeries

__all__ = ["Remainder", "as_dataset", "as_tilt_series_and_optics"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]
NO_MOTION = 1e-5
STALE = ("wrpCoordinate", "wrpAngle", "rlnCoordinate", "rlnImageName", "rlnCtfImage", "rlnTomoVisibleFrames", "rlnMicrographName")


@dataclass(frozen=True)
class Remainder:
    """By how much the particles of a tilt series differ from what Warp has of them: rms and largest, over particles and tilts."""

    name: str
    rotation_degrees: tuple[float, float] = (0.0, 0.0)
    defocus_angstrom: tuple[float, float] = (0.0, 0.0)


def as_tilt_series_and_optics(
    series: Sequence[WarpTiltSeries], frames: Sequence[WarpFrame]
) -> tuple[tuple[TiltSeries, ...], tuple[Optics, ...]]:
    """Tilt series as ours, with one optics group for all that share their optics."""
    groups: list[Optics] = []
    typed = []
    for one, frame in zip(series, frames, strict=True):
        optics = as_optics(one, "")
        if optics not in groups:
            groups.append(optics)
        typed.append(as_tilt_series(one, frame, _group_name(groups.index(optics))))
    return tuple(typed), tuple(replace(group, name=_group_name(i)) for i, group in enumerate(groups))


def _group_name(index: int) -> str:
    return f"opticsGroup{index + 1}"


def as_dataset(
    series: Sequence[WarpTiltSeries], frames: Sequence[WarpFrame], particles: WarpParticles | None
) -> tuple[Dataset, tuple[Remainder, ...]]:
    """Everything as one data set.

    Positions of particles in every tilt are Warp's: what is left of trajectories, volume warp and stage angles is their motion.

    Parameters
    ----------
    series, frames : tilt series and their sizes
    particles : None where there are none

    Raises
    ------
    BadInput
        particles of tilt series that are not there
    """
    typed, optics = as_tilt_series_and_optics(series, frames)
    if particles is None:
        return Dataset(typed, optics, _table(np.zeros((0, 3)), np.zeros((0, 3, 3)), np.zeros(0, np.int64), None)), ()
    of_series = _rows(particles, typed)
    centre, rotation = np.zeros((len(particles), 3)), np.zeros((len(particles), 3, 3))
    motion: list[Float] = [np.zeros((0, 3))] * len(particles)
    remainders, moves = [], False
    for i, (one, frame, own) in enumerate(zip(series, frames, typed, strict=True)):
        rows = np.flatnonzero(of_series == i)
        if len(rows) == 0:
            continue
        placed = _place(one, frame, own, _trajectories(one, frame, particles, rows), _turned(one, particles, rows))
        centre[rows], rotation[rows] = placed.centre, placed.rotation
        moves = moves or float(np.abs(np.einsum("fij,pfj->pfi", own.rotation[:, :2], placed.motion)).max()) > NO_MOTION
        for row, moved in zip(rows.tolist(), placed.motion, strict=True):
            motion[row] = moved
        remainders.append(placed.remainder)
    names = [group.name for group in optics]
    table = _table(centre, rotation, of_series, particles, [one.name for one in typed])
    table = replace(table, optics=np.array([names.index(one.optics_name) for one in typed], dtype=np.int64)[of_series])
    return Dataset(typed, optics, table, tuple(motion) if moves else None), tuple(remainders)


def _turned(series: WarpTiltSeries, particles: WarpParticles, rows: Int) -> Float:
    """(P, 3, 3), or (P, F, 3, 3) of particles with trajectories, reference -> tomogram: angles interpolated one by one, as M does."""
    samples = particles.euler_degrees[rows]
    return matrix_from_euler(samples[:, 0] if samples.shape[1] == 1 else along_trajectories(samples, dose_fractions(series)))


def _trajectories(series: WarpTiltSeries, frame: WarpFrame, particles: WarpParticles, rows: Int) -> Float:
    """(P, F, 3) Å from the corner of the volume."""
    position, volume = particles.position[rows], np.array(frame.volume_angstrom)
    if particles.unit == "fraction":
        position = position * volume
    elif particles.unit == "centred angstrom":
        position = position + volume / 2
    return along_trajectories(position, dose_fractions(series))


@dataclass(frozen=True)
class _Placed:
    centre: Float
    rotation: Float
    motion: Float
    remainder: Remainder


def _place(series: WarpTiltSeries, frame: WarpFrame, own: TiltSeries, points: Float, turned: Float) -> _Placed:
    """Centre (P, 3), rotation (P, 3, 3) and motion (P, F', 3) by which our projection gives Warp's positions in the tilts that are used."""
    used = series.is_used
    size = frame.image_size or (2, 2)
    image = frame.image_angstrom or (size[0] * frame.pixel_size_angstrom, size[1] * frame.pixel_size_angstrom)
    sizes = (frame.volume_angstrom, image)
    if own.deformation is not None:  # which does what the movement grids do
        centred, target, defocus = unmoved_in_tilts(series, points, *sizes)
    else:
        places = places_in_tilts(series, points, *sizes)
        centred, target, defocus = places.centred_angstrom, places.image_angstrom, places.defocus_angstrom
    centre = points[:, used].mean(1) - np.array(frame.volume_angstrom) / 2
    rotation = turned if turned.ndim == 3 else _mean_rotation(turned[:, used])
    moved = centred[:, used] - centre[:, None]
    ours = frame.pixel_size_angstrom * _projected(own, centre[:, None] + moved, size)
    motion = moved + np.einsum("fji,pfj->pfi", own.rotation[:, :2], target[:, used] - ours)
    remainder = _remainder(series, frame, own, points, turned, (centre, rotation), defocus)
    return _Placed(centre, rotation, motion, remainder)


def _projected(own: TiltSeries, points: Float, size: tuple[int, int]) -> Float:
    """(P, F, 2) pixels."""
    geometry = (torch.from_numpy(own.rotation), torch.from_numpy(own.shift_angstrom))
    return np.asarray(project(torch.from_numpy(points), *geometry, own.pixel_size_angstrom, own.tomogram_size, size))


def _remainder(
    series: WarpTiltSeries, frame: WarpFrame, own: TiltSeries, points: Float, turned: Float, placed: tuple[Float, Float], defocus: Float
) -> Remainder:
    """What our rotations and depths, of particles at (centre, rotation), leave of Warp's."""
    centre, rotation = placed
    used = series.is_used
    depth = own.hand * np.einsum("fj,pj->pf", own.rotation[:, 2], centre)
    away = _extent(depth - (defocus - MICROMETRE * at_centre(series, "GridCTF"))[:, used])
    if turned.ndim == 3 and all(series.grid(f"GridAngle{axis}").is_even for axis in "XYZ"):
        return Remainder(series.name, (0.0, 0.0), away)
    theirs = rotations_in_tilts(series, points.mean(1), turned, frame.volume_angstrom)[:, used]
    apart = np.linalg.norm(own.rotation @ rotation[:, None] - theirs, axis=(2, 3))
    return Remainder(series.name, _extent(np.degrees(2 * np.arcsin(np.minimum(apart / 8**0.5, 1)))), away)


def _extent(values: Float) -> tuple[float, float]:
    return float(np.sqrt(np.mean(values**2))), float(np.abs(values).max(initial=0))


def _mean_rotation(rotations: Float) -> Float:
    """(P, F, 3, 3) -> (P, 3, 3) nearest to the mean of each particle's."""
    u, _, v = np.linalg.svd(rotations.mean(1))
    sign = np.ones((len(u), 3))
    sign[:, 2] = np.linalg.det(u @ v)
    return np.asarray((u * sign[:, None]) @ v)


def _rows(particles: WarpParticles, series: Sequence[TiltSeries]) -> Int:
    """(P,) index of each particle's tilt series."""
    index = {one.name: i for i, one in enumerate(series)}
    rows = np.array([index.get(name, -1) for name in particles.tilt_series.tolist()], dtype=np.int64)
    unknown = Counter(particles.tilt_series[rows < 0].tolist())
    if unknown:
        listed = shortened([f"{name!r} ({count} particles)" for name, count in sorted(unknown.items())])
        remedy = f"give their XML files too; there are {shortened(list(index))}"
        raise BadInput(Problem(particles.file, "", f"names tilt series that are not there: {listed}", remedy=remedy))
    return rows


def _table(centre: Float, rotation: Float, tilt_series: Int, particles: WarpParticles | None, names: Sequence[str] = ()) -> Particles:
    columns: Columns = {} if particles is None else _kept(particles.columns)
    return Particles(
        name=_particle_names(tilt_series, names, columns),
        tilt_series=tilt_series,
        optics=np.zeros(len(centre), dtype=np.int64),
        position_angstrom=centre,
        rotation_subtomogram=np.tile(np.eye(3), (len(centre), 1, 1)),
        rotation_particle=rotation,
        origin_angstrom=np.zeros((len(centre), 3)),
        half=np.zeros(len(centre), dtype=np.int64) if particles is None else particles.half,
        class_number=np.zeros(len(centre), dtype=np.int64) if particles is None else particles.class_number,
        tilt_prior_degrees=np.full(len(centre), np.nan),
        psi_prior_degrees=np.full(len(centre), np.nan),
        rot_prior_degrees=np.full(len(centre), np.nan),
        columns=columns,
    )


def _kept(columns: Columns) -> dict[str, NDArray[np.str_]]:
    """All columns but those that typed fields have taken over, or that name files of another kind of image."""
    return {label: cells for label, cells in columns.items() if not label.startswith(STALE)}


def _particle_names(tilt_series: Int, names: Sequence[str], columns: Columns) -> NDArray[np.str_]:
    """As given where they are unique; else the tilt series' name with a running number."""
    given = columns.get("rlnTomoParticleName")
    if given is not None and len(np.unique(given)) == len(given):
        return given
    made, count = [], Counter[int]()
    for index in tilt_series.tolist():
        count[index] += 1
        made.append(f"{names[index]}/{count[index]}")
    return np.array(made, dtype=np.str_)

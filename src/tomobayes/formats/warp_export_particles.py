"""Our particles as Warp's: positions from the corner of the volume, and trajectories where they move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tomobayes.formats.cells import text_of
from tomobayes.formats.euler import euler_from_matrix
from tomobayes.formats.star import Table, write_star
from tomobayes.formats.warp_frame import WarpFrame
from tomobayes.formats.warp_particles import along_trajectories
from tomobayes.formats.warp_positions import dose_fractions, places_in_tilts
from tomobayes.formats.warp_sampling import sample_count, sampled
from tomobayes.formats.warp_tilt_series import WarpTiltSeries
from tomobayes.geometry.projection import project
from tomobayes.model import Dataset, TiltSeries

__all__ = ["Trajectories", "trajectories_of", "write_m_particles", "write_warp_particles"]

Float = NDArray[np.float64]
Text = NDArray[np.str_]
STILL = 1e-4
ITERATIONS = 100
CONVERGED = 1e-7
TYPED = (
    "wrpCoordinate",
    "wrpAngle",
    "wrpRandomSubset",
    "wrpSourceName",
    "rlnCoordinate",
    "rlnCentered",
    "rlnAngle",
    "rlnOrigin",
    "rlnTomo",
    "rlnOptics",
    "rlnImage",
    "rlnCtfImage",
    "rlnRandomSubset",
    "rlnMicrographName",
    "rlnPixelSize",
    "rlnDetectorPixelSize",
    "rlnMagnification",
)
"""How the labels of columns begin that typed fields stand for; all others are written as they were read."""


@dataclass(frozen=True)
class Trajectories:
    """Positions of P particles at T evenly spaced doses.

    Parameters
    ----------
    samples : (P, T, 3) Å from the corner of the volume
    error_angstrom : by how much a position is off at most in a tilt whose dose lies between samples
    """

    samples: Float
    error_angstrom: float


def trajectories_of(dataset: Dataset, series: Sequence[WarpTiltSeries], frames: Sequence[WarpFrame]) -> Trajectories:
    """Positions that give, with the geometry that Warp has of the tilt series, our projected positions.

    Parameters
    ----------
    dataset : particles and their motion
    series, frames : the dataset's tilt series as Warp's, and their sizes
    """
    rows_of = [np.flatnonzero(dataset.particles.tilt_series == i) for i in range(len(series))]
    triples = list(zip(series, frames, rows_of, strict=True))
    placed = [_points(dataset, dataset.tilt_series[i], *triple) for i, triple in enumerate(triples)]
    moves = max((float(np.abs(one - one.mean(1, keepdims=True)).max(initial=0)) for one, _ in placed), default=0.0)
    count = sample_count([dose_fractions(one)[one.is_used] for one in series]) if moves > STILL else 1
    samples = np.zeros((len(dataset.particles), count, 3))
    error = max((left for _, left in placed), default=0.0)
    for (one, _, rows), (points, _) in zip(triples, placed, strict=True):
        time = dose_fractions(one)[one.is_used]
        samples[rows] = points.mean(1, keepdims=True) if count == 1 else sampled(points.swapaxes(0, 1), time, count).swapaxes(0, 1)
        if count > 1 and len(rows):
            error = max(error, float(np.abs(along_trajectories(samples[rows], time) - points).max()))
    return Trajectories(samples, error)


def write_m_particles(path: Path | str, dataset: Dataset, trajectories: Trajectories) -> None:
    """Write a table as M keeps those of a species: Å from the corner, angles at the same samples, half-sets and the name of the source."""
    particles, samples = dataset.particles, trajectories.samples
    angles = euler_from_matrix(particles.rotation)
    columns: dict[str, Text] = {}
    for i in range(samples.shape[1]):
        columns |= {f"wrpCoordinate{axis}{i + 1}": _decimals(samples[:, i, k], 5) for k, axis in enumerate("XYZ")}
    for i in range(samples.shape[1]):
        columns |= {f"wrpAngle{name}{i + 1}": _decimals(angles[:, k], 6) for k, name in enumerate(("Rot", "Tilt", "Psi"))}
    columns |= {"wrpRandomSubset": text_of(particles.half), "wrpSourceName": _tomostars(dataset)}
    columns |= _others(dataset) | ({} if "wrpSourceHash" in particles.columns else {"wrpSourceHash": np.full(len(particles), "null")})
    write_star(path, [Table("", columns)])


def write_warp_particles(path: Path | str, dataset: Dataset, trajectories: Trajectories, frames: Sequence[WarpFrame]) -> None:
    """Write a table as WarpTools and M's create_species read it: one position each, in pixels of the tilt images from the corner."""
    particles = dataset.particles
    pixel = np.array([frame.pixel_size_angstrom for frame in frames])[particles.tilt_series]
    position, angles = trajectories.samples.mean(1) / pixel[:, None], euler_from_matrix(particles.rotation)
    columns = {f"rlnCoordinate{axis}": _decimals(position[:, i], 6) for i, axis in enumerate("XYZ")}
    columns |= {f"rlnAngle{name}": _decimals(angles[:, i], 6) for i, name in enumerate(("Rot", "Tilt", "Psi"))}
    columns |= {"rlnMicrographName": _tomostars(dataset), "rlnPixelSize": _decimals(pixel, 9)}
    if particles.half.all():
        columns["rlnRandomSubset"] = text_of(particles.half)
    write_star(path, [Table("particles", columns | _others(dataset))])


def _points(dataset: Dataset, own: TiltSeries, series: WarpTiltSeries, frame: WarpFrame, rows: NDArray[np.int64]) -> tuple[Float, float]:
    """(P, F', 3) Å from the corner of the volume in the tilts that are used, and by how much a projection of theirs is off at most."""
    centre = dataset.particles.centre_angstrom[rows]
    moved = centre[:, None].repeat(own.n_tilts, 1)
    if dataset.motion_angstrom is not None and len(rows):
        moved = moved + np.stack([dataset.motion_angstrom[row] for row in rows.tolist()])
    if len(rows) == 0:
        return moved, 0.0
    size = frame.image_size or (2, 2)
    image = frame.image_angstrom or (size[0] * frame.pixel_size_angstrom, size[1] * frame.pixel_size_angstrom)
    geometry = (torch.from_numpy(own.rotation), torch.from_numpy(own.shift_angstrom))
    projected = project(torch.from_numpy(moved), *geometry, own.pixel_size_angstrom, own.tomogram_size, size)
    ours = own.pixel_size_angstrom * np.asarray(projected)
    points = np.zeros((len(rows), series.n_tilts, 3)) + centre[:, None]
    points[:, series.is_used] = moved
    points += np.array(frame.volume_angstrom) / 2
    for _ in range(ITERATIONS):
        places = places_in_tilts(series, points, frame.volume_angstrom, image)
        theirs = (places.unmoved_angstrom if own.deformation is not None else places.image_angstrom)[:, series.is_used]
        if np.abs(ours - theirs).max() < CONVERGED:
            break
        points[:, series.is_used] += np.einsum("fji,pfj->pfi", own.rotation[:, :2], ours - theirs)
    return points[:, series.is_used], float(np.abs(ours - theirs).max())


def _tomostars(dataset: Dataset) -> Text:
    return np.array([f"{one.name}.tomostar" for one in dataset.tilt_series], dtype=np.str_)[dataset.particles.tilt_series]


def _others(dataset: Dataset) -> dict[str, Text]:
    return {label: cells for label, cells in dataset.particles.columns.items() if not label.startswith(TYPED)}


def _decimals(values: Float, count: int) -> Text:
    return np.array([f"{value:.{count}f}" for value in values.tolist()], dtype=np.str_)

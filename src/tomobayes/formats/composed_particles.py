"""Particles of other programs in tilt series that are known: their tomograms found, their positions from the tomogram's centre."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.poses import Poses, Zero, centred_position
from tomobayes.formats.problems import shortened
from tomobayes.formats.series_names import series_of
from tomobayes.formats.views import Aligned
from tomobayes.model import Particles, Problem, TiltSeries

__all__ = ["compose_particles", "local_motion"]

Float = NDArray[np.float64]

ZERO_REMEDY = (
    "say with --coordinates-centre what they count from: corner (the first voxel is 0), corner-1 (it is 1) or middle (of the tomogram)"
)
VOXEL_REMEDY = "give --coordinates-angpix (Å), the voxel size of the tomogram they were picked in"


def compose_particles(
    found: Sequence[Poses],
    tilt_series: Sequence[TiltSeries],
    voxel_angstrom: float | None,
    zero: Zero | None,
    block: Mapping[str, bool],
    problems: list[Problem],
) -> Particles | None:
    """Particles of one or more files.

    Parameters
    ----------
    found : what the files hold
    voxel_angstrom, zero : the user's word on coordinates; a file's own word on what they count from gives way
    block : tilt series -> whether the centre of its volumes lies between voxels (`poses.centred_position`)
    """
    names = [series.name for series in tilt_series]
    parts = [one for poses in found if (one := _part(poses, tilt_series, names, voxel_angstrom, zero, block, problems)) is not None]
    return _particles(parts, names) if len(parts) == len(found) else None


@dataclass(frozen=True)
class _Part:
    """Particles of one file: tilt series (N,), position (N, 3) Å, rotation (N, 3, 3), class (N,)."""

    tilt_series: NDArray[np.int64]
    position: Float
    rotation: Float
    class_number: NDArray[np.int64]


def _particles(parts: Sequence[_Part], names: Sequence[str]) -> Particles:
    """All of them, named ``<tilt series>/<number in it>``."""
    indices = np.concatenate([np.zeros(0, dtype=np.int64), *(part.tilt_series for part in parts)])
    n = len(indices)
    none = np.full(n, np.nan)
    return Particles(
        name=_names([names[index] for index in indices.tolist()]),
        tilt_series=indices,
        optics=np.zeros(n, dtype=np.int64),
        position_angstrom=np.concatenate([np.zeros((0, 3)), *(part.position for part in parts)]),
        rotation_subtomogram=np.tile(np.eye(3), (n, 1, 1)),
        rotation_particle=np.concatenate([np.zeros((0, 3, 3)), *(part.rotation for part in parts)]),
        origin_angstrom=np.zeros((n, 3)),
        half=np.zeros(n, dtype=np.int64),
        class_number=np.concatenate([np.zeros(0, dtype=np.int64), *(part.class_number for part in parts)]),
        tilt_prior_degrees=none,
        psi_prior_degrees=none,
        rot_prior_degrees=none,
    )


def local_motion(particles: Particles, index: int, series: TiltSeries, aligned: Aligned, rows: Sequence[int], scale: float) -> Float:
    """What a local alignment is for every particle of a tilt series: (P, F, 3) Å, a motion in the images' planes.

    Parameters
    ----------
    index : of the tilt series
    rows : (F,) place of every view in the alignment
    scale : pixel size of the aligned images over that of the tilt series
    """
    assert aligned.local_shift is not None
    pixel = series.pixel_size_angstrom * scale
    points = particles.centre_angstrom[particles.tilt_series == index] / pixel
    seen = np.stack([aligned.local_shift(row, points) for row in rows], axis=1) * pixel
    if series.deformation is not None:  # an affine one, which images undergo after particles have moved
        xx, xy, yy = series.deformation.per_tilt(series.n_tilts).T
        x = seen[..., 0] / (1 + xx)
        seen = np.stack([x, (seen[..., 1] - xy * x) / (1 + yy)], -1)
    motion: Float = np.einsum("fij,pfi->pfj", series.rotation[:, :2], seen)
    return motion


def _part(
    poses: Poses,
    tilt_series: Sequence[TiltSeries],
    names: Sequence[str],
    voxel_angstrom: float | None,
    zero: Zero | None,
    block: Mapping[str, bool],
    problems: list[Problem],
) -> _Part | None:
    """The particles of one file."""
    n_before = len(problems)
    indices = _indices(poses, names, problems)
    counted = zero or poses.zero
    if counted is None:
        problems.append(
            Problem(poses.file, "", "does not say what its coordinates count from", "they could be off by half a tomogram", ZERO_REMEDY)
        )
    if voxel_angstrom is None and not poses.in_angstrom:
        problems.append(Problem(poses.file, "", "does not say which voxel size its coordinates have", "", VOXEL_REMEDY))
    if len(problems) > n_before or counted is None:
        return None
    voxel = 1.0 if poses.in_angstrom or voxel_angstrom is None else voxel_angstrom
    position = np.zeros((len(poses), 3))
    for index in np.unique(indices).tolist():
        series, mine = tilt_series[index], indices == index
        size, pixel = series.tomogram_size, series.pixel_size_angstrom
        position[mine] = centred_position(poses.position[mine], counted, voxel, size, pixel, block=block.get(series.name, False))
    _check_inside(poses, position, indices, tilt_series, problems)
    unturned, no_class = np.tile(np.eye(3), (len(poses), 1, 1)), np.zeros(len(poses), dtype=np.int64)
    return _Part(
        indices,
        position,
        unturned if poses.rotation is None else poses.rotation,
        no_class if poses.class_number is None else poses.class_number,
    )


def _indices(poses: Poses, names: Sequence[str], problems: list[Problem]) -> NDArray[np.int64]:
    """(N,) tilt series of every particle."""
    known = {name: index for index, name in enumerate(names)}
    of_name = {cell: series_of(cell, known) for cell in np.unique(poses.tomogram).tolist()}
    unknown = [cell for cell, name in of_name.items() if name is None]
    if unknown:
        what = f"has particles in tomograms that no tilt series has the name of: {shortened(unknown)}"
        remedy = f"there are {shortened(names)}; name the tomograms so, for a Dynamo table in its .doc"
        problems.append(Problem(poses.file, "", what, remedy=remedy))
    return np.array([known.get(of_name[cell] or "", 0) for cell in poses.tomogram.tolist()], dtype=np.int64)


def _check_inside(
    poses: Poses, position: Float, indices: NDArray[np.int64], tilt_series: Sequence[TiltSeries], problems: list[Problem]
) -> None:
    """Refuse coordinates most of which are outside: their voxel size or what they count from is wrong."""
    half = np.array([np.array(series.tomogram_size) * series.pixel_size_angstrom / 2 for series in tilt_series])[indices]
    outside: NDArray[np.bool_] = np.asarray((np.abs(position) > half).any(axis=1))
    if outside.mean() > 0.5:
        what = f"{outside.sum()} of {len(outside)} particles would lie outside their tomogram"
        remedy = "correct --coordinates-angpix, --coordinates-centre or --tomogram-size"
        problems.append(Problem(poses.file, "", what, remedy=remedy))


def _names(tomograms: Sequence[str]) -> NDArray[np.str_]:
    count: Counter[str] = Counter()
    names = []
    for tomogram in tomograms:
        count[tomogram] += 1
        names.append(f"{tomogram}/{count[tomogram]}")
    return np.array(names, dtype=np.str_)

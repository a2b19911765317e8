"""Picked points as surfaces in tomograms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.picks import Picks, read_picks
from tomobayes.formats.problems import collecting
from tomobayes.jobs.parameters import SampleSurface
from tomobayes.model import BadInput, Problem, TiltSeries
from tomobayes.particles.point_surfaces import surface_through
from tomobayes.particles.surfaces import Surface, fitted_ellipsoid, fitted_sphere, sphere
from tomobayes.particles.tubes import Tube, centre_line

__all__ = ["PickedObject", "picked_objects"]

Float = NDArray[np.float64]
LINE_STEPS = 20
"""Steps of a tube's centre line per radius."""


@dataclass(frozen=True)
class PickedObject:
    """One surface in one tomogram.

    Parameters
    ----------
    tilt_series : row of the tilt series
    name : as the picks call it
    surface : in Å from the tomogram's centre
    remark : what to know of the fit; may be empty
    """

    tilt_series: int
    name: str
    surface: Surface
    remark: str = ""


def picked_objects(parameters: SampleSurface, series: Sequence[TiltSeries]) -> list[PickedObject]:
    """The surfaces that picks describe; BadInput with all those that they do not determine."""
    objects: list[PickedObject] = []
    problems: list[Problem] = []
    for file in parameters.picks:
        with collecting(problems):
            objects += _objects_of(file, parameters, series)
    if problems:
        raise BadInput(problems)
    return objects


def _objects_of(file: Path, parameters: SampleSurface, series: Sequence[TiltSeries]) -> list[PickedObject]:
    """Those of one file."""
    picks = read_picks(file, radii=parameters.shape == "sphere")
    rows = _series_rows(file, picks, series)
    objects: list[PickedObject] = []
    problems: list[Problem] = []
    for row in np.unique(rows).tolist():
        scale, shift = _to_angstrom(parameters, picks, series[row])
        for name, members in _grouped(picks, rows == row, parameters):
            points = picks.position[members] * scale + shift
            try:
                surface, remark = _surface(parameters, points, picks.radius[members] * scale, scale, shift)
            except ValueError as error:
                where = f"tomogram {series[row].name}, object {name}"
                problems.append(Problem(file, where, str(error), remedy="pick more points, or choose another --shape"))
            else:
                objects.append(PickedObject(row, name, surface, remark))
    if problems:
        raise BadInput(problems)
    return objects


def _series_rows(file: Path, picks: Picks, series: Sequence[TiltSeries]) -> NDArray[np.int64]:
    known = {one.name: row for row, one in enumerate(series)}
    unknown = sorted(set(picks.tomogram.tolist()) - set(known))
    if unknown:
        what = f"names tomograms that the tomogram file does not have: {', '.join(unknown[:5])}"
        raise BadInput(Problem(file, "rlnTomoName", what, remedy=f"it has {', '.join(list(known)[:5])}"))
    return np.array([known[name] for name in picks.tomogram.tolist()], dtype=np.int64)


def _to_angstrom(parameters: SampleSurface, picks: Picks, series: TiltSeries) -> tuple[float, Float]:
    """Scale and shift from the unit of the picks to Å from the tomogram's centre.

    Pixels count from the first; as RELION's pickers have it, the centre is at half the size less one unbinned pixel.
    """
    if picks.centred:
        return 1.0, np.zeros(3)
    pixel = series.pixel_size_angstrom
    scale = parameters.coordinate_angpix or pixel * float(series.globals_.get("rlnTomoTomogramBinning", 1.0))
    return scale, -(np.array(series.tomogram_size) / 2 - 1) * pixel


def _grouped(picks: Picks, here: NDArray[np.bool_], parameters: SampleSurface) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """(name, rows) of the objects in a tomogram, in order of appearance: a sphere with a radius is an object of its own."""
    rows = np.flatnonzero(here)
    if parameters.shape == "sphere" and np.isfinite(picks.radius[rows]).all():
        yield from ((str(count), rows[count - 1 : count]) for count in range(1, len(rows) + 1))
    elif picks.object_ is None:
        yield "1", rows
    else:
        for name in dict.fromkeys(picks.object_[rows].tolist()):
            yield name, rows[picks.object_[rows] == name]


def _surface(parameters: SampleSurface, points: Float, radius: Float, scale: float, shift: Float) -> tuple[Surface, str]:
    """The surface of one object, and a remark; ValueError where points do not determine it."""
    if parameters.shape == "sphere":
        if len(points) == 1 and np.isfinite(radius[0]):
            return sphere(points[0], float(radius[0])), ""
        ball, misfit = fitted_sphere(points)
        return ball, f"points {misfit:.0f} Å from the sphere (rms)"
    if parameters.shape == "ellipsoid":
        fitted, misfit = fitted_ellipsoid(points)
        return fitted, f"points {misfit:.0f} Å from the ellipsoid (rms)"
    if parameters.shape == "tube":
        assert parameters.radius is not None
        return Tube(centre_line(points, parameters.radius / LINE_STEPS), parameters.radius), ""
    centre = None if parameters.centre is None else np.array(parameters.centre) * scale + shift
    through, sided = surface_through(points, centre)
    return through, "" if sided else "flat: normals point to larger z"

"""What is possible in a data set but most probably not meant: warnings, told before every job that works on images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from tomobayes.geometry.projection import is_visible, project
from tomobayes.model import Dataset, Optics, Problem, TiltSeries

__all__ = ["doubts", "rows_by_series"]

FEW_TILTS = 5
CLOSE_ANGSTROM = 1.0
SAME_ANGLE_DEGREES = 0.05
MICROMETRES = 50.0
"""Å of defocus below which all of a series' defoci are rather in µm."""
MOST_DEFOCUS_ANGSTROM = 150_000.0
JUMP_OF_DOSE = 5.0
"""Times the median exposure from which on an image is no ordinary one (hybrid schemes expose the first longer)."""
VOLTAGES_KV = (60.0, 400.0)
MOST_AMPLITUDE_CONTRAST = 0.5


def doubts(dataset: Dataset) -> tuple[Problem, ...]:
    """Look at everything but the pixels."""
    return (*_images(dataset), *_hands(dataset), *_tilts(dataset.tilt_series), *_optics(dataset), *_halves(dataset), *_places(dataset))


def rows_by_series(dataset: Dataset) -> list[NDArray[np.int64]]:
    """Rows of the particles of each tilt series."""
    of_series = dataset.particles.tilt_series
    counts = np.bincount(of_series, minlength=len(dataset.tilt_series))
    return np.split(np.argsort(of_series, kind="stable"), np.cumsum(counts)[:-1])


def _doubt(file: str, where: str, what: str, why: str, remedy: str) -> Problem:
    return Problem(file, where, what, why, remedy, "warning")


def _names(names: Sequence[str], at_most: int = 4) -> str:
    listed = ", ".join(names[:at_most])
    return listed if len(names) <= at_most else f"{listed} and {len(names) - at_most} more"


def _rows(rows: NDArray[np.int64], at_most: int = 4) -> str:
    listed = "rows " + ", ".join(str(row + 1) for row in rows[:at_most].tolist())
    return listed if len(rows) <= at_most else f"{listed} and {len(rows) - at_most} more"


def _images(dataset: Dataset) -> Iterator[Problem]:
    particles = dataset.particles
    absent = [series.name for series in dataset.tilt_series if series.images is None]
    if absent and particles.stacks is None and particles.subtomograms is None:
        remedy = "bring the images to where the tables say they are"
        yield _doubt(_names(absent), "", "no images are here", "what needs pixels will refuse it", remedy)


def _hands(dataset: Dataset) -> Iterator[Problem]:
    if len({series.hand for series in dataset.tilt_series}) > 1:
        fewer = min((1, -1), key=lambda sign: sum(series.hand == sign for series in dataset.tilt_series))
        others = [series.name for series in dataset.tilt_series if series.hand == fewer]
        what = f"has rlnTomoHand {fewer:+d}, the others {-fewer:+d}"
        yield _doubt(
            _names(others), "rlnTomoHand", what, "in one microscope session it is the same", "see which images agree with: tomobayes check"
        )


def _tilted_alike(series: TiltSeries) -> bool:
    """Whether two images have the same orientation: refined tilt angles alone may meet by chance."""
    apart = series.rotation[:, None] - series.rotation
    angle = np.degrees(np.sqrt((apart**2).sum((2, 3)) / 2))
    return bool((angle[~np.eye(series.n_tilts, dtype=bool)] < SAME_ANGLE_DEGREES).any())


def _tilts(series: Sequence[TiltSeries]) -> Iterator[Problem]:
    """Of each kind one warning, which names the tilt series it is about."""
    yield from _about(
        [one for one in series if one.dose.max() == 0],
        "rlnMicrographPreExposure",
        "no dose is given",
        "late images would count as much as early ones, and their order is not known",
        "write the dose before each image",
    )
    dosed = [one for one in series if one.dose.max() > 0]
    yield from _about(
        [one for one in dosed if len(np.unique(one.dose)) < one.n_tilts],
        "rlnMicrographPreExposure",
        "several images have the same dose before them",
        "only one of them can be right",
        "compare the order of acquisition with the mdoc",
    )
    yield from _about(
        [one for one in dosed if _hybrid(one)],
        "rlnMicrographPreExposure",
        f"one exposure is more than {JUMP_OF_DOSE:g} times the usual",
        "such an image is much less noisy, or images between were left out",
        "nothing if it was meant (a hybrid scheme); else correct the doses",
    )
    yield from _about(
        [one for one in series if _tilted_alike(one)],
        "rlnTomoYTilt",
        "several images have the same tilt angle",
        "images taken twice are well, one image listed twice is not",
        "compare the list of images with the mdoc",
    )
    yield from _about(
        [one for one in series if 0 < max(one.defocus_u_angstrom.max(), one.defocus_v_angstrom.max()) < MICROMETRES],
        "rlnDefocusU",
        f"all defoci are below {MICROMETRES:g} Å",
        "they seem to be in µm",
        "write them in Å",
    )
    yield from _about(
        [one for one in series if min(one.defocus_u_angstrom.min(), one.defocus_v_angstrom.min()) <= 0],
        "rlnDefocusU",
        "images have no or negative underfocus",
        "their CTF fits are worth a look",
        "exclude the images, or fit their CTF again",
    )
    yield from _about(
        [one for one in series if one.defocus_u_angstrom.max() > MOST_DEFOCUS_ANGSTROM],
        "rlnDefocusU",
        f"images have more than {MOST_DEFOCUS_ANGSTROM / 1e4:g} µm of underfocus",
        "their CTF fits are worth a look",
        "exclude the images, or fit their CTF again",
    )


def _about(series: Sequence[TiltSeries], where: str, what: str, why: str, remedy: str) -> Iterator[Problem]:
    if series:
        yield _doubt(_names([one.name for one in series]), where, what, why, remedy)


def _hybrid(series: TiltSeries) -> bool:
    steps = np.diff(np.unique(series.dose))
    return len(steps) > 2 and bool(steps.max() > JUMP_OF_DOSE * np.median(steps))


def _optics(dataset: Dataset) -> Iterator[Problem]:
    for one in dataset.optics:
        if any(strange := list(_strange(one))):
            remedy = "correct the optics where the data were imported, or nothing if it was meant"
            yield _doubt(f"optics group {one.name}", "", " and ".join(strange), "CTFs are computed from it", remedy)


def _strange(optics: Optics) -> Iterator[str]:
    if not VOLTAGES_KV[0] <= optics.voltage_kv <= VOLTAGES_KV[1]:
        yield f"the voltage is {optics.voltage_kv:g} kV"
    if not 0 <= optics.amplitude_contrast <= MOST_AMPLITUDE_CONTRAST:
        yield f"the amplitude contrast is {optics.amplitude_contrast:g}"
    if optics.spherical_aberration_mm < 0:
        yield f"the spherical aberration is {optics.spherical_aberration_mm:g} mm"


def _halves(dataset: Dataset) -> Iterator[Problem]:
    half = dataset.particles.half
    unassigned = np.flatnonzero(half == 0)
    if 0 < len(unassigned) < len(half):
        what = f"{len(unassigned)} of {len(half)} particles belong to no half-set, the others do"
        remedy = "give them one, or deal all anew with: tomobayes split-halves"
        yield _doubt("particles", f"{_rows(unassigned)}, column rlnRandomSubset", what, "jobs that need half-sets will refuse them", remedy)


def _places(dataset: Dataset) -> Iterator[Problem]:
    few = np.flatnonzero(_tilts_seen(dataset) < np.minimum(FEW_TILTS, _tilts_there(dataset)))
    if len(few):
        what = f"{len(few)} of {len(dataset.particles)} particles lie inside fewer than {FEW_TILTS} tilt images"
        why = "so do all of them where pixel size, binning or centre of the coordinates is wrong"
        yield _doubt("particles", _rows(few), what, why, "compare coordinates with the tomogram; --min-frames leaves such particles out")
    outside = np.flatnonzero(_outside(dataset))
    if len(outside):
        what = f"{len(outside)} of {len(dataset.particles)} particles lie outside their tomogram"
        yield _doubt(
            "particles", _rows(outside), what, "coordinates in other units or from another centre do", "compare them with rlnTomoSize"
        )
    second, across = _repeated(dataset)
    if len(second):
        torn = f", {across} of them in the other half-set" if across else ""
        what = f"{len(second)} particles lie within {CLOSE_ANGSTROM:g} Å of another{torn}"
        yield _doubt("particles", _rows(second), what, "duplicates tie the half-sets together", "remove them with: tomobayes dedupe")


def _tilts_there(dataset: Dataset) -> NDArray[np.int64]:
    return np.array([series.n_tilts for series in dataset.tilt_series], dtype=np.int64)[dataset.particles.tilt_series]


def _tilts_seen(dataset: Dataset) -> NDArray[np.int64]:
    """(P,) on how many tilt images each particle's centre lies; all of them where the images' size is unknown."""
    seen, centre = _tilts_there(dataset), dataset.particles.centre_angstrom
    for series, rows in zip(dataset.tilt_series, rows_by_series(dataset), strict=True):
        if series.image_size is not None and len(rows):
            geometry = (torch.from_numpy(series.rotation), torch.from_numpy(series.shift_angstrom))
            points = torch.from_numpy(centre[rows])
            places = project(points, *geometry, series.pixel_size_angstrom, series.tomogram_size, series.image_size)
            seen[rows] = is_visible(places, series.image_size, 0.0).sum(1).numpy()
    return seen


def _outside(dataset: Dataset) -> NDArray[np.bool_]:
    """(P,) whose centre is outside the tomogram by more than a tenth of its size; slabs are often told a little too thin."""
    half = np.array([0.6 * series.pixel_size_angstrom * np.array(series.tomogram_size) for series in dataset.tilt_series])
    return np.asarray((np.abs(dataset.particles.centre_angstrom) > half[dataset.particles.tilt_series]).any(axis=1))


def _repeated(dataset: Dataset) -> tuple[NDArray[np.int64], int]:
    """Rows of particles on top of an earlier one of their tilt series, and how many of those pairs are in two half-sets."""
    from scipy.spatial import KDTree

    centre, half = dataset.particles.centre_angstrom, dataset.particles.half
    found = [np.zeros((0, 2), dtype=np.int64)]
    for rows in rows_by_series(dataset):
        found.append(rows[KDTree(centre[rows]).query_pairs(CLOSE_ANGSTROM, output_type="ndarray")] if len(rows) > 1 else found[0])
    pairs = np.concatenate(found)
    first, second = half[pairs].T
    return np.unique(pairs.max(1)) if len(pairs) else pairs[:, 0], int(((first != second) & (first * second > 0)).sum())

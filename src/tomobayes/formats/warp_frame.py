"""Sizes that Warp's tilt-series files leave out: pixel, images and volume, and where the tilt images are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from tomobayes.formats.mrc_header import MrcHeader, read_header
from tomobayes.formats.mrc_images import MrcImages
from tomobayes.formats.paths import Folders
from tomobayes.formats.warp_project import WarpProject
from tomobayes.formats.warp_tilt_series import WarpTiltSeries
from tomobayes.model import BadInput, Problem

__all__ = ["WarpFrame", "WarpSizes", "frame_of"]


@dataclass(frozen=True)
class WarpSizes:
    """What the user says where the files do not (or to overrule them): Å, (x, y, z) and (width, height) in pixels of that size."""

    pixel_size_angstrom: float | None = None
    tomogram_size: tuple[int, int, int] | None = None
    image_size: tuple[int, int] | None = None


@dataclass(frozen=True)
class WarpFrame:
    """The sizes of one tilt series.

    Parameters
    ----------
    pixel_size_angstrom : of the tilt images
    volume_angstrom : edges of the volume
    image_angstrom, image_size : edges of the images, in pixels too; None where nobody knows them
    images : the tilt images of the tilts that are used, or None
    file : the tilt series' own, or None where it has none yet
    """

    pixel_size_angstrom: float
    volume_angstrom: tuple[float, float, float]
    image_angstrom: tuple[float, float] | None
    image_size: tuple[int, int] | None
    images: MrcImages | None = None
    file: Path | None = None


def frame_of(series: WarpTiltSeries, path: Path, project: WarpProject, given: WarpSizes, root: Path | None) -> WarpFrame:
    """Find the sizes of a tilt series, each from the first that knows it: the user, the series' own file, its images, the settings.

    Raises
    ------
    BadInput
        a size that is needed and that nobody knows, or sizes that contradict each other
    """
    headers = _averages(series, path, root)
    recorded = project.pixel_size_angstrom or _option(series, "PixelSize") or _option(series, "PixelSizeX")
    pixel = given.pixel_size_angstrom or _header_pixel(headers) or (_times(recorded, project.binning) if headers else recorded)
    problems: list[Problem] = []
    if pixel is None:
        remedy = "give the settings file instead of the folder, or say it (--angpix)"
        problems.append(Problem(path, "", "the pixel size of the tilt images is not known", remedy=remedy))
    volume = _volume(series, project, given, recorded, pixel)
    if volume is None:
        remedy = "give the settings file instead of the folder, or say it (--tomogram-size X Y Z)"
        problems.append(Problem(path, "", "the size of the tomogram is not known", "coordinates count from its corner", remedy))
    image = series.image_angstrom or _warp_1_image(series) or _edges(given.image_size, pixel) or _edges(_shape(headers), pixel)
    if image is None and any(not series.grid(f"GridMovement{axis}").is_even for axis in "XY"):
        what = "has an image warp, but the size of the images is not known"
        problems.append(Problem(path, "", what, remedy="keep the averages beside it, or say the size (--image-size X Y)"))
    if problems or pixel is None or volume is None:
        raise BadInput(problems)
    size = _shape(headers) or given.image_size or _in_pixels(image, pixel)
    _check_images(headers, size, image, pixel, path)
    return WarpFrame(pixel, volume, image, size, _images(series, headers, pixel), path)


def _averages(series: WarpTiltSeries, path: Path, root: Path | None) -> list[MrcHeader]:
    """Headers of Warp's averages of the movies, one per tilt; empty unless all of them are there."""
    folders = Folders(path, root)
    found = [_average(name, folders) for name in series.movie_paths.tolist()]
    return [read_header(one) for one in found if one is not None] if all(found) else []


def _average(movie: str, folders: Folders) -> Path | None:
    name = PurePosixPath(movie.replace("\\", "/"))
    candidates = [name.parent / "average" / f"{name.stem}.mrc", *([name] if name.suffix in (".mrc", ".st") else [])]
    return next((at for one in candidates if movie and (at := folders.find(str(one))) is not None), None)


def _images(series: WarpTiltSeries, headers: Sequence[MrcHeader], pixel: float) -> MrcImages | None:
    """The images of the tilts that are used."""
    if not headers:
        return None
    used = [headers[tilt] for tilt in np.flatnonzero(series.is_used).tolist()]
    return MrcImages([(one.path, 0) for one in used], {one.path: one for one in used}, pixel)


def _check_images(
    headers: Sequence[MrcHeader], size: tuple[int, int] | None, image: tuple[float, float] | None, pixel: float, path: Path
) -> None:
    """Averages are single images of one size, and as large as the file says."""
    odd = [one for one in headers if one.shape != (1, *headers[0].shape[1:])]
    if odd:
        what = f"is {' x '.join(str(n) for n in odd[0].shape[::-1])} pixels, where a single image of the size of the others was expected"
        raise BadInput(Problem(odd[0].path, "header", what, remedy="let Warp average the frames again"))
    if headers and size is not None and image is not None and any(abs(n * pixel - a) > 2 * pixel for n, a in zip(size, image, strict=True)):
        what = f"images are {image[0]:.1f} x {image[1]:.1f} Å, but the averages {size[0]} x {size[1]} pixels of {pixel:.4g} Å"
        raise BadInput(Problem(path, "", what, remedy="say the pixel size of the averages (--angpix)"))


def _volume(
    series: WarpTiltSeries, project: WarpProject, given: WarpSizes, recorded: float | None, pixel: float | None
) -> tuple[float, float, float] | None:
    if given.tomogram_size is not None and pixel is not None:
        x, y, z = (edge * pixel for edge in given.tomogram_size)
        return x, y, z
    if series.volume_angstrom is not None:
        return series.volume_angstrom
    if project.volume_size is not None and recorded is not None:
        x, y, z = (edge * recorded for edge in project.volume_size)
        return x, y, z
    return None


def _warp_1_image(series: WarpTiltSeries) -> tuple[float, float] | None:
    """Warp 1 keeps width and height in Å with the number of tilts; later versions write zeros there."""
    parts = series.options.get("Dimensions", "").split(",")
    try:
        width, height, count = (float(part) for part in parts)
    except ValueError:
        return None
    return (width, height) if min(width, height) > 0 and count == series.n_tilts else None


def _option(series: WarpTiltSeries, name: str) -> float | None:
    """A positive length of the CTF options; absent where no CTF was fitted."""
    try:
        value = float(series.options.get(name, ""))
    except ValueError:
        return None
    return value if 0 < value < 1e4 else None


def _header_pixel(headers: Sequence[MrcHeader]) -> float | None:
    return headers[0].pixel_size_angstrom if headers and headers[0].has_pixel_size else None


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _shape(headers: Sequence[MrcHeader]) -> tuple[int, int] | None:
    return (headers[0].shape[2], headers[0].shape[1]) if headers else None


def _edges(size: tuple[int, int] | None, pixel: float | None) -> tuple[float, float] | None:
    return None if size is None or pixel is None else (size[0] * pixel, size[1] * pixel)


def _in_pixels(image: tuple[float, float] | None, pixel: float) -> tuple[int, int] | None:
    return None if image is None else (round(image[0] / pixel), round(image[1] / pixel))

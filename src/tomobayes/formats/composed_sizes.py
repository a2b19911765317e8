"""Pixel sizes, and sizes of images and tomogram, of one tilt series that several programs know of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tomobayes.formats.sources import Given, Sources
from tomobayes.formats.views import Aligned
from tomobayes.model import Problem

__all__ = ["Sizes", "sizes_of"]

SAME_SIZE, CROPPED, ALIKE = 0.1, 0.2, 0.01


@dataclass(frozen=True)
class Sizes:
    """What is measured of one tilt series.

    Parameters
    ----------
    pixel, aligned : Å, of the tilt images and of the images that were aligned
    pixel_from : who told the pixel size
    image, tomogram : (width, height) and (x, y, z) in pixels of the tilt images
    sentences : about sources that tell otherwise
    """

    pixel: float
    pixel_from: str
    aligned: float
    image: tuple[int, int]
    tomogram: tuple[int, int, int]
    sentences: tuple[str, ...]


def sizes_of(sources: Sources, given: Given, problems: list[Problem]) -> Sizes | None:
    """Each size from the first that knows it: user, images, alignment, mdoc; None where there are problems, which are added."""
    assert sources.aligned is not None
    mdoc, images, aligned = sources.acquired, sources.images, sources.aligned
    told = [
        ("--angpix", given.pixel_size_angstrom),
        ("the images", images.pixel_size_angstrom if images is not None else None),
        ("the mdoc", mdoc.pixel_size_angstrom if mdoc is not None else None),
    ]
    pixel_from, pixel = next(((source, value) for source, value in told if value is not None), ("", None))
    if pixel is None:
        problems.append(
            Problem(None, f"tilt series {sources.name}", "its pixel size is not known", remedy="give --angpix (Å, of the tilt images)")
        )
        return None
    sentences = tuple(
        f"the pixel size is {pixel:g} Å by {pixel_from}, {value:g} Å by {source}"
        for source, value in told
        if value is not None and abs(value - pixel) > 1e-3 * pixel
    )
    of_mdoc = _scaled(mdoc.image_size, (mdoc.pixel_size_angstrom or pixel) / pixel) if mdoc is not None else None
    image: tuple[int, ...] | None = given.image_size or (images.size if images is not None else None)
    aligned_angstrom = _aligned_pixel(sources.name, aligned, given, image, pixel, problems)
    image = image or _scaled(aligned.image_size, aligned_angstrom / pixel) or of_mdoc
    tomogram = given.tomogram_size or _scaled(aligned.tomogram_size, aligned_angstrom / pixel)
    if image is None:
        remedy = "give the images with --tilt-images, or --image-size (width height, in pixels)"
        problems.append(Problem(None, f"tilt series {sources.name}", "the size of its images is not known", remedy=remedy))
    if tomogram is None:
        remedy = "give --tomogram-size (x y z, in pixels of the tilt images)"
        problems.append(Problem(None, f"tilt series {sources.name}", "the size of its tomogram is not known", remedy=remedy))
    if pixel_from == "the mdoc" and image is not None and of_mdoc is not None and _differ(image, of_mdoc):
        what = f"the mdoc's {pixel:g} Å per pixel are of images of {of_mdoc[0]} x {of_mdoc[1]}, but these have {image[0]} x {image[1]}"
        problems.append(Problem(None, f"tilt series {sources.name}", what, remedy="give --angpix (Å, of the tilt images)"))
    if image is None or tomogram is None:
        return None
    return Sizes(pixel, pixel_from, aligned_angstrom, (image[0], image[1]), (tomogram[0], tomogram[1], tomogram[2]), sentences)


def _aligned_pixel(
    name: str, aligned: Aligned, given: Given, image: tuple[int, ...] | None, pixel: float, problems: list[Problem]
) -> float:
    """Pixel size of the images that were aligned: by their size against that of the tilt images, where both are known."""
    seen = aligned.image_size or (aligned.tomogram_size[:2] if aligned.tomogram_size is not None else None)
    if given.aligned_angstrom is not None or image is None or seen is None:
        return given.aligned_angstrom or pixel
    ratios = [edge / other for edge, other in zip(sorted(image), sorted(seen), strict=True)]
    if aligned.image_size is not None and abs(ratios[0] - ratios[1]) < ALIKE * ratios[0]:
        return pixel * ratios[0]
    if any(abs(ratio - 1) > CROPPED for ratio in ratios):
        what = f"images of {seen[0]} x {seen[1]} were aligned, but the tilt images have {image[0]} x {image[1]}"
        problems.append(Problem(None, f"tilt series {name}", what, remedy="give --alignment-angpix (Å, of the images that were aligned)"))
    return pixel


def _differ(first: Sequence[int], second: Sequence[int]) -> bool:
    """By more than a margin that was cut off, whichever way the images are turned."""
    return any(abs(a - b) > SAME_SIZE * b for a, b in zip(sorted(first), sorted(second), strict=True))


def _scaled(size: tuple[int, ...] | None, factor: float) -> tuple[int, ...] | None:
    return None if size is None else tuple(max(1, round(edge * factor)) for edge in size)

"""Images of particles for programs that learn from them: 2D stacks, and the STAR files that go with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.image_star import write_image_star
from tomobayes.formats.mrc import Mode
from tomobayes.formats.relion import ExtractedImages
from tomobayes.formats.relion4_write import write_relion4
from tomobayes.formats.relion_subtraction import without_subtraction
from tomobayes.imaging.crops import Crop, crop_plan
from tomobayes.imaging.gathering import Source
from tomobayes.jobs.experiment import check_fits_images, check_pixels, one_pixel_size, usable_or_refuse
from tomobayes.jobs.log import Log
from tomobayes.jobs.parameters import Export
from tomobayes.jobs.particle_images import Kind, WrittenImages, with_file_names, written_images
from tomobayes.model import Dataset
from tomobayes.particles.rows import with_rows

__all__ = ["usable_for_stacks", "write_stacks_and_stars"]

FOLDER = "stacks"


def usable_for_stacks(dataset: Dataset, parameters: Export, log: Log) -> NDArray[np.bool_]:
    """(P,) particles whose images can be cut; pixels and boxes are checked."""
    assert parameters.box is not None
    source = Source("series", parameters.crop or parameters.box, parameters.bin, parameters.box, parameters.max_dose, parameters.min_frames)
    one_pixel_size(dataset)
    check_fits_images(dataset, replace(source, box=parameters.box))
    check_pixels(dataset, "series", log)
    return usable_or_refuse(dataset, source)


def write_stacks_and_stars(
    folder: Path, dataset: Dataset, usable: NDArray[np.bool_], parameters: Export, log: Log
) -> tuple[list[Path], Sequence[WrittenImages]]:
    """Write the images, and the STAR files that name them; give the latter.

    tomoDRGN reads what WarpTools writes for RELION: images multiplied by CTF and dose weight, poses per particle, matrices per tilt.
    cryoDRGN-ET refuses such images: it gets them as they were recorded, with pose and CTF per image.
    """
    assert parameters.box is not None
    left = with_file_names(with_rows(dataset, np.flatnonzero(usable)))
    crop = crop_plan(parameters.crop or parameters.box, parameters.bin, parameters.box, 0.0, one_pixel_size(dataset))
    mode: Mode = "float16" if parameters.float16 else "float32"
    kind: Kind = "stacks" if parameters.to == "tomodrgn" else "plain stacks"
    written = list(written_images(left, crop, folder / FOLDER, kind, mode, parameters.max_dose, log))
    if parameters.to == "tomodrgn":
        bare, _ = without_subtraction(left.particles, {})
        without_images = replace(
            left, particles=bare, subtraction=None, tilt_series=tuple(replace(one, images=None) for one in left.tilt_series)
        )
        return [write_relion4(folder, without_images, extracted=_described(crop, written))], written
    path = folder / "particles.star"
    files = [Path(one.image) for one in written]
    visible = [one.visible for one in written]
    write_image_star(path, left, files, visible, one_pixel_size(dataset) * crop.binning, crop.box)
    return [path], written


def _described(crop: Crop, written: Sequence[WrittenImages]) -> ExtractedImages:
    names, visible = [one.image for one in written], [one.visible for one in written]
    return ExtractedImages("stacks", crop.box, crop.binning, names, visible=visible)

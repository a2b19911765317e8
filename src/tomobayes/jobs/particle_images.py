"""Images of single particles into files, one particle after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.mrc import Mode, write_stack
from tomobayes.formats.stored_particles import write_pseudo_subtomogram
from tomobayes.imaging.crops import Crop
from tomobayes.imaging.subtomograms import ModulatedImages, modulated_images, plain_stack, pseudo_subtomogram, stack
from tomobayes.imaging.subtraction import subtracted_signal
from tomobayes.imaging.views import Views, views_of
from tomobayes.jobs.log import Log
from tomobayes.model import Dataset

__all__ = ["Kind", "WrittenImages", "with_file_names", "written_images"]

Kind = Literal["stacks", "plain stacks", "subtomograms"]
"""2D stacks multiplied by CTF and dose weight, 2D stacks as recorded, or pseudo-subtomograms."""


@dataclass(frozen=True)
class WrittenImages:
    """What was written of one particle: file names, the tilts it holds, and an image to show."""

    image: str
    weight: str
    visible: NDArray[np.bool_]
    shown: NDArray[np.float32]


def with_file_names(dataset: Dataset) -> Dataset:
    """The same experiment with particles whose names begin with their tomogram's, as files of their images are sorted into folders."""
    table = dataset.particles
    series = np.array([one.name for one in dataset.tilt_series])[table.tilt_series]
    names = [name if "/" in name else f"{tomogram}/{name}" for name, tomogram in zip(table.name.tolist(), series.tolist(), strict=True)]
    return dataset.with_particles(replace(table, name=np.array(names), stacks=None, subtomograms=None, visible=None))


def written_images(
    dataset: Dataset, crop: Crop, folder: Path, kind: Kind, mode: Mode, max_dose: float | None, log: Log
) -> Iterator[WrittenImages]:
    """Write the images of all particles, in their order, to files in ``folder`` that are named as the particles are."""
    table = dataset.particles
    with log.steps("Extraction", len(table)) as step:
        for row in range(len(table)):
            series = dataset.tilt_series[int(table.tilt_series[row])]
            assert series.images is not None
            views = views_of(dataset, np.array([row]), half_width_px=0.5 * crop.box * crop.binning, max_dose=max_dose)
            subtracted = subtracted_signal(dataset, np.array([row]), views, crop)
            stem = folder / str(table.name[row])
            stem.parent.mkdir(parents=True, exist_ok=True)
            pixel = series.pixel_size_angstrom * crop.binning
            if kind == "subtomograms":
                images = modulated_images(series.images, views, 0, crop, subtracted)
                yield _subtomogram(stem, images, table.rotation_subtomogram[row], pixel, mode)
            elif kind == "stacks":
                yield _stack(stem, stack(modulated_images(series.images, views, 0, crop, subtracted)), views, pixel, mode)
            else:
                yield _stack(stem, plain_stack(series.images, views, 0, crop, subtracted), views, pixel, mode)
            step(1)


def _stack(stem: Path, pixels: NDArray[np.float32], views: Views, pixel_size_angstrom: float, mode: Mode) -> WrittenImages:
    path = stem.with_name(f"{stem.name}_stack2d.mrcs")
    write_stack(path, pixels, pixel_size_angstrom, mode)
    return WrittenImages(str(path), "", views.visible[0].numpy(), pixels[len(pixels) // 2])


def _subtomogram(stem: Path, images: ModulatedImages, frame: NDArray[np.float64], pixel_size_angstrom: float, mode: Mode) -> WrittenImages:
    data, weights = (stem.with_name(f"{stem.name}_{what}.mrc") for what in ("data", "weights"))
    subtomogram = pseudo_subtomogram(images, frame)
    write_pseudo_subtomogram(data, weights, subtomogram, pixel_size_angstrom, mode)
    return WrittenImages(str(data), str(weights), images.visible, subtomogram.data[len(subtomogram.data) // 2])

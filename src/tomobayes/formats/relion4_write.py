"""Writing a Dataset as a RELION-4 project: pixel coordinates, one file of tomograms with projection matrices, tilt series as stacks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.mrc_images import MrcImages
from tomobayes.formats.mrc_writer import write_images
from tomobayes.formats.paths import name_from
from tomobayes.formats.relion4 import MATRIX_LABELS
from tomobayes.formats.relion_deformation import same_kind
from tomobayes.formats.relion_motion import write_motion
from tomobayes.formats.relion_particles import CENTRED_LABELS, PIXEL_LABELS
from tomobayes.formats.relion_set import OptimisationSet, write_optimisation_set
from tomobayes.formats.relion_write_particles import ExtractedImages, particle_tables
from tomobayes.formats.relion_write_tomograms import ANGLE_LABELS, SHIFT_LABELS, global_columns, tilt_columns
from tomobayes.formats.star import Table, write_star
from tomobayes.formats.star_values import format_float
from tomobayes.model import Dataset, Images, TiltSeries

__all__ = ["dose_per_tilt", "write_relion4"]

Float = NDArray[np.float64]
Text = NDArray[np.str_]
RELION5_ONLY = (*ANGLE_LABELS, *SHIFT_LABELS, "rlnMicrographName", "rlnMicrographNameEven", "rlnMicrographNameOdd")
DOSE_LABEL = "rlnTomoImportFractionalDose"
NO_STACK = "none.mrc"
"""What the stack of a tilt series is called whose images are not at hand: other programs put a dummy there, too."""


def write_relion4(folder: Path | str, dataset: Dataset, *, extracted: ExtractedImages | None = None, root: Path | None = None) -> Path:
    """Write particles.star, tomograms.star, motion.star where particles move, and optimisation_set.star; give the last.

    RELION 4 wants the images of a tilt series in one stack: those that are in files of their own are copied to tilt_series/<name>.mrcs.

    Parameters
    ----------
    extracted : images extracted for the particles
    root : folder that names in the files are to hold from, by default the current one
    """
    folder = Path(folder)
    series = same_kind(dataset.tilt_series)
    stacks = [_stack(folder, one, root) for one in series]
    columns = {
        label: cells for label, cells in global_columns(series, dataset.optics, stacks).items() if label != "rlnTomoTiltSeriesStarFile"
    }
    columns["rlnTomoTiltSeriesName"] = np.array(stacks, dtype=np.str_)
    columns["rlnTomoFrameCount"] = np.array([str(one.n_tilts) for one in series], dtype=np.str_)
    if "rlnOpticsGroupName" not in columns:
        columns["rlnOpticsGroupName"] = np.array([one.optics_name for one in series], dtype=np.str_)
    if DOSE_LABEL not in columns:
        columns[DOSE_LABEL] = np.array([format_float(dose_per_tilt(one)) for one in series], dtype=np.str_)
    tables = [Table("global", columns), *(Table(one.name, _tilts(one)) for one in series)]
    members = OptimisationSet(particles=folder / "particles.star", tomograms=folder / "tomograms.star", reference=dataset.reference)
    assert members.particles is not None and members.tomograms is not None
    write_star(members.tomograms, tables)
    write_star(members.particles, [_with_pixels(table, dataset) for table in particle_tables(dataset, extracted=extracted)])
    if dataset.motion_angstrom is not None:
        members = replace(members, trajectories=folder / "motion.star")
        write_motion(folder / "motion.star", dataset.particles.name.tolist(), dataset.motion_angstrom)
    write_optimisation_set(folder / "optimisation_set.star", members, root)
    return folder / "optimisation_set.star"


def dose_per_tilt(series: TiltSeries) -> float:
    """e/Å² of one image: as imported, else between the first two, as RELION takes it; 0 of a single image."""
    if DOSE_LABEL in series.globals_:
        return float(series.globals_[DOSE_LABEL])
    doses = np.unique(series.dose)
    return float(doses[1] - doses[0]) if len(doses) > 1 else 0.0


def projection_matrices(series: TiltSeries) -> Float:
    """(F, 4, 4) tomogram pixel (x, y, z, 1) -> image pixel, P = S1·S2·R·S0; without known images their middle counts as 0."""
    centre = np.array([size // 2 for size in series.tomogram_size], dtype=np.float64)
    middle = np.array([0 if series.image_size is None else size // 2 for size in series.image_size or (0, 0)])
    matrices = np.tile(np.eye(4), (series.n_tilts, 1, 1))
    matrices[:, :3, :3] = series.rotation
    matrices[:, :3, 3] = -series.rotation @ centre
    matrices[:, :2, 3] += series.shift_angstrom / series.pixel_size_angstrom + middle
    return matrices


def _tilts(series: TiltSeries) -> dict[str, Text]:
    matrices = projection_matrices(series)
    rows = {
        label: np.array([f"[{','.join(repr(round(value, 10)) for value in row)}]" for row in matrices[:, i].tolist()], dtype=np.str_)
        for i, label in enumerate(MATRIX_LABELS)
    }
    return rows | {label: cells for label, cells in tilt_columns(series).items() if label not in (*RELION5_ONLY, *MATRIX_LABELS)}


def _with_pixels(table: Table, dataset: Dataset) -> Table:
    """The particle table with coordinates in unbinned pixels, the first of which is 1, in place of centred ones in Å."""
    if table.name != "particles":
        return table
    rows = dataset.particles.tilt_series
    pixel = np.array([one.pixel_size_angstrom for one in dataset.tilt_series])[rows, None]
    size = np.array([one.tomogram_size for one in dataset.tilt_series])[rows]
    coordinates = dataset.particles.position_angstrom / pixel + size / 2 - 1
    cells = {label: np.array([format_float(v) for v in coordinates[:, i].tolist()], dtype=np.str_) for i, label in enumerate(PIXEL_LABELS)}
    return replace(table, columns=cells | {label: text for label, text in table.columns.items() if label not in CENTRED_LABELS})


def _stack(folder: Path, series: TiltSeries, root: Path | None) -> str:
    """The name of the one stack that holds all images in the order of the tilts, written where there is none."""
    images = series.images
    if images is None:
        return series.globals_.get("rlnTomoTiltSeriesName", NO_STACK)
    if isinstance(images, MrcImages) and _is_one_stack(images.slices):
        return name_from(images.slices[0][0], root)
    path = folder / "tilt_series" / f"{series.name}.mrcs"
    write_images(path, _as_stored(images), images.shape, series.pixel_size_angstrom)
    return name_from(path, root)


def _is_one_stack(slices: Sequence[tuple[Path, int]]) -> bool:
    """Whether the images are all the sections of one file from the first on (RELION 4 counts on)."""
    return [section for _, section in slices] == list(range(len(slices))) and len({path for path, _ in slices}) == 1


def _as_stored(images: Images) -> Iterator[NDArray[np.generic]]:
    """The images in a type that a stack can have."""
    for tilt in range(images.shape[0]):
        image = np.asarray(images.read(tilt))
        yield image if image.dtype.name in ("int8", "int16", "float16", "float32") else image.astype(np.float32)

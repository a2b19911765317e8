"""``extract``: images of every particle as files for RELION."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.compute.threads import use_threads
from tomobayes.formats.mrc import Mode, write_stack
from tomobayes.formats.relion import ExtractedImages, find_members, read_dataset, write_dataset
from tomobayes.formats.relion_write import Part
from tomobayes.formats.stored_particles import write_pseudo_subtomogram
from tomobayes.imaging.crops import Crop, crop_plan
from tomobayes.imaging.gathering import Source
from tomobayes.imaging.subtomograms import ModulatedImages, modulated_images, pseudo_subtomogram, stack
from tomobayes.imaging.views import views_of
from tomobayes.jobs.describe import data_section
from tomobayes.jobs.experiment import check_fits_images, check_pixels, one_pixel_size, usable_or_refuse
from tomobayes.jobs.frame import Context
from tomobayes.jobs.parameters import Extract
from tomobayes.model import Dataset, Particles
from tomobayes.report import Fact, Finding, Report, Section, images_of

__all__ = ["run"]

FOLDER = "Subtomograms"
TO_WRITE: tuple[Part, ...] = ("particles", "tomograms", "motion")
"""Motion is written anew, since it holds one entry for each particle that is left."""

_PER_PARTICLE = (
    "tilt_series", "optics", "position_angstrom", "rotation_subtomogram", "rotation_particle", "origin_angstrom", "half",
    "class_number", "tilt_prior_degrees", "psi_prior_degrees", "rot_prior_degrees",
)  # fmt: skip


@dataclass(frozen=True)
class _Written:
    """What was written of one particle: file names, the tilts it holds, and an image to show."""

    image: str
    weight: str
    visible: NDArray[np.bool_]
    shown: NDArray[np.float32]


def run(parameters: Extract, context: Context) -> Path:
    """Write Subtomograms/*, particles.star that names them, and an optimisation set."""
    use_threads(parameters.j)
    members = find_members(*parameters.members)
    dataset = read_dataset(*parameters.members, ignore_stored=True)
    unbinned = one_pixel_size(dataset)
    edge = parameters.crop or parameters.box
    source = Source("series", edge, parameters.bin, parameters.box, parameters.max_dose, parameters.min_frames)
    check_fits_images(dataset, replace(source, box=parameters.box))
    check_pixels(dataset, "series", context.log)
    usable = usable_or_refuse(dataset, source)
    folder = context.open([members.particles, members.tomograms, members.trajectories])
    left = _selected(dataset, np.flatnonzero(usable))
    left = left.with_particles(_recentred(left.particles, apply_orientations=parameters.apply_orientations))
    crop = crop_plan(edge, parameters.bin, parameters.box, 0.0, unbinned)
    written = list(_extracted(left, crop, parameters, folder, context))
    star = write_dataset(folder, left, what=TO_WRITE, members=members, extracted=_described(parameters, crop, written))
    context.output(star, folder / "particles.star")
    context.log.say(f"{len(written)} of {len(usable)} particles extracted")
    context.show(_report(left, crop, parameters, written, len(usable), unbinned))
    return folder


def _selected(dataset: Dataset, rows: NDArray[np.int64]) -> Dataset:
    """The same experiment with some of its particles, whose names begin with their tomogram's."""
    table = dataset.particles
    series = np.array([one.name for one in dataset.tilt_series])[table.tilt_series]
    names = [name if "/" in name else f"{tomogram}/{name}" for name, tomogram in zip(table.name.tolist(), series.tolist(), strict=True)]
    chosen = {name: getattr(table, name)[rows] for name in _PER_PARTICLE}
    columns = {label: cells[rows] for label, cells in table.columns.items()}
    particles = replace(table, **chosen, name=np.array(names)[rows], columns=columns, stacks=None, subtomograms=None, visible=None)
    motion = None if dataset.motion_angstrom is None else tuple(dataset.motion_angstrom[row] for row in rows)
    return replace(dataset, particles=particles, motion_angstrom=motion)


def _recentred(particles: Particles, *, apply_orientations: bool) -> Particles:
    """Positions at the particles' centres and no origins, as RELION extracts; with ``apply_orientations`` frames turn along too."""
    moved = replace(particles, position_angstrom=particles.centre_angstrom, origin_angstrom=np.zeros_like(particles.origin_angstrom))
    if not apply_orientations:
        return moved
    identity = np.broadcast_to(np.eye(3), particles.rotation_particle.shape).copy()
    return replace(moved, rotation_subtomogram=particles.rotation, rotation_particle=identity)


def _extracted(dataset: Dataset, crop: Crop, parameters: Extract, folder: Path, context: Context) -> Iterator[_Written]:
    """Write the particles in their order."""
    table = dataset.particles
    with context.log.steps("Extraction", len(table)) as step:
        for row in range(len(table)):
            series = dataset.tilt_series[int(table.tilt_series[row])]
            assert series.images is not None
            half_width = 0.5 * crop.box * crop.binning
            views = views_of(dataset, np.array([row]), half_width_px=half_width, max_dose=parameters.max_dose)
            images = modulated_images(series.images, views, 0, crop)
            stem = folder / FOLDER / str(table.name[row])
            pixel = series.pixel_size_angstrom * crop.binning
            yield _write(stem, images, table.rotation_subtomogram[row], pixel, parameters)
            step(1)


def _write(stem: Path, images: ModulatedImages, frame: NDArray[np.float64], pixel_size_angstrom: float, parameters: Extract) -> _Written:
    mode: Mode = "float16" if parameters.float16 else "float32"
    stem.parent.mkdir(parents=True, exist_ok=True)
    if parameters.stack2d:
        path = stem.with_name(f"{stem.name}_stack2d.mrcs")
        pixels = stack(images)
        write_stack(path, pixels, pixel_size_angstrom, mode)
        return _Written(str(path), "", images.visible, pixels[len(pixels) // 2])
    data, weights = (stem.with_name(f"{stem.name}_{what}.mrc") for what in ("data", "weights"))
    subtomogram = pseudo_subtomogram(images, frame)
    write_pseudo_subtomogram(data, weights, subtomogram, pixel_size_angstrom, mode)
    return _Written(str(data), str(weights), images.visible, subtomogram.data[len(subtomogram.data) // 2])


def _described(parameters: Extract, crop: Crop, written: list[_Written]) -> ExtractedImages:
    return ExtractedImages(
        kind="stacks" if parameters.stack2d else "subtomograms",
        box=crop.box,
        binning=crop.binning,
        image_names=[one.image for one in written],
        weight_names=None if parameters.stack2d else [one.weight for one in written],
        visible=[one.visible for one in written] if parameters.stack2d else None,
    )


def _report(dataset: Dataset, crop: Crop, parameters: Extract, written: list[_Written], asked: int, unbinned: float) -> Report:
    pixel = unbinned * crop.binning
    facts = [
        Fact("Particles", f"{len(written)}"),
        Fact("Box", f"{crop.box} px of {pixel:g} Å"),
        Fact("Images per particle", f"{np.mean([one.visible.sum() for one in written]):.1f}"),
    ]
    findings = []
    if asked > len(written):
        findings.append(Finding("note", f"{asked - len(written)} of {asked} particles were left out: they are seen in too few images."))
    shown = {str(name): one.shown for name, one in zip(dataset.particles.name[:4], written[:4], strict=False)}
    title = "One image of each of the first particles" if parameters.stack2d else "Central slices of the first particles"
    sections = [Section("Images", [images_of(shown, pixel, title, "extracted")]), data_section(dataset)]
    return Report("Extracted particles", facts=facts, findings=findings, sections=sections)

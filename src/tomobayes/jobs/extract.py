"""``extract``: images of every particle as files for RELION."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from tomobayes.compute.threads import use_threads
from tomobayes.formats.mrc import Mode
from tomobayes.formats.relion import ExtractedImages, find_members, read_dataset, write_dataset
from tomobayes.formats.relion_subtraction import without_subtraction
from tomobayes.formats.relion_write import Part
from tomobayes.imaging.crops import Crop, crop_plan
from tomobayes.imaging.gathering import Source
from tomobayes.jobs.describe import data_section
from tomobayes.jobs.experiment import check_fits_images, check_pixels, one_pixel_size, usable_or_refuse
from tomobayes.jobs.frame import Context
from tomobayes.jobs.parameters import Extract
from tomobayes.jobs.particle_images import Kind, WrittenImages, with_file_names, written_images
from tomobayes.model import Dataset, Particles
from tomobayes.particles.rows import with_rows
from tomobayes.report import Fact, Finding, Report, Section, images_of

__all__ = ["run"]

FOLDER = "Subtomograms"
TO_WRITE: tuple[Part, ...] = ("particles", "tomograms", "motion")
"""Motion is written anew, since it holds one entry for each particle that is left."""


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
    left = with_file_names(with_rows(dataset, np.flatnonzero(usable)))
    left = left.with_particles(_recentred(left.particles, apply_orientations=parameters.apply_orientations))
    crop = crop_plan(edge, parameters.bin, parameters.box, 0.0, unbinned)
    mode: Mode = "float16" if parameters.float16 else "float32"
    kind: Kind = "stacks" if parameters.stack2d else "subtomograms"
    written = list(written_images(left, crop, folder / FOLDER, kind, mode, parameters.max_dose, context.log))
    table, others = without_subtraction(left.particles, members.others)
    left, members = replace(left, particles=table, subtraction=None), replace(members, others=others)
    star = write_dataset(folder, left, what=TO_WRITE, members=members, extracted=_described(parameters, crop, written))
    context.output(star, folder / "particles.star")
    context.log.say(f"{len(written)} of {len(usable)} particles extracted")
    context.show(_report(left, crop, parameters, written, len(usable), unbinned))
    return folder


def _recentred(particles: Particles, *, apply_orientations: bool) -> Particles:
    """Positions at the particles' centres and no origins, as RELION extracts; with ``apply_orientations`` frames turn along too."""
    moved = replace(particles, position_angstrom=particles.centre_angstrom, origin_angstrom=np.zeros_like(particles.origin_angstrom))
    if not apply_orientations:
        return moved
    identity = np.broadcast_to(np.eye(3), particles.rotation_particle.shape).copy()
    return replace(moved, rotation_subtomogram=particles.rotation, rotation_particle=identity)


def _described(parameters: Extract, crop: Crop, written: list[WrittenImages]) -> ExtractedImages:
    return ExtractedImages(
        kind="stacks" if parameters.stack2d else "subtomograms",
        box=crop.box,
        binning=crop.binning,
        image_names=[one.image for one in written],
        weight_names=None if parameters.stack2d else [one.weight for one in written],
        visible=[one.visible for one in written] if parameters.stack2d else None,
    )


def _report(dataset: Dataset, crop: Crop, parameters: Extract, written: list[WrittenImages], asked: int, unbinned: float) -> Report:
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

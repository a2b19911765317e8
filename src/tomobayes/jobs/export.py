"""``export``: particles and tilt series as other programs read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.artiax import write_artiax
from tomobayes.formats.chimerax import PlacedMap, write_chimerax
from tomobayes.formats.dynamo_write import write_dynamo
from tomobayes.formats.mrc import read_map
from tomobayes.formats.pose_table import write_pose_table
from tomobayes.formats.relion import OptimisationSet, find_members, read_dataset, write_dataset
from tomobayes.formats.relion4_write import write_relion4
from tomobayes.formats.stopgap import write_stopgap
from tomobayes.formats.voxels import TomogramGrid
from tomobayes.formats.warp import WarpExport, write_warp
from tomobayes.jobs.describe import data_section
from tomobayes.jobs.export_losses import losses
from tomobayes.jobs.export_stacks import usable_for_stacks, write_stacks_and_stars
from tomobayes.jobs.frame import Context
from tomobayes.jobs.parameters import Export
from tomobayes.model import Dataset
from tomobayes.particles.flattening import flattened
from tomobayes.report import Fact, Finding, Report, Section, Table, images_of

__all__ = ["run"]

_LOSSLESS_POSES = {"relion5", "relion4"}
_READ_BY = {
    "relion5": "RELION 5, as an optimisation set",
    "relion4": "RELION 4, as an optimisation set",
    "warp": "WarpTools (settings, XML, tomostar; particles.star) and M (m_particles.star for a species)",
    "dynamo": "Dynamo: the table with its .doc (tomograms by number) or .vll (volume list)",
    "stopgap": "STOPGAP: motive list and wedge list; tomograms.txt says what the numbers stand for",
    "artiax": "ArtiaX: open a list as RELION STAR, and set its pixel size to the tomogram's voxel",
    "chimerax": "ChimeraX: open TILT_SERIES.cxc, after the tomogram",
    "tomodrgn": "tomoDRGN: give train_vae the optimisation set; images are bright particles, multiplied by CTF and dose weight",
    "cryodrgn": "cryoDRGN-ET: parse poses and CTF from particles.star; images are raw, particles bright (--uninvert-data)",
    "table": "anything: flat_ columns are complete in themselves, raw_ ones are what they were made of",
}


def run(parameters: Export, context: Context) -> Path:
    """Write the files, and say what is not in them."""
    members = find_members(*parameters.members)
    dataset = read_dataset(*parameters.members, require_images=parameters.writes_images, ignore_stored=parameters.writes_images)
    flat = parameters.flat or parameters.to not in _LOSSLESS_POSES
    usable = usable_for_stacks(dataset, parameters, context.log) if parameters.writes_images else np.ones(len(dataset.particles), bool)
    placed = None if parameters.ref is None else PlacedMap(parameters.ref, read_map(parameters.ref).box)
    lost = losses(dataset, parameters.to, flat=flat)
    folder = context.open([members.particles, members.tomograms, members.trajectories])
    exported = dataset.with_particles(flattened(dataset.particles)) if flat else dataset
    shown: dict[str, NDArray[np.float32]] = {}
    if parameters.writes_images:
        written, images = write_stacks_and_stars(folder, exported, usable, parameters, context.log)
        shown = {Path(one.image).stem: one.shown for one in images[:4]}
    else:
        written = _written(folder, exported, dataset, members.others, parameters, placed, context)
    context.output(*written)
    context.log.say(f"{usable.sum()} of {len(usable)} particles exported, for {_READ_BY[parameters.to]}")
    for sentence in lost:
        context.log.say(sentence)
    pixel = dataset.tilt_series[0].pixel_size_angstrom * parameters.bin
    images_shown = [Section("Images", [images_of(shown, pixel, "One image of each of the first particles", "exported")])] if shown else []
    context.show(_report(dataset, parameters, usable.sum(), written, lost, images_shown, flat=flat))
    return folder


def _written(
    folder: Path,
    exported: Dataset,
    original: Dataset,
    others: Mapping[str, str],
    parameters: Export,
    placed: PlacedMap | None,
    context: Context,
) -> list[Path]:
    """Write the files of one dialect that has no images; give those that other programs open.

    ``others`` are labels of the optimisation set that RELION does not know.
    """
    if parameters.to == "relion5":
        return [write_dataset(folder, exported, members=OptimisationSet(others=others))]
    if parameters.to == "relion4":
        return [write_relion4(folder, exported)]
    if parameters.to == "warp":
        return _warp_files(write_warp(folder, original), context)
    grid = TomogramGrid.of(exported.tilt_series, parameters.tomogram_bin, block=parameters.tomogram_by == "imod")
    if parameters.to == "dynamo":
        return write_dynamo(folder / "particles.tbl", exported, grid)
    if parameters.to == "stopgap":
        return write_stopgap(folder / "motivelist.star", exported, grid)
    if parameters.to == "artiax":
        return write_artiax(folder, exported, grid)
    if parameters.to == "chimerax":
        return write_chimerax(folder, exported, grid, parameters.marker_diameter, placed)
    path = folder / ("particles.tsv" if parameters.tsv else "particles.csv")
    write_pose_table(path, original, grid, "\t" if parameters.tsv else ",")
    return [path]


def _warp_files(export: WarpExport, context: Context) -> list[Path]:
    """What WarpTools and M open; what is told differently in their files is said."""
    for note in export.notes:
        context.log.say(note)
    return [path for path in (export.settings, export.particles, export.m_particles) if path is not None]


def _report(
    dataset: Dataset, parameters: Export, count: int, written: Sequence[Path], lost: Sequence[str], images: Sequence[Section], *, flat: bool
) -> Report:
    poses = "origins and subtomograms' orientations applied" if flat else "as they were, origins and subtomograms' orientations apart"
    facts = [Fact("Particles", f"{count} of {len(dataset.particles)}"), Fact("Format", parameters.to), Fact("Poses", poses)]
    findings = [Finding("warning" if "is lost" in one or "are lost" in one else "note", one) for one in lost]
    if not lost:
        findings = [Finding("good", "Nothing that is known of the experiment is missing from these files.")]
    files = Table("Files", ("File",), [(str(path.name),) for path in written[:50]], caption=f"Read by {_READ_BY[parameters.to]}.")
    unread = replace(dataset, particles=replace(dataset.particles, stacks=None, subtomograms=None))
    sections = [Section("Files", [files]), *images, data_section(unread)]
    return Report(f"Exported to {parameters.to}", facts=facts, findings=findings, sections=sections)

"""``subtract``: what particles show outside a mask, taken off their images whenever they are read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.mrc import read_map, write_map
from tomobayes.formats.relion import OptimisationSet, find_members, read_dataset
from tomobayes.formats.relion_subtraction import subtraction_columns, subtraction_names
from tomobayes.jobs.curation import hand_on_particles
from tomobayes.jobs.describe import data_section
from tomobayes.jobs.frame import Context
from tomobayes.jobs.half_maps import find_half_maps, read_half_maps, read_mask
from tomobayes.jobs.parameters import Subtract
from tomobayes.jobs.subtraction_fit import fitted_factors
from tomobayes.maps.filters import multiply_shells
from tomobayes.maps.masks import centre_of_mass, sphere_mask
from tomobayes.model import BadInput, Dataset, Map, Particles, Problem, Reference
from tomobayes.report import Fact, Finding, Report, Section, slices_of

__all__ = ["run"]

Float32 = NDArray[np.float32]
_STORED = ("rlnImageName", "rlnCtfImage", "rlnTomoVisibleFrames")


@dataclass(frozen=True)
class _Parts:
    """Of each half-set: what is subtracted, and what stays; ``share`` of the signal's power is subtracted."""

    rest: tuple[Float32, Float32]
    kept: tuple[Float32, Float32]
    share: float
    pixel_size_angstrom: float


def run(parameters: Subtract, context: Context) -> Path:
    """Write the maps that are subtracted, and particles and an optimisation set that say so."""
    members = find_members(*parameters.members)
    dataset = read_dataset(*parameters.members, ignore_stored=True)
    if dataset.subtraction is not None:
        raise BadInput(Problem(parameters.i, "", "has signal subtracted already", remedy="begin with the set it was subtracted from"))
    paths = _references(parameters, members)
    halves = _read(paths)
    mask = read_mask(parameters.mask, halves[0], paths[0])
    if len(set(paths)) > 1:
        _check_halves(dataset.particles, members)
    solvent = _solvent(halves, parameters.particle_diameter)
    factors = fitted_factors(dataset, halves, solvent, context.log)
    parts = _parts(halves, factors, mask.data, solvent)
    folder = context.open([members.particles, members.tomograms, members.trajectories, *dict.fromkeys(paths), parameters.mask])
    files = _write_maps(folder, parts)
    centre_px = centre_of_mass(mask.data) if parameters.recentre else None
    left = _left(dataset, parts, centre_px, folder)
    members = replace(members, others={**members.others, **subtraction_names(files)})
    extra = subtraction_columns(dataset.particles)
    context.output(*files)
    hand_on_particles(folder, left, members, context, extra)
    for sentence in _sentences(parts, left, dataset):
        context.log.say(sentence)
    context.show(_report(left, dataset, parts))
    return folder


def _references(parameters: Subtract, members: OptimisationSet) -> tuple[Path, Path]:
    """The map of each half-set: those given, the set's, or those in the folder that the set is in."""
    if parameters.ref is not None:
        return parameters.ref, parameters.ref
    if parameters.ref1 is not None and parameters.ref2 is not None:
        return parameters.ref1, parameters.ref2
    if members.reference.half1 is not None and members.reference.half2 is not None:
        return members.reference.half1, members.reference.half2
    if parameters.i is not None:
        return find_half_maps(parameters.i if parameters.i.is_dir() else parameters.i.parent)
    raise BadInput(Problem(None, "--ref", "there is no map to subtract", remedy="give half-maps with --ref1 and --ref2, or one with --ref"))


def _read(paths: tuple[Path, Path]) -> tuple[Map, Map]:
    if paths[0] == paths[1]:
        only = read_map(paths[0])
        return only, only
    return read_half_maps(*paths)


def _check_halves(particles: Particles, members: OptimisationSet) -> None:
    """Each particle must know which of the maps its own images are in."""
    without = int((particles.half == 0).sum())
    if without:
        what = f"{without} of {len(particles)} particles are in neither half-set"
        why = "a particle must meet the map that its own half-set made, or the halves are not independent any more"
        remedy = "subtract from the particles that the refinement wrote, or give one map with --ref"
        raise BadInput(Problem(members.particles, "column rlnRandomSubset", what, why, remedy))


def _solvent(halves: tuple[Map, Map], diameter_angstrom: float | None) -> Float32:
    """A soft sphere of the particle's diameter, or the largest there is."""
    box, pixel = halves[0].box, halves[0].pixel_size_angstrom
    return sphere_mask(box, min((diameter_angstrom or np.inf) / pixel, box - 10.0))


def _parts(halves: tuple[Map, Map], factors: NDArray[np.float64], mask: Float32, solvent: Float32) -> _Parts:
    """Maps as they stand in the images, outside the mask, and maps as they are, inside."""
    first, second = (multiply_shells(one.data, factors) * solvent for one in halves)
    outside = np.clip(1 - mask, 0, 1)
    power = [float(np.square(first * part).sum()) for part in (outside, mask)]
    rest = ((first * outside).astype(np.float32), (second * outside).astype(np.float32))
    kept = ((halves[0].data * mask).astype(np.float32), (halves[1].data * mask).astype(np.float32))
    return _Parts(rest, kept, power[0] / max(sum(power), 1e-30), halves[0].pixel_size_angstrom)


def _write_maps(folder: Path, parts: _Parts) -> tuple[Path, Path]:
    for name, maps in (("subtracted", parts.rest), ("kept", parts.kept)):
        for half, data in enumerate(maps, start=1):
            write_map(folder / f"{name}_half{half}.mrc", Map(data, parts.pixel_size_angstrom))
    return folder / "subtracted_half1.mrc", folder / "subtracted_half2.mrc"


def _left(dataset: Dataset, parts: _Parts, centre_px: tuple[float, float, float] | None, folder: Path) -> Dataset:
    """The particles as they go on: on the tilt images, around the part where that was asked for."""
    table = dataset.particles
    columns = {label: cells for label, cells in table.columns.items() if label not in _STORED}
    table = replace(table, stacks=None, subtomograms=None, visible=None, columns=columns)
    if centre_px is None:
        reference = replace(dataset.reference, half1=folder / "kept_half1.mrc", half2=folder / "kept_half2.mrc", mask=None)
        return replace(dataset, particles=table, reference=reference)
    away = table.rotation @ (np.array(centre_px) * parts.pixel_size_angstrom)
    origin = np.zeros_like(table.origin_angstrom)
    moved = replace(table, position_angstrom=table.centre_angstrom + away, origin_angstrom=origin)
    return replace(dataset, particles=moved, reference=Reference())


def _moved_angstrom(left: Dataset, dataset: Dataset) -> float:
    return float(np.linalg.norm(left.particles.centre_angstrom - dataset.particles.centre_angstrom, axis=1).max())


def _sentences(parts: _Parts, left: Dataset, dataset: Dataset) -> list[str]:
    moved = _moved_angstrom(left, dataset)
    lines = [f"{100 * parts.share:.0f} % of the power of the maps is outside the mask, and subtracted from now on"]
    if moved > 0:
        lines.append(f"Particles moved by {moved:.1f} Å, to the middle of the mask: reconstruct the part in a smaller box")
    return [*lines, "Whatever is done with this set takes the images without that signal; extract writes them"]


def _report(left: Dataset, dataset: Dataset, parts: _Parts) -> Report:
    moved = _moved_angstrom(left, dataset)
    facts = [Fact("Particles", f"{len(left.particles)}"), Fact("Subtracted", f"{100 * parts.share:.0f} % of the maps' power")]
    if moved > 0:
        facts.append(Fact("Particles moved by", f"{moved:.1f} Å"))
    text = "The signal is predicted at the poses the particles had here and taken off their tilt images whenever this set is read."
    shown = [
        slices_of(Map(maps[0], parts.pixel_size_angstrom), title, name)
        for title, name, maps in (("Subtracted, first half", "subtracted", parts.rest), ("Kept, first half", "kept", parts.kept))
    ]
    sections = [Section("Maps", shown), data_section(left)]
    return Report("Signal subtraction", facts=facts, findings=[Finding("note", text)], sections=sections)

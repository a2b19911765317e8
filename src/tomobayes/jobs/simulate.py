"""``simulate``: tilt series with known truth, as files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.atomic import atomic_path
from tomobayes.formats.mrc import write_map
from tomobayes.formats.mrc_images import MrcImages
from tomobayes.formats.mrc_writer import write_images
from tomobayes.formats.relion import read_dataset, write_dataset, write_particles
from tomobayes.jobs.describe import data_section, describe
from tomobayes.jobs.frame import Context
from tomobayes.jobs.memory import available_bytes
from tomobayes.jobs.parameters import Simulate
from tomobayes.jobs.simulated_models import read_models, read_noise
from tomobayes.model import BadInput, Dataset, Map, Problem
from tomobayes.report import Report, Section, directions_of, images_of, slices_of
from tomobayes.report.figures import tilt_angle_degrees
from tomobayes.simulation.acquisition import Acquisition
from tomobayes.simulation.density import particle_diameter_angstrom
from tomobayes.simulation.errors import Errors
from tomobayes.simulation.images import rendering_bytes
from tomobayes.simulation.scene import scene, scene_like
from tomobayes.simulation.simulation import Motion, Simulation, series_truth, simulate, tilt_images
from tomobayes.simulation.unknowns import Unknowns

__all__ = ["run"]

_DEFAULT_PIXEL_ANGSTROM = 4.0
_SCENE_STREAM = 4
"""Stream of random numbers for the scene; the simulation itself takes 0 to 3."""


def run(parameters: Simulate, context: Context) -> Path:
    """Write the project as a user would have it, TS_*.mrcs, and the truth.

    The truth is particles_truth.star, truth_class*.mrc, TS_*_truth.npz, and in truth/ an optimisation set that the images agree with.
    """
    given = None if parameters.i is None else read_dataset(parameters.i, require_images=False)
    pixel_size = _pixel_size(parameters, given)
    maps = read_models(parameters.model, pixel_size, parameters.box)
    noise = read_noise(parameters.noise)
    place = _scene(parameters, pixel_size, maps) if given is None else scene_like(given, pixel_size)
    _refuse_full_disk(parameters, place)
    _refuse_full_memory(place, maps)
    folder = context.open([parameters.i])
    simulation = simulate(
        place,
        maps,
        seed=parameters.seed,
        snr=parameters.snr,
        populations=parameters.populations or None,
        noise=noise,
        motion=Motion(parameters.motion, parameters.motion_kernel, parameters.motion_correlation),
        unknowns=_unknowns(parameters),
        errors=_errors(parameters),
        grey_scale=parameters.data_type,
    )
    written = _write_images(folder, simulation, context)
    _write_truth(folder, simulation, written)
    write_dataset(folder, written, what=("particles", "tomograms"))
    context.output(*(folder / name for name in ("optimisation_set.star", "tomograms.star", "particles.star", "truth_class1.mrc")))
    context.show(_report(written, simulation))
    return folder


def _pixel_size(parameters: Simulate, given: Dataset | None) -> float:
    if parameters.angpix is not None or given is None:
        return parameters.angpix or _DEFAULT_PIXEL_ANGSTROM
    sizes = {series.pixel_size_angstrom for series in given.tilt_series}
    if len(sizes) > 1:
        what = f"the tilt series have pixels of {', '.join(f'{size:g}' for size in sorted(sizes))} Å"
        raise BadInput(Problem(parameters.i, "", what, "one map cannot have them all", "choose one with --angpix"))
    return sizes.pop()


def _scene(parameters: Simulate, pixel_size: float, maps: list[Map]) -> Dataset:
    session = Acquisition(
        pixel_size_angstrom=pixel_size,
        image_size=parameters.image_size_px,
        thickness_angstrom=parameters.thickness,
        thickness_spread_angstrom=parameters.thickness_spread,
        ice_tilt_degrees=parameters.ice_tilt,
        luminance=parameters.luminance,
        tilt_range_degrees=(parameters.tilt_min, parameters.tilt_max),
        tilt_step_degrees=parameters.tilt_step,
        scheme=parameters.scheme,
        dose_per_tilt=parameters.dose,
        hand=float(parameters.hand),
        tilt_axis_degrees=parameters.tilt_axis,
        defocus_range_angstrom=(parameters.defocus_min, parameters.defocus_max),
        astigmatism_angstrom=parameters.astigmatism,
        phase_shift_degrees=parameters.phase_shift,
        voltage_kv=parameters.kv,
        spherical_aberration_mm=parameters.cs,
        amplitude_contrast=parameters.q0,
    )
    distance = parameters.min_distance or max(map(particle_diameter_angstrom, maps))
    random = np.random.default_rng([parameters.seed, _SCENE_STREAM])
    try:
        return scene(session, parameters.n_series, parameters.n_particles, distance, random)
    except ValueError as error:
        raise BadInput(Problem(None, "--n-particles, --image-size-px, --min-distance", str(error))) from None


def _errors(parameters: Simulate) -> Errors:
    return Errors(
        shift_angstrom=parameters.shift_error,
        tilt_degrees=parameters.tilt_error,
        defocus_angstrom=parameters.defocus_error,
        astigmatism_angstrom=parameters.astigmatism_error,
        scale=parameters.scale_error,
        scale_known=not parameters.no_scale,
        pose_degrees=parameters.pose_error,
        position_angstrom=parameters.position_error,
        angles_known=not parameters.no_angles,
    )


def _unknowns(parameters: Simulate) -> Unknowns:
    return Unknowns(
        trefoil_degrees=parameters.trefoil,
        coma_degrees=parameters.coma,
        tetrafoil_degrees=parameters.tetrafoil,
        aniso_magnification=0.01 * parameters.aniso_magnification,
        deformation=parameters.deformation,
        deformation_angstrom=parameters.deformation_rms,
        deformation_grid=parameters.deformation_grid,
        deformation_per_tilt=parameters.deformation_per_tilt,
    )


def _refuse_full_disk(parameters: Simulate, place: Dataset) -> None:
    pixels = sum(series.n_tilts * series.image_size[0] * series.image_size[1] for series in place.tilt_series if series.image_size)
    needed = pixels * np.dtype(parameters.data_type).itemsize
    target = Path.cwd() if parameters.o is None else next(path for path in parameters.o.resolve().parents if path.exists())
    free = shutil.disk_usage(target).free
    if needed > free:
        what = f"the images need {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free"
        raise BadInput(Problem(target, "", what, remedy="ask for fewer or smaller images, or choose another disk with --o"))


def _refuse_full_memory(place: Dataset, maps: list[Map]) -> None:
    needed, available = rendering_bytes(place, maps), available_bytes()
    if needed > available:
        what = f"this needs about {needed / 1e9:.1f} GB of memory, and {available / 1e9:.1f} GB are available"
        raise BadInput(Problem(None, "", what, remedy="make --angpix larger, or the defocus or the models smaller"))


def _write_images(folder: Path, simulation: Simulation, context: Context) -> Dataset:
    """The images, and the data set that names them. Stacks that a stopped run completed are kept: the seed makes them the same."""
    series = []
    for index, one in enumerate(simulation.written.tilt_series):
        path = folder / f"{one.name}.mrcs"
        assert one.image_size is not None
        if not path.exists():
            images = _with_progress(simulation, index, one.n_tilts, context)
            write_images(path, images, (one.n_tilts, one.image_size[1], one.image_size[0]), one.pixel_size_angstrom)
        series.append(replace(one, images=MrcImages.of_stack(path, one.pixel_size_angstrom)))
    return replace(simulation.written, tilt_series=tuple(series))


def _with_progress(simulation: Simulation, series: int, n_tilts: int, context: Context) -> Iterator[NDArray[np.generic]]:
    with context.log.steps(f"Images of {simulation.written.tilt_series[series].name}", n_tilts) as step:
        for image in tilt_images(simulation, series):
            yield image
            step(1)


def _write_truth(folder: Path, simulation: Simulation, written: Dataset) -> None:
    pairs = zip(simulation.truth.tilt_series, written.tilt_series, strict=True)
    with_images = tuple(replace(true, images=told.images) for true, told in pairs)
    write_dataset(folder / "truth", replace(simulation.truth, tilt_series=with_images))
    write_particles(folder / "particles_truth.star", simulation.truth)
    for number, one in enumerate(simulation.maps, start=1):
        write_map(folder / f"truth_class{number}.mrc", one)
    for index, series in enumerate(simulation.truth.tilt_series):
        truth = series_truth(simulation, index)
        with atomic_path(folder / f"{series.name}_truth.npz") as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **{field.name: getattr(truth, field.name) for field in fields(truth)})


def _report(written: Dataset, simulation: Simulation) -> Report:
    first = written.tilt_series[0]
    assert first.images is not None
    angle = tilt_angle_degrees(first)
    shown = sorted({0, int(np.abs(angle).argmin()), first.n_tilts - 1})
    images = {f"{angle[tilt]:.1f}°": np.asarray(first.images.read(tilt), dtype=np.float32) for tilt in shown}
    pictures = [images_of(images, first.pixel_size_angstrom, f"Images of {first.name}", first.name)]
    pictures += [slices_of(one, f"Class {number}", f"truth_class{number}") for number, one in enumerate(simulation.maps, start=1)]
    description = describe(written)
    sections = [
        Section("Images and true maps", pictures),
        data_section(written),
        Section("True poses", [directions_of(simulation.truth.particles.rotation)]),
    ]
    return Report("Simulated tilt series", facts=description.facts, findings=description.findings, sections=sections)

"""``reconstruct``: half-maps from the poses that the particles have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.compute.threads import use_threads
from tomobayes.formats.mrc import write_map
from tomobayes.fourier.volume import Sums
from tomobayes.imaging.gathering import portions
from tomobayes.inference.extent import extent_of, sphere
from tomobayes.inference.halves import shared_prior
from tomobayes.inference.maximisation import solve
from tomobayes.inference.reconstruction import reconstruct_halves, signal_free_noise
from tomobayes.jobs.describe import data_section
from tomobayes.jobs.execution import Execution, crew_of, execution
from tomobayes.jobs.experiment import Experiment, load_experiment, symmetry_group, with_halves
from tomobayes.jobs.figures import angstrom, experiment_findings, half_map_fsc
from tomobayes.jobs.frame import Context
from tomobayes.jobs.memory import MemoryPlan, memory_plan
from tomobayes.jobs.parameters import Reconstruct
from tomobayes.jobs.results import hand_on
from tomobayes.maps.fsc import FscCurves, masked_fsc
from tomobayes.maps.masks import sphere_mask
from tomobayes.model import Map
from tomobayes.report import Fact, Report, Section, directions_of, slices_of

__all__ = ["run"]

MASK_EDGE_PX = 5
LEAST_SSNR = 1.0
"""Of a half map, where the halves agree less: directions that many images saw are then not preferred any more, and noise stays even."""


def run(parameters: Reconstruct, context: Context) -> Path:
    """Write half1, half2 and merged.mrc, and an optimisation set that names them with the particles' half-sets."""
    use_threads(parameters.j)
    group = symmetry_group(parameters.sym)
    experiment, dealt = with_halves(load_experiment(parameters, context.log), parameters.particle_diameter, parameters.random_seed)
    plan = memory_plan(experiment, crew_of(parameters), cache=parameters.cache_bytes, out=parameters.o)
    plan.check()
    sentences = [f"{int(experiment.usable.sum())} of {len(experiment.usable)} particles, {plan.crew.threads} threads", *plan.sentences]
    folder = context.open_as_planned(sentences, experiment.inputs, parameters.plan)
    with execution(parameters, experiment, plan, folder, context.log) as running:
        sums = _sums(experiment, plan, group, running, context)
    correlation = _correlation(parameters.particle_diameter, len(group), experiment)
    maps, curves = _solved(sums, correlation, parameters.particle_diameter, experiment)
    _write(folder, context, experiment, tuple(one.numpy() for one in maps))
    context.log.say(f"Resolution (FSC 0.143): {angstrom(curves.resolution_angstrom())}")
    context.show(_report(experiment, maps[2].numpy(), curves, dealt))
    return folder


def _sums(experiment: Experiment, plan: MemoryPlan, group: NDArray[np.float64], running: Execution, context: Context) -> tuple[Sums, Sums]:
    box, particles = experiment.source.box, experiment.dataset.particles
    parts = portions(experiment.dataset, experiment.usable, plan.portion)
    with context.log.steps("Reconstruction", 2 * int(experiment.usable.sum())) as step:
        running.tell(step)
        sigma2, without = signal_free_noise(parts, running.gather, running.executor)
        sums, more = reconstruct_halves(
            [part for part in parts if part.tilt_series not in without],
            running.gather,
            sigma2,
            torch.from_numpy(particles.rotation),
            torch.from_numpy(particles.centre_angstrom),
            box=box,
            radius=box // 2 - 1,
            group=torch.from_numpy(group),
            executor=running.executor,
        )
    for index, why in (without | more).items():
        context.log.warn(f"tilt series {experiment.dataset.tilt_series[index].name} failed three times and is set aside: {why}")
    return sums[1, 0], sums[2, 0]


def _solved(
    sums: tuple[Sums, Sums], correlation: Callable[[Tensor, Tensor], FscCurves], diameter_angstrom: float | None, experiment: Experiment
) -> tuple[tuple[Tensor, ...], FscCurves]:
    """Maps of the halves and of everything, unfiltered, and how well the halves agree.

    That of everything is expected to have its density where the halves share theirs. The halves themselves are not: what suppresses
    their solvent ties their shells together, which no correction of an FSC could tell from agreement.
    """
    ssnr = shared_prior(sums, correlation).clamp_min(2 * LEAST_SSNR)
    first, second = (solve(one, ssnr, filtered=False) for one in sums)
    curves, extent = correlation(first, second), None
    if diameter_angstrom is not None:
        box = experiment.source.box
        extent = extent_of((first, second), curves, sphere(box, diameter_angstrom / (box * experiment.pixel_size_angstrom)))
    return (first, second, solve(sums[0] + sums[1], ssnr, filtered=False, extent=extent)), curves


def _write(folder: Path, context: Context, experiment: Experiment, maps: tuple[NDArray[np.float32], ...]) -> None:
    files = [folder / f"{name}.mrc" for name in ("half1", "half2", "merged")]
    for path, data in zip(files, maps, strict=True):
        write_map(path, Map(data, experiment.pixel_size_angstrom))
    reference = replace(experiment.dataset.reference, half1=files[0], half2=files[1])
    written = hand_on(folder, "particles.star", experiment.dataset, experiment.members, reference)
    context.output(*files, folder / "particles.star", written)


def _correlation(diameter: float | None, order: int, experiment: Experiment) -> Callable[[Tensor, Tensor], FscCurves]:
    """FSC inside a sphere of the particle's diameter, or the largest that fits."""
    box, pixel = experiment.source.box, experiment.pixel_size_angstrom
    largest = box - 2.0 * MASK_EDGE_PX
    mask = sphere_mask(box, min(diameter / pixel, largest) if diameter else largest, MASK_EDGE_PX)
    return lambda one, two: masked_fsc(one.numpy(), two.numpy(), pixel, mask, symmetry_order=order)


def _report(experiment: Experiment, merged: NDArray[np.float32], curves: FscCurves, dealt: bool) -> Report:
    pixel, usable = experiment.pixel_size_angstrom, experiment.usable
    particles = experiment.dataset.particles
    facts = [
        Fact("Resolution (FSC 0.143)", angstrom(curves.resolution_angstrom())),
        Fact("At FSC 0.5", angstrom(curves.resolution_angstrom(0.5))),
        Fact("Particles", f"{int(usable.sum())}"),
        Fact("Box", f"{experiment.source.box} px of {pixel:g} Å"),
    ]
    sections = [
        Section("Resolution", [half_map_fsc(curves)]),
        Section("Map", [slices_of(Map(merged, pixel), "Merged map", "merged")]),
        Section("Poses", [directions_of(particles.rotation[usable])]),
        data_section(experiment.dataset),
    ]
    return Report("Reconstruction", facts=facts, findings=experiment_findings(experiment, dealt), sections=sections)

"""``refine-ctf``: defocus, astigmatism, scale and aberrations of tilt series, from their particles."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.compute.executors import Executor, InProcess
from tomobayes.compute.threads import use_threads
from tomobayes.compute.workers import OnWorkers
from tomobayes.formats.relion import write_dataset
from tomobayes.formats.relion_write import Part
from tomobayes.jobs.compared import SAME, Compared, given_references, load_compared, references_of
from tomobayes.jobs.figures import angstrom
from tomobayes.jobs.frame import Context
from tomobayes.jobs.parameters import RefineCtf
from tomobayes.jobs.planned import Planned
from tomobayes.jobs.refine_ctf_report import ctf_report, series_sentence
from tomobayes.jobs.series_execution import series_executor
from tomobayes.jobs.series_plan import series_plan
from tomobayes.model import BadInput, Problem
from tomobayes.tiltseries.aberrations import Parity
from tomobayes.tiltseries.boxes import Cutter
from tomobayes.tiltseries.ctf_refinement import CtfRefinement, CtfSettings, finished, refined_series, stages
from tomobayes.tiltseries.defocus import DefocusPrior
from tomobayes.tiltseries.magnification import MagnificationResult
from tomobayes.tiltseries.optics_groups import split_by_time
from tomobayes.tiltseries.references import References
from tomobayes.tiltseries.scale import ScaleModel

__all__ = ["run", "settings_of"]


def run(parameters: RefineCtf, context: Context) -> Path:
    """Write tomograms.star with tilt_series/*.star, particles.star where optics changed, and an optimisation set."""
    use_threads(parameters.j)
    compared = load_compared(parameters, context.log)
    given = given_references(compared, parameters.sym)
    plan = series_plan(parameters, compared, round(SAME * given.radius), compared.folds if compared.rebuilt else 1, None)
    if parameters.plan:
        raise Planned(plan.sentences)
    plan.check()
    folder, cutter = context.open(compared.inputs), Cutter(compared.experiment.dataset, plan.share)
    with series_executor(parameters, plan.crew, folder, context.log) as executor:
        references = _references(compared, given, cutter, parameters, executor, context)
        if parameters.split_by_time is not None:
            cutter = cutter.anew(split_by_time(cutter.dataset, parameters.split_by_time))
        refinement = _refined(cutter, compared.experiment.usable, references, settings_of(parameters), executor, context)
    _write(folder, context, compared, refinement)
    return folder


def _refined(
    cutter: Cutter,
    usable: NDArray[np.bool_],
    references: References,
    settings: CtfSettings,
    executor: InProcess | OnWorkers,
    context: Context,
) -> CtfRefinement:
    """What is found stage by stage, as one; shown after each."""
    stretches = list[MagnificationResult]()
    count = len(np.unique(cutter.dataset.particles.tilt_series[usable]))
    for stage in stages(settings):
        with context.log.steps("Comparing tilt images with references", count) as step:
            executor.done = lambda _, step=step: step(1)
            found, failed = refined_series(cutter, usable, references, stage, executor)
        for one in found:
            context.log.say(series_sentence(cutter.dataset, one))
        for index, why in failed.items():
            context.log.warn(f"tilt series {cutter.dataset.tilt_series[index].name} failed three times and stays as it was: {why}")
        refinement = finished(cutter.dataset, found, stage)
        cutter = cutter.anew(refinement.dataset)
        stretches += refinement.magnifications
        refinement = replace(refinement, magnifications=tuple(stretches))
        context.show(ctf_report(references, refinement))
    return refinement


def settings_of(parameters: RefineCtf) -> CtfSettings:
    """What the options ask for."""
    default = DefocusPrior()
    defocus, astigmatism = parameters.defocus_sigma, parameters.astigmatism_sigma
    prior = DefocusPrior(
        defocus_angstrom=defocus or default.defocus_angstrom,
        astigmatism_angstrom=astigmatism or default.astigmatism_angstrom,
        known=(defocus is not None, astigmatism is not None),
        range_angstrom=(parameters.d0, parameters.d1),
        lowest_frequency=1 / parameters.kmin,
    )
    scale: ScaleModel = "tilt" if parameters.per_frame_scale else "series" if parameters.per_tomogram_scale else "all"
    return CtfSettings(
        diameter_angstrom=parameters.particle_diameter,
        max_dose=parameters.max_dose,
        defocus=prior if parameters.do_defocus else None,
        scale=scale if parameters.do_scale else None,
        aberrations=tuple(Parity(odd, order) for odd, order in parameters.aberration_orders),
        lowest_frequency=1 / parameters.kmin,
        magnification=parameters.do_magnification,
    )


def _references(
    compared: Compared, given: References, cutter: Cutter, parameters: RefineCtf, executor: Executor, context: Context
) -> References:
    if compared.rebuilt:
        context.log.say("Half-maps are rebuilt from the images, each particle's without its own share")
    references = references_of(compared, given, cutter, parameters.sym, parameters.particle_diameter, executor)
    context.log.say(
        f"Half-maps agree to {angstrom(references.fsc.resolution_angstrom())} (FSC 0.143); "
        f"images are compared to {angstrom(1 / references.finest_frequency)}"
    )
    if 1 / references.finest_frequency >= parameters.kmin and (parameters.do_defocus or parameters.aberration_orders):
        what = f"{parameters.kmin:g} Å is finer than the half-maps, which agree to {angstrom(1 / references.finest_frequency)}"
        why = "nothing is left that defocus and aberrations could be seen in"
        raise BadInput(Problem(None, "--kmin", what, why, "refine further first, or give a coarser --kmin"))
    return references


def _write(folder: Path, context: Context, compared: Compared, refinement: CtfRefinement) -> None:
    dataset = replace(refinement.dataset, reference=compared.files)
    changed = dataset.optics != compared.experiment.dataset.optics or not np.array_equal(
        dataset.particles.optics, compared.experiment.dataset.particles.optics
    )
    parts: tuple[Part, ...] = ("tomograms", "particles") if changed else ("tomograms",)
    written = write_dataset(folder, dataset, what=parts, members=compared.experiment.members)
    files = [folder / "tomograms.star", written]
    context.output(*(files if not changed else [*files, folder / "particles.star"]))

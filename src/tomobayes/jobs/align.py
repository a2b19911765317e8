"""``align``: tilt images aligned with the particles in them: angles, shifts, positions, deformation and motion."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from tomobayes.compute.executors import InProcess
from tomobayes.compute.threads import use_threads
from tomobayes.compute.workers import OnWorkers
from tomobayes.formats.relion import write_dataset
from tomobayes.formats.relion_write import Part
from tomobayes.jobs.align_report import alignment_report, round_sentences
from tomobayes.jobs.compared import Compared, given_references, load_compared, rebuilt_references, references_of
from tomobayes.jobs.figures import angstrom
from tomobayes.jobs.frame import Context
from tomobayes.jobs.parameters import Align
from tomobayes.jobs.planned import Planned
from tomobayes.jobs.series_execution import series_executor
from tomobayes.jobs.series_plan import Fitted, series_plan
from tomobayes.model import BadInput, Dataset, Problem
from tomobayes.tiltseries.aligned import AlignSettings
from tomobayes.tiltseries.boxes import Cutter
from tomobayes.tiltseries.motion_scales import MotionPlan
from tomobayes.tiltseries.placement import DeformationPlan
from tomobayes.tiltseries.references import References
from tomobayes.tiltseries.rounds import FINER, AlignmentState, SeriesTask, align, shift

__all__ = ["run"]

_STALE = ("rlnImageName", "rlnCtfImage", "rlnTomoVisibleFrames")
"""Columns that name images which were extracted with another alignment."""


def run(parameters: Align, context: Context) -> Path:
    """Write tomograms.star with tilt_series/*.star, particles.star, motion.star where there is motion, and an optimisation set."""
    use_threads(parameters.j)
    compared = load_compared(parameters, context.log)
    _check_deformations(parameters, compared)
    given, settings = given_references(compared, parameters.sym), _settings(parameters)
    plan = series_plan(parameters, compared, round(FINER * given.radius), compared.folds, _fitted(settings))
    if parameters.plan:
        raise Planned(plan.sentences)
    plan.check()
    folder = context.open(compared.inputs)
    with series_executor(parameters, plan.crew, folder, context.log) as executor:
        state = _aligned(compared, given, Cutter(compared.experiment.dataset, plan.share), parameters, settings, executor, context)
    _write(folder, context, compared, state.dataset)
    return folder


def _fitted(settings: AlignSettings) -> Fitted:
    return Fitted(settings.reach_angstrom, settings.motion is not None, 0 if settings.deformation is None else settings.deformation.count)


def _aligned(
    compared: Compared,
    half_maps: References,
    cutter: Cutter,
    parameters: Align,
    settings: AlignSettings,
    executor: InProcess | OnWorkers,
    context: Context,
) -> AlignmentState:
    """The last round; each is told of and shown as it ends."""
    given, usable, rounds = cutter.dataset, compared.experiment.usable, 1 if parameters.only_shifts else parameters.rounds
    first = references_of(compared, half_maps, cutter, parameters.sym, parameters.particle_diameter, executor)
    context.log.say(f"Half-maps agree to {angstrom(first.fsc.resolution_angstrom())} (FSC 0.143)")

    def rebuild(now: Cutter, reach: int) -> References:
        return rebuilt_references(compared, now, parameters.sym, parameters.particle_diameter, reach, executor)

    if parameters.only_shifts:
        by: Literal["images", "particles"] = "images" if parameters.shift_only else "particles"
        states = iter([shift(cutter, usable, first, settings, by, executor)])
    else:
        states = align(cutter, usable, first, rebuild, settings, rounds, executor)
    with context.log.steps("Aligning tilt series", rounds * int(usable.sum())) as step:
        executor.done = lambda task: step(len(task.rows)) if isinstance(task, SeriesTask) else None
        for state in states:
            for sentence in round_sentences(given, state):
                context.log.say(sentence)
            context.show(alignment_report(compared.experiment, state))
    for index, why in state.set_aside.items():
        context.log.warn(f"tilt series {given.tilt_series[index].name} failed three times and stays as it was: {why}")
    return state


def _settings(parameters: Align) -> AlignSettings:
    motion = MotionPlan(parameters.s_vel, parameters.s_div, parameters.kernel) if parameters.motion else None
    grid = (parameters.def_w, parameters.def_h)
    deformation = DeformationPlan(parameters.def_model, grid, parameters.per_frame_deformation) if parameters.deformation else None
    return AlignSettings(
        reach_angstrom=parameters.r,
        diameter_angstrom=parameters.particle_diameter,
        angles=not parameters.const_a,
        shifts=not parameters.const_s,
        positions=not parameters.const_p,
        motion=motion,
        deformation=deformation,
        regularisation=parameters.def_reg,
        first=parameters.min_frame,
        last=parameters.max_frame,
        max_dose=parameters.max_dose,
    )


def _check_deformations(parameters: Align, compared: Compared) -> None:
    """What is fitted is added to a deformation that is there, so both must be of one kind."""
    problems = []
    if parameters.deformation:
        wanted = (parameters.def_model, (parameters.def_w, parameters.def_h))
        for index in np.unique(compared.experiment.dataset.particles.tilt_series).tolist():
            series = compared.experiment.dataset.tilt_series[index]
            there = series.deformation
            if there is None or (there.coefficients == 0).all():
                continue
            same = there.kind == wanted[0] and (there.kind == "affine" or there.grid == wanted[1])
            if not same or (there.coefficients.ndim == 2) > parameters.per_frame_deformation:
                what = f"has a deformation of another kind already ({there.kind}, {there.grid[0]} x {there.grid[1]})"
                problems.append(
                    Problem(series.name, "--deformation", what, remedy="ask for the same kind, or remove the one that is there")
                )
    if problems:
        raise BadInput(problems)


def _write(folder: Path, context: Context, compared: Compared, dataset: Dataset) -> None:
    columns = {label: cells for label, cells in dataset.particles.columns.items() if label not in _STALE}
    dataset = replace(dataset, particles=replace(dataset.particles, columns=columns), reference=compared.files)
    parts: tuple[Part, ...] = ("particles", "tomograms", "motion")
    written = write_dataset(folder, dataset, what=parts, members=compared.experiment.members)
    files = [folder / name for name in ("tomograms.star", "particles.star", "motion.star")]
    context.output(*(file for file in files if file.exists()), written)

"""``refine``: poses and half-maps, from coarse to fine, until nothing improves."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from tomobayes.compute.threads import use_threads
from tomobayes.imaging.gathering import folds_for, portions
from tomobayes.inference.refinement import Settings, State, initial_state, refine, resumed
from tomobayes.jobs.describe import unoriented
from tomobayes.jobs.execution import Execution, crew_of, execution
from tomobayes.jobs.experiment import Experiment, load_experiment, prior_problems, relaxed_group, symmetry_group, with_halves
from tomobayes.jobs.frame import Context
from tomobayes.jobs.handles import STATE_CLASSES
from tomobayes.jobs.iterations import Course, carried_out
from tomobayes.jobs.memory import MemoryPlan, memory_plan
from tomobayes.jobs.parameters import Refine
from tomobayes.jobs.references import check_fits, read_references, solvent_mask
from tomobayes.jobs.refine_files import write_iteration, write_result
from tomobayes.jobs.refine_report import iteration_sentence, refinement_report
from tomobayes.jobs.taking_part import part_sentences, tell_set_aside
from tomobayes.model import BadInput, Map, Problem

__all__ = ["run"]

OFFSET_RANGE_PX = 5.0


@dataclass(frozen=True)
class _Task:
    """Everything a refinement needs, read and checked."""

    experiment: Experiment
    dealt: bool
    settings: Settings
    references: tuple[Map, Map] | None
    plan: MemoryPlan
    folds: int


def run(parameters: Refine, context: Context) -> Path:
    """Write RELION's run_* files, iteration by iteration, and an optimisation set for the next job."""
    task = _prepare(parameters, context)
    folder = context.open_as_planned(
        _plan_sentences(task), [*task.experiment.inputs, *(parameters.references or ()), parameters.mask], parameters.plan
    )
    with execution(parameters, task.experiment, task.plan, folder, context.log) as running:
        state = _finished(task, running, context, parameters.keep_iterations)
    context.output(*write_result(folder, task.experiment, task.settings, state, parameters.mask))
    context.show(refinement_report(task.experiment, task.settings, state, task.dealt))
    return folder


def _prepare(parameters: Refine, context: Context) -> _Task:
    use_threads(parameters.j)
    group = symmetry_group(parameters.sym)
    relaxed = None if parameters.relax_sym is None else relaxed_group(parameters.relax_sym, parameters.sym)
    references = read_references(parameters.references)
    like = None if references is None or parameters.references is None else (parameters.references[0], references[0])
    loaded = load_experiment(parameters, context.log, like)
    _check_poses(parameters, loaded)
    experiment, dealt = with_halves(loaded, parameters.particle_diameter, parameters.random_seed)
    box, pixel = experiment.source.box, experiment.pixel_size_angstrom
    if references is not None and parameters.references is not None:
        check_fits(list(zip(parameters.references, references, strict=True)), box, pixel, "the refinement's")
    count = int(experiment.usable.sum())
    folds = folds_for(count // 2, parameters.sigma_ang is not None)
    plan = memory_plan(
        experiment,
        crew_of(parameters),
        folds=folds,
        iterations=parameters.max_iter,
        everywhere=parameters.sigma_ang is None,
        keep=parameters.keep_iterations,
        cache=parameters.cache_bytes,
        out=parameters.o,
    )
    plan.check()
    settings = Settings(
        box=box,
        pixel_size_angstrom=pixel,
        particle_diameter=parameters.particle_diameter,
        group=group,
        mask=solvent_mask(parameters.mask, box, pixel, parameters.particle_diameter),
        healpix_order=parameters.healpix_order,
        auto_local_healpix_order=parameters.auto_local_healpix_order,
        offset_range=parameters.offset_range or OFFSET_RANGE_PX * pixel,
        offset_step=parameters.offset_step,
        offset_sigma=parameters.offset_sigma,
        sigma_rotation=parameters.sigma_ang or math.inf,
        sigma_tilt=parameters.sigma_tilt or math.inf,
        sigma_psi=parameters.sigma_psi or math.inf,
        sigma_rot=parameters.sigma_rot or math.inf,
        initial_lowpass=parameters.ini_high,
        join_resolution=parameters.low_resol_join_halves,
        tau2_fudge=parameters.tau2_fudge,
        max_iterations=parameters.max_iter,
        relaxed_group=relaxed,
        relion4_likelihood=parameters.likelihood == "relion4",
    )
    return _Task(experiment, dealt, settings, references, plan, folds)


def _check_poses(parameters: Refine, experiment: Experiment) -> None:
    """Priors, and the references that are to come from poses, need what the particle file says."""
    file = experiment.members.particles
    problems = []
    if parameters.likelihood == "relion4" and experiment.source.engine != "subtomograms":
        what = f"relion4 is a likelihood of pseudo-subtomograms, and the images are {experiment.source.engine}"
        problems.append(Problem(None, "--likelihood", what, remedy="leave it out, or extract pseudo-subtomograms"))
    problems += prior_problems(parameters, experiment)
    if unoriented(experiment.dataset):
        if parameters.references is None:
            what = "the particles have no angles, so no reference can be made from their poses"
            problems.append(Problem(file, "columns rlnAngleRot, rlnAngleTilt, rlnAnglePsi", what, remedy="give a reference with --ref"))
        elif parameters.sigma_ang is not None:
            what = "--sigma-ang searches around given angles, and the particles have none"
            problems.append(Problem(file, "columns rlnAngleRot, rlnAngleTilt, rlnAnglePsi", what, remedy="leave out --sigma-ang"))
    if problems:
        raise BadInput(problems)


def _plan_sentences(task: _Task) -> Iterator[str]:
    experiment, source = task.experiment, task.experiment.source
    used = experiment.usable
    names = {"series": "tilt images", "stacks": "stored 2D stacks", "subtomograms": "stored pseudo-subtomograms"}
    halves = [int((experiment.dataset.particles.half[used] == half).sum()) for half in (1, 2)]
    yield (
        f"{int(used.sum())} particles ({halves[0]} and {halves[1]} in the half-sets) in {len(experiment.dataset.tilt_series)} tilt series, "
        f"from {names[source.engine]}; box {source.box} px of {experiment.pixel_size_angstrom:g} Å; {task.plan.crew.threads} threads"
    )
    yield from task.plan.sentences
    yield from part_sentences(task.experiment, task.dealt)


def _finished(task: _Task, running: Execution, context: Context, keep: int) -> State:
    """The last state of the refinement from where it stands; each one is written, shown and saved, and the ``keep`` last are kept."""
    experiment, settings = task.experiment, task.settings
    particles = experiment.dataset.particles
    count = int(experiment.usable.sum())
    parts = portions(experiment.dataset, experiment.usable, task.plan.portion, task.folds)
    gather, executor = running.gather, running.executor
    state: State | None = context.last_state(STATE_CLASSES)
    if state is None:
        with context.log.steps("First noise spectra and references", count) as step:
            running.tell(step)
            references = None if task.references is None else _tensors(task.references)
            state = initial_state(particles, parts, gather, settings, references, executor)
        tell_set_aside(context.log, experiment, state.set_aside, {})
    else:
        state = resumed(state, settings)
    course = Course(
        follow=lambda state: refine(particles, parts, gather, state, settings, executor),
        last=settings.max_iterations,
        count=count,
        title=lambda number: f"Iteration {number}",
        tell=lambda before, state: [iteration_sentence(state.history[-1])],
        write=lambda state: write_iteration(context.folder, experiment, settings, state),
        report=lambda state: refinement_report(experiment, settings, state, task.dealt),
        keep=keep,
    )
    return carried_out(course, state, experiment, running, context)


def _tensors(maps: tuple[Map, Map]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(maps[0].data), torch.from_numpy(maps[1].data)

"""``classify``: several maps, and which particle shows which, at given poses or together with a search of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.compute.threads import use_threads
from tomobayes.heterogeneity.linear_start import subspace_start
from tomobayes.imaging.gathering import Portion, portions
from tomobayes.inference.classification.iteration import classify, consensus
from tomobayes.inference.classification.starts import Annealing, random_starts
from tomobayes.inference.classification.state import ClassSettings, ClassState
from tomobayes.inference.state import Settings
from tomobayes.jobs.classify_files import write_class_iteration, write_class_result
from tomobayes.jobs.classify_report import class_sentence, classification_report, doubt_of_classes, start_sentence
from tomobayes.jobs.describe import unoriented
from tomobayes.jobs.execution import Execution, crew_of, execution
from tomobayes.jobs.experiment import Experiment, load_experiment, symmetry_group, with_halves
from tomobayes.jobs.frame import Context
from tomobayes.jobs.handles import STATE_CLASSES
from tomobayes.jobs.iterations import Course, carried_out
from tomobayes.jobs.memory import MemoryPlan, memory_plan
from tomobayes.jobs.parameters import Classify
from tomobayes.jobs.references import solvent_mask
from tomobayes.jobs.taking_part import part_sentences, tell_set_aside
from tomobayes.model import BadInput, Problem

__all__ = ["run"]


OFFSET_RANGE_PX, SIGMA_ANGLE = 5.0, 5.0
"""Of searches of poses, where the user does not say."""
BEFORE = 0
"""Number of the checkpoint of all that comes before the first iteration."""
FOLDS, FOLDS_OF_MANY, MANY = 5, 2, 4000
"""Folds of each half-set: what a map lacks is the less, and memory the more, the more there are; large sets need few."""


@dataclass(frozen=True)
class _Task:
    """Everything a classification needs, read and checked."""

    experiment: Experiment
    dealt: bool
    settings: ClassSettings
    plan: MemoryPlan
    parts: list[Portion]


def run(parameters: Classify, context: Context) -> Path:
    """Write RELION's run_* files, iteration by iteration, and an optimisation set for the next job."""
    task = _prepare(parameters, context)
    folder = context.open_as_planned(
        _plan_sentences(task),
        [*task.experiment.inputs, parameters.mask, parameters.focus_mask, parameters.align_mask],
        parameters.plan,
    )
    with execution(parameters, task.experiment, task.plan, folder, context.log) as running:
        state = _finished(task, running, parameters, context)
    doubt = doubt_of_classes(state.history[-1])
    if doubt is not None:
        context.log.warn(doubt)
    context.output(*write_class_result(folder, task.experiment, task.settings, state, parameters.mask))
    context.show(classification_report(task.experiment, task.settings, state, task.dealt))
    return folder


def _prepare(parameters: Classify, context: Context) -> _Task:
    use_threads(parameters.j)
    group = symmetry_group(parameters.sym)
    loaded = load_experiment(parameters, context.log)
    if unoriented(loaded.dataset):
        what, remedy = "the particles have no angles, and classes start from given poses", "find them with refine or initial-model first"
        raise BadInput(Problem(loaded.members.particles, "columns rlnAngleRot, rlnAngleTilt, rlnAnglePsi", what, remedy=remedy))
    experiment, dealt = with_halves(loaded, parameters.particle_diameter, parameters.random_seed)
    box, pixel = experiment.source.box, experiment.pixel_size_angstrom
    solvent = solvent_mask(parameters.mask, box, pixel, parameters.particle_diameter)
    images = Settings(
        box=box,
        pixel_size_angstrom=pixel,
        particle_diameter=parameters.particle_diameter,
        group=group,
        mask=solvent,
        healpix_order=parameters.healpix_order,
        offset_range=parameters.offset_range or OFFSET_RANGE_PX * pixel,
        offset_sigma=parameters.offset_sigma,
        sigma_rotation=(parameters.sigma_ang or SIGMA_ANGLE) if parameters.align == "local" else math.inf,
        tau2_fudge=parameters.tau2_fudge,
        max_iterations=parameters.max_iter,
    )
    focus, alignment = _within(parameters.focus_mask, solvent, images), None
    if parameters.align_mask is not None:
        alignment = _within(parameters.align_mask, solvent, images)
    finest = (
        None if parameters.strict_highres_exp is None else min(max(images.shell(parameters.strict_highres_exp), 4), images.largest_radius)
    )
    count = int(experiment.usable.sum())
    folds = max(1, min(FOLDS if count < MANY else FOLDS_OF_MANY, count // 2))
    plan = memory_plan(
        experiment,
        crew_of(parameters),
        folds=folds,
        classes=parameters.k,
        iterations=parameters.max_iter,
        everywhere=parameters.align == "global",
        keep=parameters.keep_iterations,
        cache=parameters.cache_bytes,
        out=parameters.o,
    )
    plan.check()
    parts = portions(experiment.dataset, experiment.usable, plan.portion, folds)
    settings = ClassSettings(images, parameters.k, focus, finest, searches=parameters.align != "none", alignment=alignment)
    return _Task(experiment, dealt, settings, plan, parts)


def _within(mask: Path | None, solvent: NDArray[np.float32], images: Settings) -> NDArray[np.float32]:
    """A part of the solvent mask: where classes may differ, or what particles are aligned by; all of it without a mask of its own."""
    if mask is None:
        return solvent
    part = solvent_mask(mask, images.box, images.pixel_size_angstrom, images.particle_diameter) * solvent
    if not part.any():
        what = "has nothing in common with the solvent mask"
        raise BadInput(Problem(mask, "voxels", what, remedy="give both masks in the frame of the reference"))
    return np.asarray(part, dtype=np.float32)


def _plan_sentences(task: _Task) -> Iterator[str]:
    used, source = task.experiment.usable, task.experiment.source
    yield (
        f"{int(used.sum())} particles in {len(task.experiment.dataset.tilt_series)} tilt series, {task.settings.n_classes} classes; "
        f"box {source.box} px of {task.experiment.pixel_size_angstrom:g} Å; {task.plan.crew.threads} threads"
    )
    yield from task.plan.sentences
    yield from part_sentences(task.experiment, task.dealt)


def _finished(task: _Task, running: Execution, parameters: Classify, context: Context) -> ClassState:
    """The last state of the classification from where it stands; each one is written, shown and saved."""
    experiment, settings, keep = task.experiment, task.settings, parameters.keep_iterations
    count = int(experiment.usable.sum())
    state: ClassState | None = context.last_state(STATE_CLASSES)
    if state is None:
        with context.log.steps("One map of all particles", None):
            state = consensus(experiment.dataset.particles, task.parts, running.gather, settings, running.executor)
        tell_set_aside(context.log, experiment, state.set_aside, {})
        running.keeps(state, context.save(BEFORE, state, keep))
    if state.start is None:
        state = _first_classes(task, running, parameters, context, state)
        assert state.start is not None
        context.log.say(start_sentence(state.start, count))
    course = Course(
        follow=lambda state: classify(experiment.dataset.particles, task.parts, running.gather, state, settings, running.executor),
        last=settings.images.max_iterations,
        count=count,
        title=lambda number: f"Iteration {number}",
        tell=lambda before, state: [class_sentence(state.history[-1])],
        write=lambda state: write_class_iteration(context.folder, experiment, settings, state),
        report=lambda state: classification_report(experiment, settings, state, task.dealt),
        keep=keep,
    )
    return carried_out(course, state, experiment, running, context)


def _first_classes(task: _Task, running: Execution, parameters: Classify, context: Context, state: ClassState) -> ClassState:
    """From one map of all particles, or from wherever the runs that follow it stand."""
    particles, parts, gather, executor = task.experiment.dataset.particles, task.parts, running.gather, running.executor
    if parameters.start == "subspace":
        with context.log.steps("Directions in which particles differ", None):
            return subspace_start(parts, gather, state, task.settings, parameters.random_seed, executor)
    climbs, runs, seed = parameters.start == "climb", parameters.restarts, parameters.random_seed
    annealing = Annealing(parameters.temperature, parameters.subset, parameters.climb_iter) if climbs else None
    following = random_starts(particles, parts, gather, state, task.settings, runs, seed, executor, annealing)
    while state.start is None:
        over = _runs_over(state)
        with context.log.steps(f"Run {over + 1} of {runs}, from random labels", None):
            while state.start is None and _runs_over(state) == over:
                state = next(following)
                context.save(BEFORE, state, parameters.keep_iterations)
    return state


def _runs_over(state: ClassState) -> int:
    return 0 if state.trials is None else len(state.trials.gains)

"""``initial-model``: maps from positions alone, for refinements that have no reference."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tomobayes.compute.threads import use_threads
from tomobayes.imaging.gathering import Portion, portions
from tomobayes.inference.abinitio.iteration import ab_initio, ab_initio_state
from tomobayes.inference.abinitio.schedule import deal_batches
from tomobayes.inference.abinitio.state import AbInitioSettings, AbInitioState
from tomobayes.inference.state import Settings
from tomobayes.jobs.execution import Execution, crew_of, execution
from tomobayes.jobs.experiment import Experiment, load_experiment, prior_problems, symmetry_group, with_halves
from tomobayes.jobs.frame import Context
from tomobayes.jobs.handles import STATE_CLASSES
from tomobayes.jobs.initial_model_files import write_ab_initio_maps, write_ab_initio_result
from tomobayes.jobs.initial_model_report import ab_initio_report, axes_sentence, step_sentence
from tomobayes.jobs.iterations import Course, carried_out
from tomobayes.jobs.memory import MemoryPlan, memory_plan
from tomobayes.jobs.parameters import InitialModel
from tomobayes.jobs.references import solvent_mask
from tomobayes.jobs.taking_part import part_sentences
from tomobayes.model import BadInput, Problem

__all__ = ["run"]

FIRST_DETAIL, FINEST_DETAIL = 5.0, 8.0
"""Resolution elements across the particle that the first and the last steps compare."""
LEAST_JUDGES = 2
"""Particles that are to judge starts."""


@dataclass(frozen=True)
class _Task:
    """Everything a search for first maps needs, read and checked."""

    experiment: Experiment
    dealt: bool
    settings: AbInitioSettings
    plan: MemoryPlan
    parts: list[Portion]


def run(parameters: InitialModel, context: Context) -> Path:
    """Write a map of each class, and the particles with the poses found, for the next job."""
    task = _prepare(parameters, context)
    folder = context.open_as_planned(_plan_sentences(task), [*task.experiment.inputs, parameters.mask], parameters.plan)
    with execution(parameters, task.experiment, task.plan, folder, context.log) as running:
        state = _finished(task, running, context, parameters.keep_iterations)
    context.output(*write_ab_initio_result(folder, task.experiment, task.settings, state, parameters.mask))
    context.show(ab_initio_report(task.experiment, task.settings, state, task.dealt))
    return folder


def _prepare(parameters: InitialModel, context: Context) -> _Task:
    use_threads(parameters.j)
    group = symmetry_group(parameters.sym)
    loaded = load_experiment(parameters, context.log)
    problems = prior_problems(parameters, loaded)
    if problems:
        raise BadInput(problems)
    experiment, dealt = with_halves(loaded, parameters.particle_diameter, parameters.random_seed)
    box, pixel = experiment.source.box, experiment.pixel_size_angstrom
    images = Settings(
        box=box,
        pixel_size_angstrom=pixel,
        particle_diameter=parameters.particle_diameter,
        group=group,
        mask=solvent_mask(parameters.mask, box, pixel, parameters.particle_diameter),
        offset_range=parameters.offset_range or 3 * parameters.offset_sigma,
        offset_sigma=parameters.offset_sigma,
        sigma_tilt=parameters.sigma_tilt or math.inf,
        sigma_psi=parameters.sigma_psi or math.inf,
        sigma_rot=parameters.sigma_rot or math.inf,
        tau2_fudge=parameters.tau2_fudge,
    )
    settings = _settings(parameters, experiment, images)
    plan = memory_plan(
        experiment,
        crew_of(parameters),
        folds=2,  # the running means, and what is added to them
        classes=parameters.classes,
        iterations=settings.max_iterations,
        keep=parameters.keep_iterations,
        cache=parameters.cache_bytes,
        out=parameters.o,
    )
    plan.check()
    return _Task(experiment, dealt, settings, plan, _parts(experiment, settings, plan))


def _settings(parameters: InitialModel, experiment: Experiment, images: Settings) -> AbInitioSettings:
    """How many steps of how many particles, in which detail."""
    tilt_series, judged = experiment.dataset.particles.tilt_series, parameters.starts > 1
    batches, held_out = deal_batches(experiment.usable, tilt_series, parameters.batch, judged, parameters.random_seed)
    if judged and held_out.sum() < LEAST_JUDGES:
        what = f"{int(experiment.usable.sum())} particles are too few to hold some out that judge the starts"
        raise BadInput(Problem(None, "--starts", what, remedy="give more particles, or ask for one start"))
    finest = parameters.strict_highres_exp or parameters.particle_diameter / FINEST_DETAIL
    finest_radius = min(max(images.shell(finest), 3), images.largest_radius)
    first_radius = min(max(images.shell(parameters.particle_diameter / FIRST_DETAIL), 3), finest_radius)
    return AbInitioSettings(
        images=images,
        n_classes=parameters.classes,
        seed=parameters.random_seed,
        starts=parameters.starts,
        batches=batches,
        held_out=held_out,
        start_steps=parameters.iter,
        all_steps=math.ceil(parameters.iter / 2),
        symmetric_steps=math.ceil(parameters.iter / 2),
        first_radius=first_radius,
        finest_radius=finest_radius,
    )


def _parts(experiment: Experiment, settings: AbInitioSettings, plan: MemoryPlan) -> list[Portion]:
    """The portions of all batches, those that are held out apart."""
    found = []
    for batch in range(settings.n_batches):
        for held_out in (False, True):
            chosen = np.asarray((settings.batches == batch) & (settings.held_out == held_out))
            found += portions(experiment.dataset, chosen, plan.portion) if chosen.any() else []
    return found


def _plan_sentences(task: _Task) -> Iterator[str]:
    settings, experiment = task.settings, task.experiment
    images, used = settings.images, int(experiment.usable.sum())
    edge = images.box * images.pixel_size_angstrom
    yield (
        f"{used} particles in {len(experiment.dataset.tilt_series)} tilt series, {used // settings.n_batches} or so at a time; "
        f"box {images.box} px of {images.pixel_size_angstrom:g} Å; {task.plan.crew.threads} threads"
    )
    yield (
        f"{settings.starts} start{'s' if settings.starts > 1 else ''} of {settings.start_steps} steps, from "
        f"{edge / settings.first_radius:.0f} to {edge / settings.finest_radius:.0f} Å; {settings.max_iterations} steps in all"
    )
    yield from task.plan.sentences
    yield from part_sentences(task.experiment, task.dealt)


def _finished(task: _Task, running: Execution, context: Context, keep: int) -> AbInitioState:
    """The last state from where the search stands; each one is written, shown and saved."""
    experiment, settings = task.experiment, task.settings
    particles, count = experiment.dataset.particles, int(experiment.usable.sum())
    state: AbInitioState | None = context.last_state(STATE_CLASSES)
    if state is None:
        with context.log.steps("Noise spectra", count) as step:
            running.tell(step)
            state = ab_initio_state(particles, task.parts, running.gather, settings, running.executor)
    course = Course(
        follow=lambda state: ab_initio(particles, task.parts, running.gather, state, settings, running.executor),
        last=settings.max_iterations,
        count=None,
        title=lambda number: f"Step {number} of {settings.max_iterations}",
        tell=_step_sentences,
        write=lambda state: write_ab_initio_maps(context.folder, f"run_it{state.iteration:03d}", settings, state),
        report=lambda state: ab_initio_report(experiment, settings, state, task.dealt),
        keep=keep,
    )
    return carried_out(course, state, experiment, running, context)


def _step_sentences(before: AbInitioState, state: AbInitioState) -> Iterator[str]:
    if state.axes and not before.axes:
        for k, axes in enumerate(state.axes, start=1):
            yield axes_sentence(k, axes)
    yield step_sentence(state.history[-1])

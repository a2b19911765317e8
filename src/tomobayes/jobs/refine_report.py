"""What is shown of a refinement, while it runs and at its end."""

from __future__ import annotations

import numpy as np

from tomobayes.inference.refinement import Record, Settings, State
from tomobayes.jobs.describe import data_section
from tomobayes.jobs.experiment import Experiment
from tomobayes.jobs.figures import angstrom, experiment_findings, half_map_fsc
from tomobayes.jobs.refine_files import final_maps, taking_part
from tomobayes.model import Map
from tomobayes.report import (
    Fact,
    Finding,
    Item,
    Report,
    Section,
    directions_of,
    format_number,
    histogram_chart,
    iteration_chart,
    projections_of,
    slices_of,
)

__all__ = ["iteration_sentence", "refinement_report"]

MAP = "Merged map, weighted by the FSC"


def iteration_sentence(record: Record) -> str:
    """One iteration in a line of the log."""
    number = format_number
    return (
        f"Iteration {record.iteration} ({record.phase}, steps {number(record.angular_step, 2)}° and "
        f"{number(record.shift_step_angstrom, 2)} Å): resolution {angstrom(record.resolution_angstrom)}, "
        f"poses moved by {number(record.rotation_change, 2)}° and {number(record.shift_change_angstrom, 2)} Å, "
        f"known to {number(record.sigma_rotation, 2)}° and {number(record.sigma_shift_angstrom, 2)} Å"
    )


def refinement_report(experiment: Experiment, settings: Settings, state: State, dealt: bool) -> Report:
    """The page of a refinement at some state."""
    assert state.fsc is not None
    last = state.history[-1]
    facts = [
        Fact("Resolution (FSC 0.143)", angstrom(last.resolution_angstrom)),
        Fact("At FSC 0.5", angstrom(state.fsc.resolution_angstrom(0.5))),
        Fact("Particles", f"{int(taking_part(experiment, state).sum())}"),
        Fact("Poses known to", f"{format_number(last.sigma_rotation, 2)}°, {format_number(last.sigma_shift_angstrom, 2)} Å"),
        Fact("Box", f"{settings.box} px of {settings.pixel_size_angstrom:g} Å"),
        Fact("Iterations", f"{state.iteration}"),
    ]
    merged = Map(final_maps(settings, state), settings.pixel_size_angstrom)
    sections = [
        Section("Resolution", [half_map_fsc(state.fsc)]),
        Section("Map", [slices_of(merged, MAP, "run_class001"), projections_of(merged, f"{MAP}: projections", "run_class001_projected")]),
        Section("Poses", _poses(experiment, state)),
        Section("Convergence", _convergence(state.history)),
        data_section(experiment.dataset),
    ]
    return Report("Refinement", facts=facts, findings=_findings(experiment, settings, state, dealt), sections=sections)


def _poses(experiment: Experiment, state: State) -> list[Item]:
    usable, found = taking_part(experiment, state), state.estimates
    assert found is not None
    moved = state.centre_angstrom.numpy() - experiment.dataset.particles.position_angstrom
    return [
        directions_of(state.rotation.numpy()[usable]),
        histogram_chart("Offsets", np.linalg.norm(moved, axis=1)[usable], "Distance from the extracted position", "Å"),
        histogram_chart("Certainty of orientations", found.sigma_rotation.numpy()[usable], "Width of the posterior", "°"),
        histogram_chart("Certainty of positions", found.sigma_shift_angstrom.numpy()[usable], "Width of the posterior", "Å"),
        histogram_chart("Posterior", found.best_probability.numpy()[usable], "Largest share that one pose has"),
    ]


def _convergence(history: tuple[Record, ...]) -> list[Item]:
    def over(name: str) -> list[float]:
        return [float(getattr(record, name)) for record in history]

    angles = {"Change": over("rotation_change"), "Width of the posterior": over("sigma_rotation")}
    distances = {
        "Change": over("shift_change_angstrom"),
        "Width of the posterior": over("sigma_shift_angstrom"),
        "Width of the prior": over("offset_sigma"),
    }
    return [
        iteration_chart("Resolution", "Resolution", "Å", {"FSC 0.143": over("resolution_angstrom")}),
        iteration_chart("Orientations", "Angle", "°", angles),
        iteration_chart("Positions", "Distance", "Å", distances),
        iteration_chart("Posterior that coarse levels dropped", "Mean share over particles", "", {"Dropped": over("discarded")}),
    ]


def _findings(experiment: Experiment, settings: Settings, state: State, dealt: bool) -> list[Finding]:
    last = state.history[-1]
    found = experiment_findings(experiment, dealt)
    for index, why in state.set_aside.items():
        series, lost = experiment.dataset.tilt_series[index].name, experiment.dataset.particles.tilt_series == index
        sentence = (
            f"Tilt series {series} failed three times and is set aside with its {int((lost & experiment.usable).sum())} particles: {why}"
        )
        found.append(Finding("warning", sentence))
    if state.converged and state.iteration >= settings.max_iterations:
        found.append(Finding("warning", "The refinement ran out of iterations before it converged: give more with --max-iter."))
    elif state.converged:
        found.append(Finding("good", f"Converged after {state.iteration} iterations: neither resolution nor poses improved any more."))
    else:
        found.append(Finding("note", "The refinement is not finished."))
    join = settings.join_resolution
    if join is not None and settings.shell(join) >= settings.shell(last.resolution_angstrom):
        sentence = (
            f"The halves share one reference up to {join:g} Å (--low-resol-join-halves), which is as fine as the resolution reached: "
            "poses found with it make them agree, so this FSC is not that of independent halves. Give a coarser one."
        )
        found.append(Finding("warning", sentence))
    nyquist = 2 * settings.pixel_size_angstrom
    if last.resolution_angstrom < 1.15 * nyquist:
        sentence = f"The resolution is close to the finest this pixel size can show ({nyquist:g} Å): go on with a smaller --bin."
        found.append(Finding("note", sentence))
    return found

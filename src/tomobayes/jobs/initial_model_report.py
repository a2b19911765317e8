"""What is shown of a search for first maps, while it runs and at its end."""

from __future__ import annotations

import numpy as np

from tomobayes.inference.abinitio.iteration import class_fsc
from tomobayes.inference.abinitio.state import AbInitioRecord, AbInitioSettings, AbInitioState
from tomobayes.jobs.describe import data_section
from tomobayes.jobs.experiment import Experiment
from tomobayes.jobs.figures import angstrom, experiment_findings
from tomobayes.jobs.initial_model_files import final_map
from tomobayes.maps.axes import Axes
from tomobayes.report import (
    Fact,
    Finding,
    Item,
    Report,
    Section,
    directions_of,
    format_number,
    fsc_chart,
    iteration_chart,
    projections_of,
    slices_of,
)

__all__ = ["ab_initio_report", "axes_sentence", "step_sentence"]

STAGES = {
    "start": "from random orientations",
    "judge": "judged by images that its maps are not made of",
    "all": "with all images",
    "symmetric": "with the symmetry",
    "last": "all particles once",
}
SHARED = "The halves are compared with the same maps, so these curves say less than those of a refinement."


def step_sentence(record: AbInitioRecord) -> str:
    """One step in a line of the log."""
    shares = ", ".join(f"{100 * share:.0f} %" for share in record.occupancy)
    classes = f"; classes of {shares}" if len(record.occupancy) > 1 else ""
    return (
        f"Step {record.iteration} (start {record.start}, {STAGES[record.stage]}): {record.particles} particles, "
        f"log evidence {format_number(record.log_evidence, 4)} each{classes}"
    )


def axes_sentence(k: int, axes: Axes) -> str:
    """What was found of the symmetry."""
    far = float(np.linalg.norm(axes.shift_px))
    return (
        f"Class {k}: about the axes found the map agrees with itself to {format_number(axes.agreement, 2)} "
        f"(at most {format_number(axes.chance, 2)} about others), {format_number(far, 2)} px from the middle"
    )


def ab_initio_report(experiment: Experiment, settings: AbInitioSettings, state: AbInitioState, dealt: bool) -> Report:
    """The page of a search for first maps at some state."""
    last, images = state.history[-1], settings.images
    facts = [
        Fact("Classes", ", ".join(f"{100 * share:.0f} %" for share in state.occupancy.tolist())),
        Fact("Halves agree to (FSC 0.143)", ", ".join(angstrom(one) for one in last.resolution_angstrom)),
        Fact("Particles", f"{int((settings.batches >= 0).sum())}"),
        Fact("Log evidence per particle", format_number(last.log_evidence, 4)),
        Fact("Box", f"{images.box} px of {images.pixel_size_angstrom:g} Å"),
        Fact("Steps", f"{state.iteration} of {settings.max_iterations}"),
    ]
    names = [f"Class {k + 1}" for k in range(settings.n_classes)]
    maps: list[Item] = []
    for k, name in enumerate(names):
        map_, stem = final_map(settings, state, k), f"run_class{k + 1:03d}"
        maps += [slices_of(map_, name, stem), projections_of(map_, f"{name}: projections", f"{stem}_projected")]
    curves = {name: np.append(1.0, class_fsc(state.sums, k, settings)[1:]) for k, name in enumerate(names)}
    sections = [
        Section("Maps", [*maps, fsc_chart(curves, images.box, images.pixel_size_angstrom, caption=SHARED)]),
        Section("Convergence", _convergence(state, names)),
        data_section(experiment.dataset),
    ]
    if state.converged:
        sections.insert(2, Section("Poses", [directions_of(state.rotation.numpy()[settings.batches >= 0])]))
    return Report("Initial model", facts=facts, findings=_findings(experiment, settings, state, dealt), sections=sections)


def _convergence(state: AbInitioState, names: list[str]) -> list[Item]:
    history = state.history
    evidence = {"Log evidence": [record.log_evidence for record in history]}
    items: list[Item] = [
        iteration_chart("Log evidence per particle, of every step's own particles", "Log evidence", "nats", evidence),
        iteration_chart("Detail compared", "Fourier radius", "px", {"Radius": [float(record.radius) for record in history]}),
        iteration_chart("Turns since particles were last looked at", "Median", "°", {"Turn": [one.change_degrees for one in history]}),
    ]
    if len(names) > 1:
        shares = {name: [record.occupancy[k] for record in history] for k, name in enumerate(names)}
        items.append(iteration_chart("Size of the classes", "Share of the particles", "", shares))
    return items


def _findings(experiment: Experiment, settings: AbInitioSettings, state: AbInitioState, dealt: bool) -> list[Finding]:
    found = experiment_findings(experiment, dealt)
    if len(state.trials) > 1:
        told = ", ".join(format_number(one, 4) for one in state.trials)
        found.append(Finding("note", f"Log evidence of the starts, nats per particle that they are not made of: {told}."))
    for k, axes in enumerate(state.axes, start=1):
        clear = axes.agreement > 2 * axes.chance or axes.agreement > 1 - 0.5 * (1 - axes.chance)
        doubt = "" if clear else " That is hardly better: the map may not have this symmetry."
        found.append(Finding("good" if clear else "warning", f"{axes_sentence(k, axes)}.{doubt}"))
    if not state.converged:
        found.append(Finding("note", "The search is not finished."))
    return found

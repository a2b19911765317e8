"""What is shown of a classification, while it runs and at its end."""

from __future__ import annotations

import numpy as np

from tomobayes.heterogeneity.confounds import NOTEWORTHY, confounds
from tomobayes.imaging.views import views_of
from tomobayes.inference.classification.state import ClassRecord, ClassSettings, ClassStart, ClassState
from tomobayes.jobs.describe import data_section
from tomobayes.jobs.experiment import Experiment
from tomobayes.jobs.figures import angstrom, experiment_findings
from tomobayes.model import Map
from tomobayes.report import (
    Directions,
    Fact,
    Finding,
    Item,
    Report,
    Section,
    Table,
    directions_of,
    format_number,
    fsc_chart,
    histogram_chart,
    iteration_chart,
    slices_of,
)

__all__ = ["class_sentence", "classification_report", "doubt_of_classes", "start_sentence"]

NOTHING = "no direction in which particles differ beyond noise"


def class_sentence(record: ClassRecord) -> str:
    """One iteration in a line of the log."""
    shares = ", ".join(f"{100 * share:.1f} %" for share in record.occupancy)
    resolutions = ", ".join(angstrom(one) for one in record.resolution_angstrom)
    search = record.search
    poses = "" if search is None else f"; {search.phase} search next, {search.angular_step:.2g}° and {search.shift_step_angstrom:.2g} Å"
    return (
        f"Iteration {record.iteration}: classes of {shares} at {resolutions}; {100 * record.changed:.1f} % of the particles moved, "
        f"certain to {format_number(record.certainty, 3)} on average{poses}"
    )


def start_sentence(start: ClassStart, particles: int) -> str:
    """How the first classes were found, in a line."""
    if start.kind != "subspace":
        gains, how = ", ".join(f"{gain:.0f}" for gain in start.gain), "random starts" if start.kind == "random" else "climbs from random"
        return f"Best of {len(start.gain)} {how}, whose maps explain images better than one map by {gains} nats"
    gains = ", ".join(f"{gain:.1f} ± {error:.1f}" for gain, error in zip(start.gain[1:], start.standard_error[1:], strict=True))
    told = f"{start.rank} direction{'s' if start.rank > 1 else ''} in which particles differ" if start.rank else NOTHING
    return f"{told}: held out, {particles} particles are explained better than by one map by {gains} nats"


def doubt_of_classes(record: ClassRecord) -> str | None:
    """What to worry about where several maps explain images, which none of them was made of, no better than one does."""
    if record.gain > 0 or len(record.occupancy) == 1:
        return None
    worse = f"by {format_number(-record.gain, 3)} nats worse than" if record.gain else "no better than"
    return f"The maps of the classes explain images held out {worse} one map of all particles: these classes are not to be believed."


def classification_report(experiment: Experiment, settings: ClassSettings, state: ClassState, dealt: bool) -> Report:
    """The page of a classification at some state."""
    assert state.maps is not None
    last, pixel = state.history[-1], settings.images.pixel_size_angstrom
    facts = [
        Fact("Classes", ", ".join(f"{100 * share:.0f} %" for share in last.occupancy)),
        Fact("Resolution (FSC 0.143)", ", ".join(angstrom(one) for one in last.resolution_angstrom)),
        Fact("Particles", f"{len(state.rows)}"),
        Fact("Mean certainty", format_number(last.certainty, 3)),
        Fact("Better than one map by", f"{format_number(last.gain / len(state.rows), 3)} nats per particle"),
        Fact("Box", f"{settings.images.box} px of {pixel:g} Å"),
        Fact("Iterations", f"{state.iteration}"),
    ]
    maps: list[Item] = [
        slices_of(Map(one.numpy(), pixel), f"Class {k}: {100 * share:.1f} % of the particles", f"run_class{k:03d}")
        for k, (one, share) in enumerate(zip(state.maps.maps, last.occupancy, strict=True), start=1)
    ]
    related = _confounds(experiment, state)
    sections = [
        Section("Maps", maps),
        Section("Resolution", _resolution(settings, state)),
        Section("Particles", [*_certainty(state), *_directions(experiment, state), _confound_table(related)]),
        Section("Convergence", _convergence(state)),
        data_section(experiment.dataset),
    ]
    return Report("Classification", facts=facts, findings=_findings(experiment, settings, state, dealt, related), sections=sections)


def _resolution(settings: ClassSettings, state: ClassState) -> list[Item]:
    assert state.maps is not None
    names = [f"Class {k}" for k in range(1, state.n_classes + 1)]
    box, pixel = settings.images.box, settings.images.pixel_size_angstrom
    own = {name: curves.corrected for name, curves in zip(names, state.maps.fsc, strict=True)}
    differences = {name: np.append(1.0, curve[1:]) for name, curve in zip(names, state.maps.difference_fsc, strict=True)}
    shared = "The halves share their classes, so these curves say less than those of a refinement: refine each class on its own."
    told = "Half-maps minus the map of all classes, in the focus: what tells a class from the others, and to which resolution."
    return [
        fsc_chart(own, box, pixel, caption=shared),
        fsc_chart(differences, box, pixel, "Correlation of the differences", caption=told),
    ]


def _certainty(state: ClassState) -> list[Item]:
    rows = state.rows
    best = state.posterior[rows].amax(1).numpy()
    return [
        histogram_chart("Certainty", best, "Probability of the likeliest class"),
        *_of_runs(state),
        histogram_chart("Better than one map", state.gain_nats[rows].numpy(), "Log evidence gained over one map for all", "nats"),
    ]


def _directions(experiment: Experiment, state: ClassState) -> list[Directions]:
    """Along which directions the particles of each class are seen: classes that differ in it may show nothing else."""
    rotation = state.rotation.numpy()
    label = state.posterior[state.rows].argmax(1).numpy()
    rows = [state.rows.numpy()[label == k] for k in range(state.n_classes)]
    return [directions_of(rotation[some], f"Viewing directions, class {k}") for k, some in enumerate(rows, start=1) if len(some)]


def _of_runs(state: ClassState) -> list[Item]:
    """How far several runs agree about each particle, and how well its pose is known, where there is anything to tell."""
    found: list[Item] = []
    if state.consistency is not None:
        values = state.consistency[state.rows].numpy()
        found.append(histogram_chart("Agreement of the runs", values, "Share of the runs that put a particle where most of them do"))
    if state.estimates is not None:
        found.append(histogram_chart("Orientations", state.estimates.sigma_rotation.numpy(), "Standard deviation of the posterior", "°"))
    return found


def _confounds(experiment: Experiment, state: ClassState) -> dict[str, float]:
    """How strongly classes go with what is no property of the particle."""
    rows, particles = state.rows.numpy(), experiment.dataset.particles
    labels = state.posterior[state.rows].argmax(1).numpy()
    defocus, tilts, gain = (np.zeros(len(particles)) for _ in range(3))
    for (index, half), members in state.members.items():
        series = experiment.dataset.tilt_series[index]
        source = experiment.source
        edge = 0.5 * source.box * source.binning_of(experiment.dataset, series) if source.engine == "series" else 0.0
        for optics in np.unique(particles.optics[members]):
            some = members[particles.optics[members] == optics]
            views = views_of(experiment.dataset, some, half_width_px=edge, max_dose=source.max_dose)
            defocus[some] = views.defocus_u_angstrom.mean(1).numpy()
            tilts[some] = views.visible.sum(1).numpy()
        gain[members] = state.gain[index, half].mean(1).numpy()
    quantities = {
        "Defocus": defocus[rows],
        "Number of tilts": tilts[rows],
        "Strength of the signal": gain[rows],
        "Direction of the beam (cosine of the tilt)": state.rotation[state.rows][:, 2, 2].numpy(),
    }
    return confounds(labels, quantities, {"Tilt series": particles.tilt_series[rows], "Half-set": particles.half[rows]})


def _confound_table(related: dict[str, float]) -> Table:
    caption = f"0: nothing to do with it, 1: decided by it; more than {NOTEWORTHY:g} is worth a look."
    return Table("What classes go with", ("Property", "Correlation"), [(name, round(value, 3)) for name, value in related.items()], caption)


def _convergence(state: ClassState) -> list[Item]:
    history, names = state.history, [f"Class {k}" for k in range(1, state.n_classes + 1)]
    occupancy = {name: [record.occupancy[k] for record in history] for k, name in enumerate(names)}
    resolution = {name: [record.resolution_angstrom[k] for record in history] for k, name in enumerate(names)}
    changed = {"Changed": [record.changed for record in history], "Certainty": [record.certainty for record in history]}
    return [
        iteration_chart("Size of the classes", "Share of the particles", "", occupancy),
        iteration_chart("Resolution", "Resolution", "Å", resolution),
        iteration_chart("Particles that changed their class", "Share", "", changed),
    ]


def _findings(experiment: Experiment, settings: ClassSettings, state: ClassState, dealt: bool, related: dict[str, float]) -> list[Finding]:
    found = experiment_findings(experiment, dealt)
    last, start = state.history[-1], state.start
    if start is not None:
        nothing = start.kind == "subspace" and not start.rank
        sentence = start_sentence(start, len(state.rows))
        advice = " The particles may be all alike; to look for smaller or finer differences give a --focus-mask." if nothing else ""
        found.append(Finding("warning" if nothing else "good", f"{sentence[0].upper()}{sentence[1:]}.{advice}"))
    if state.consistency is not None:
        alike = float((state.consistency[state.rows] > 1 - 1e-6).double().mean())
        keep = "select --where 'tomobayesClassConsistency>=0.99'"
        found.append(Finding("note", f"All runs agree about {100 * alike:.0f} % of the particles; {keep} keeps these."))
    doubt = doubt_of_classes(last)
    if doubt is not None:
        found.append(Finding("warning", doubt))
    for name, value in related.items():
        if value > NOTEWORTHY:
            sentence = f"Classes go with something that is no property of the particle: {name.lower()} (correlation {value:.2f})."
            found.append(Finding("warning", sentence))
    for index, why in state.set_aside.items():
        name = experiment.dataset.tilt_series[index].name
        found.append(Finding("warning", f"Tilt series {name} failed three times and is set aside: {why}"))
    small = [k for k, share in enumerate(last.occupancy, start=1) if share * len(state.rows) < 10]
    if small:
        found.append(Finding("warning", f"Nearly no particles are left in class {', '.join(map(str, small))}: ask for fewer classes."))
    if state.converged:
        found.append(Finding("good", f"Converged after {state.iteration} iterations: particles stay in their classes."))
    elif state.iteration >= settings.images.max_iterations:
        found.append(Finding("warning", "The classification ran out of iterations: give more with --max-iter."))
    else:
        found.append(Finding("note", "The classification is not finished."))
    return found

"""Classification: expectation and maximisation of several maps, until particles stay in their classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from tomobayes.compute.executors import Executor, InProcess
from tomobayes.imaging.gathering import Portion
from tomobayes.inference.classification.expectation import ClassExpectation, ClassFound, class_found_together
from tomobayes.inference.classification.maximisation import class_maps
from tomobayes.inference.classification.nuisance import next_nuisance
from tomobayes.inference.classification.search import first_search, next_search, share_moved
from tomobayes.inference.classification.state import ClassMaps, ClassRecord, ClassSettings, ClassStart, ClassState, PoseSearch
from tomobayes.inference.maximisation import symmetrised
from tomobayes.inference.reconstruction import EmptyHalfError, Gather, set_aside, signal_free_noise
from tomobayes.inference.schedule import growth
from tomobayes.inference.state import members_of
from tomobayes.maps.fsc import last_shell_above
from tomobayes.model import Particles

__all__ = ["classify", "classify_once", "consensus", "with_classes"]

IN_PROCESS = InProcess()
CONSENSUS_ITERATIONS, WITH_POSES = 3, 6
"""Of one map of all particles, at given poses or with a search of them, before there are several."""
SETTLED, STILL = 0.002, 2
"""Share of the particles that may still change their class, and for how many iterations, when a classification ends."""


def consensus(
    particles: Particles, parts: list[Portion], gather: Gather, settings: ClassSettings, executor: Executor = IN_PROCESS
) -> ClassState:
    """One map of all particles at the poses they have or, where those are searched, get; and what their images are like around it."""
    sigma2, without = signal_free_noise(parts, gather, executor)
    members = members_of([part for part in parts if part.tilt_series not in without])
    single = replace(settings, n_classes=1)
    radius = settings.finest_radius or settings.images.largest_radius
    state = ClassState(
        iteration=0,
        posterior=torch.ones(len(particles), 1, dtype=torch.float64),
        occupancy=torch.ones(1, dtype=torch.float64),
        maps=None,
        gain_nats=torch.zeros(len(particles), dtype=torch.float64),
        rotation=torch.from_numpy(particles.rotation),
        centre_angstrom=torch.from_numpy(particles.centre_angstrom),
        sigma2={key: sigma2[key] for key in members},
        gain={key: torch.ones(len(rows), len(sigma2[key])) for key, rows in members.items()},
        falloff={key: torch.zeros(len(sigma2[key]), dtype=torch.float64) for key in members},
        members=members,
        radius=radius,
        set_aside=without,
        search=first_search(settings.images, radius) if settings.searches else None,
    )
    for _ in range(WITH_POSES if settings.searches else CONSENSUS_ITERATIONS):
        state = classify_once(particles, parts, gather, state, single, executor)
    return state


def with_classes(state: ClassState, posterior: Tensor, start: ClassStart | None = None) -> ClassState:
    """Where several classes start: from the noise of a consensus and what is believed of each particle's class, (P, K)."""
    rows = state.rows
    posterior = posterior.double()
    return replace(
        state,
        iteration=0,
        posterior=posterior,
        occupancy=posterior[rows].mean(0),
        maps=None,
        gain_nats=torch.zeros_like(state.gain_nats),
        start=start,
        history=(),
        converged=False,
    )


def classify(
    particles: Particles, parts: list[Portion], gather: Gather, start: ClassState, settings: ClassSettings, executor: Executor = IN_PROCESS
) -> Iterator[ClassState]:
    """Iterate until particles stay where they are; each state can be saved and passed as ``start`` to go on from there."""
    state = start
    while not state.converged and state.iteration < settings.images.max_iterations:
        state = classify_once(particles, parts, gather, state, settings, executor)
        yield state


def classify_once(
    particles: Particles, parts: list[Portion], gather: Gather, state: ClassState, settings: ClassSettings, executor: Executor = IN_PROCESS
) -> ClassState:
    """One expectation and one maximisation."""
    outcome = executor.map_reduce(ClassExpectation(particles, gather, settings, state), state.remaining(parts), class_found_together)
    if outcome.result is None or len({half for half, _, _ in outcome.result.sums}) < 2:
        raise EmptyHalfError(outcome.failures)
    return _next_state(state, settings, outcome.result, dict(state.set_aside) | set_aside(outcome.failures), parts)


def _next_state(
    state: ClassState, settings: ClassSettings, found: ClassFound, without: Mapping[int, str], parts: Sequence[Portion]
) -> ClassState:
    group = torch.from_numpy(settings.images.group)
    folds = 1 + max(int(part.folds.max()) for part in parts)
    maps = class_maps({key: symmetrised(one, group) for key, one in sorted(found.sums.items())}, settings, folds)
    members = {key: rows for key, rows in state.members.items() if key[0] not in without}
    nuisance = next_nuisance(state, found, members, parts)
    rows = torch.from_numpy(found.particles)
    posterior, gain_nats = torch.zeros_like(state.posterior), torch.zeros_like(state.gain_nats)
    posterior[rows], gain_nats[rows] = found.posterior, found.gain_nats
    radius = _radius(maps, settings)
    poses = _next_poses(state, settings, found, rows, radius)
    record = _record(state, maps, found, poses.search)
    history = (*state.history, record)
    return replace(
        poses,
        iteration=record.iteration,
        posterior=posterior,
        occupancy=found.posterior.mean(0),
        maps=maps,
        gain_nats=gain_nats,
        sigma2=nuisance.sigma2,
        gain=nuisance.gain,
        falloff=nuisance.falloff,
        members=members,
        radius=radius,
        history=history,
        converged=record.iteration > STILL and all(one.changed <= SETTLED for one in history[-STILL:]),
        set_aside=without,
    )


def _next_poses(state: ClassState, settings: ClassSettings, found: ClassFound, rows: Tensor, radius: int) -> ClassState:
    """The state with the poses that were found, and how the next ones are searched."""
    if state.search is None:
        return state
    if found.estimates is None:
        return replace(state, search=replace(state.search, radius=radius))
    rotation, centre = state.rotation.clone(), state.centre_angstrom.clone()
    rotation[rows], centre[rows] = found.estimates.rotation, found.estimates.centre_angstrom
    search = replace(state.search, radius=radius)
    if state.climb is None:
        search = next_search(search, found.estimates, share_moved(state.rotation[rows], rotation[rows], settings.images))
    estimates = found.estimates.chosen(torch.from_numpy(np.argsort(found.particles)))
    return replace(state, rotation=rotation, centre_angstrom=centre, search=search, estimates=estimates)


def _record(state: ClassState, maps: ClassMaps, found: ClassFound, search: PoseSearch | None) -> ClassRecord:
    before = state.posterior[torch.from_numpy(found.particles)].argmax(1)
    return ClassRecord(
        iteration=state.iteration + 1,
        log_evidence=float(found.log_evidence.sum()),
        gain=float(found.gain_nats.sum()),
        occupancy=tuple(found.posterior.mean(0).tolist()),
        resolution_angstrom=tuple(curves.resolution_angstrom() for curves in maps.fsc),
        changed=float((before != found.posterior.argmax(1)).double().mean()),
        certainty=float(found.posterior.amax(1).mean()),
        radius=state.radius,
        search=search,
    )


def _radius(maps: ClassMaps, settings: ClassSettings) -> int:
    """A little beyond where the halves agree about the map of all classes, unless the user said where to stop."""
    if settings.finest_radius is not None:
        return settings.finest_radius
    shell = last_shell_above(maps.consensus_fsc.corrected)
    return min(settings.images.largest_radius, max(shell, 4) + growth(settings.images))

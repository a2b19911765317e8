"""Auto-refinement: expectation and maximisation of two independent half-sets, from coarse to fine, until nothing improves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.compute.executors import Executor, InProcess
from tomobayes.geometry.rotations import angular_distance_degrees, nearest_mates
from tomobayes.imaging.gathering import Portion
from tomobayes.imaging.noise import NoiseSums
from tomobayes.inference.expectation import PoseEstimates
from tomobayes.inference.falloff import fit_falloffs
from tomobayes.inference.gain import GainSums, fit_gains
from tomobayes.inference.halves import by_half, regularised
from tomobayes.inference.initial import initial_state
from tomobayes.inference.iteration import Expectation, Found, found_together
from tomobayes.inference.maximisation import symmetrised
from tomobayes.inference.reconstruction import EmptyHalfError, Gather, noise_spectra, set_aside
from tomobayes.inference.schedule import growth, next_phase, next_step
from tomobayes.inference.state import Record, Settings, State
from tomobayes.maps.fsc import FscCurves, last_shell_above
from tomobayes.model import Particles

__all__ = ["Record", "Settings", "State", "initial_state", "iterate", "refine", "resumed"]

IN_PROCESS = InProcess()
Told = TypeVar("Told")


def refine(
    particles: Particles, parts: list[Portion], gather: Gather, start: State, settings: Settings, executor: Executor = IN_PROCESS
) -> Iterator[State]:
    """Iterate until nothing improves; each state can be saved and passed as ``start`` to go on from there."""
    state = start
    while not state.converged and state.iteration < settings.max_iterations:
        state = iterate(particles, parts, gather, state, settings, executor)
        yield state


def resumed(state: State, settings: Settings) -> State:
    """A state as a refinement with these settings goes on from it; the same state if they are those it was made with."""
    if not state.history:
        return state
    phase, converged = next_phase(settings, state.history)
    return replace(state, phase=phase, converged=converged)


def iterate(
    particles: Particles, parts: list[Portion], gather: Gather, state: State, settings: Settings, executor: Executor = IN_PROCESS
) -> State:
    """One expectation and one maximisation of both halves."""
    outcome = executor.map_reduce(Expectation(particles, gather, settings, state), state.remaining(parts), found_together)
    if outcome.result is None or len({half for half, _ in outcome.result.sums}) < 2:
        raise EmptyHalfError(outcome.failures)
    without = dict(state.set_aside) | set_aside(outcome.failures)
    return _next_state(
        state, settings, outcome.result, _table(particles, state, outcome.result, without), without, parts, executor.together
    )


def _table(particles: Particles, state: State, found: Found, without: Mapping[int, str]) -> PoseEstimates:
    """Estimates of all particles; those that take no part keep their poses, those of tilt series set aside the given ones."""
    count, rows = len(particles), torch.from_numpy(found.particles)
    blank = [torch.zeros(count, dtype=torch.float64) for _ in range(7)]
    table = PoseEstimates(state.rotation.clone(), state.centre_angstrom.clone(), *blank)
    for name, values in vars(found.estimates).items():
        getattr(table, name)[rows] = values
    lost = torch.from_numpy(np.isin(particles.tilt_series, list(without)))
    for name, given in (("rotation", particles.rotation), ("centre_angstrom", particles.centre_angstrom)):
        getattr(table, name)[lost] = torch.from_numpy(given)[lost]
    return table


def _next_state(
    state: State,
    settings: Settings,
    found: Found,
    estimates: PoseEstimates,
    without: Mapping[int, str],
    parts: Sequence[Portion],
    together: int,
) -> State:
    """Maps, FSC, noise, and how the next iteration searches."""
    group = torch.from_numpy(settings.group)
    sums = {key: symmetrised(one, group) for key, one in sorted(found.sums.items())}
    maps, curves = regularised(by_half(sums, len(state.fold_references[0])), settings, together)
    members = {key: rows for key, rows in state.members.items() if key[0] not in without}
    rows = torch.from_numpy(np.concatenate(list(members.values())))
    record = _record(state, settings, curves, estimates, rows)
    history = (*state.history, record)
    phase, converged = next_phase(settings, history)
    shell = last_shell_above(curves.corrected)
    return State(
        iteration=record.iteration,
        phase=phase,
        half_maps=maps.half_maps,
        references=maps.references,
        fold_references=maps.fold_references,
        merged=maps.merged,
        rotation=estimates.rotation,
        centre_angstrom=estimates.centre_angstrom,
        sigma2=_next_noise(state, {key: found.noise[key] for key in members}, parts),
        gain=_of_each_half(fit_gains, _gain_sums(found, members)),
        falloff=_of_each_half(fit_falloffs, {key: found.falloffs[key] for key in members}),
        members=members,
        offset_sigma=max(1.5, math.sqrt(float(estimates.spread_angstrom2[rows].mean()) / 3)),
        radius=min(settings.largest_radius, max(shell, 4) + growth(settings)),
        angular_step=next_step(state.angular_step, record.sigma_rotation),
        shift_step_angstrom=next_step(state.shift_step_angstrom, record.sigma_shift_angstrom),
        fsc=curves,
        estimates=estimates,
        history=history,
        converged=converged,
        set_aside=without,
    )


def _gain_sums(found: Found, members: Mapping[tuple[int, int], NDArray[np.int64]]) -> dict[tuple[int, int], GainSums]:
    """What the images say about the gains, in the order of each half-set's members."""
    of_particle = dict(zip(found.particles.tolist(), found.gains, strict=True))
    return {key: GainSums.of([of_particle[row] for row in rows.tolist()]) for key, rows in members.items()}


def _of_each_half(fit: Callable[[Sequence[Told]], list[Tensor]], sums: Mapping[tuple[int, int], Told]) -> dict[tuple[int, int], Tensor]:
    """What a fit to all tilt series of a half-set finds, of each half-set from its own images and map."""
    found: dict[tuple[int, int], Tensor] = {}
    for half in (1, 2):
        keys = [key for key in sums if key[1] == half]
        found |= dict(zip(keys, fit([sums[key] for key in keys]), strict=True))
    return found


def _next_noise(state: State, sums: Mapping[tuple[int, int], NoiseSums], parts: Sequence[Portion]) -> dict[tuple[int, int], Tensor]:
    """The new spectra where this iteration looked, the old ones beyond."""
    after = {}
    for key, new in noise_spectra(sums, parts).items():
        compared = int(sums[key].weight.sum(0).nonzero().max()) + 1
        after[key] = torch.cat([new[:, :compared], state.sigma2[key][:, compared:]], 1)
    return after


def _record(state: State, settings: Settings, curves: FscCurves, found: PoseEstimates, rows: Tensor) -> Record:
    before = nearest_mates(state.rotation[rows], found.rotation[rows], torch.from_numpy(settings.mates))
    turned = angular_distance_degrees(before, found.rotation[rows])
    shifted = (state.centre_angstrom[rows] - found.centre_angstrom[rows]).norm(dim=-1)
    return Record(
        iteration=state.iteration + 1,
        phase=state.phase,
        resolution_angstrom=curves.resolution_angstrom(),
        radius=state.radius,
        angular_step=state.angular_step,
        shift_step_angstrom=state.shift_step_angstrom,
        rotation_change=float(turned.median()),
        shift_change_angstrom=float(shifted.median()),
        moved=float((turned > 10).double().mean()),
        sigma_rotation=float(found.sigma_rotation[rows].median()),
        sigma_shift_angstrom=float(found.sigma_shift_angstrom[rows].median()),
        best_probability=float(found.best_probability[rows].mean()),
        discarded=float(found.discarded[rows].mean()),
        offset_sigma=state.offset_sigma,
        log_evidence=float(found.log_evidence[rows].sum()),
    )

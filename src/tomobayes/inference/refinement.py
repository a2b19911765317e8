"""Auto-refinement: expectation and maximisation of two independent half-sets, from coarse to fine, until nothing improves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.fourier.slices import Accumulator
from tomobayes.fourier.volume import Sums, from_map
from tomobayes.geometry.rotations import angular_distance_degrees
from tomobayes.imaging.gathering import Portion
from tomobayes.imaging.noise import NoiseSums, precision, spectrum
from tomobayes.inference.expectation import PoseEstimates, expect
from tomobayes.inference.gain import GainSums, fit_gains
from tomobayes.inference.halves import HalfSums, regularised
from tomobayes.inference.initial import initial_state
from tomobayes.inference.maximisation import symmetrised
from tomobayes.inference.reconstruction import Gather
from tomobayes.inference.schedule import growth, next_phase, next_plan, next_step, pose_prior
from tomobayes.inference.state import Record, Settings, State, members_of
from tomobayes.maps.fsc import FscCurves, last_shell_above
from tomobayes.model import Particles

__all__ = ["Record", "Settings", "State", "initial_state", "iterate", "refine"]


def refine(particles: Particles, parts: list[Portion], gather: Gather, start: State, settings: Settings) -> Iterator[State]:
    """Iterate until nothing improves; each state can be saved and passed as ``start`` to go on from there."""
    state = start
    while not state.converged and state.iteration < settings.max_iterations:
        state = iterate(particles, parts, gather, state, settings)
        yield state


def iterate(particles: Particles, parts: list[Portion], gather: Gather, state: State, settings: Settings) -> State:
    """One expectation and one maximisation of both halves."""
    plan, grid = next_plan(state, settings)
    reach = settings.largest_radius if state.phase == "final" else state.radius
    group, mask = torch.from_numpy(settings.group), torch.from_numpy(settings.mask)
    found = _Found.nothing(len(particles), members_of(parts), state)
    sums: tuple[list[Sums], list[Sums]] = ([], [])
    for half in (1, 2):
        for fold, reference in enumerate(state.fold_references[half - 1]):
            volume = from_map(reference * mask, state.radius)
            accumulator = Accumulator(settings.box, reach)
            for part in (p for p in parts if (p.half, p.fold) == (half, fold)):
                key, rows = (part.tilt_series, half), torch.from_numpy(part.particles)
                gain = state.gain[key][found.slots(part)]
                statistics = gather(part).with_gain(gain)
                result = expect(
                    statistics,
                    precision(statistics, state.sigma2[key]),
                    volume,
                    pose_prior(particles, part, settings, state),
                    plan,
                    state.rotation[rows],
                    state.centre_angstrom[rows],
                    accumulator,
                    grid,
                    settings.relion4_likelihood,
                )
                found.add(part, *result, gain)
            sums[half - 1].append(symmetrised(accumulator.sums(), group))
    return _next_state(state, settings, sums, found, np.concatenate([part.particles for part in parts]))


@dataclass(frozen=True)
class _Found:
    """What the expectations of all portions find, filled portion by portion; keys are (tilt series, half)."""

    members: Mapping[tuple[int, int], NDArray[np.int64]]
    estimates: PoseEstimates
    noise: dict[tuple[int, int], NoiseSums]
    gains: dict[tuple[int, int], GainSums]

    @classmethod
    def nothing(cls, count: int, members: Mapping[tuple[int, int], NDArray[np.int64]], state: State) -> _Found:
        """Particles that take no part keep the poses they have."""
        blank = [torch.zeros(count, dtype=torch.float64) for _ in range(6)]
        estimates = PoseEstimates(state.rotation.clone(), state.centre_angstrom.clone(), *blank)
        shapes = {key: (len(rows), len(state.sigma2[key])) for key, rows in members.items()}
        return cls(members, estimates, {}, {key: GainSums(*torch.zeros(2, *shape, dtype=torch.float64)) for key, shape in shapes.items()})

    def slots(self, part: Portion) -> Tensor:
        """Rows of the portion's particles in the tables of its (tilt series, half)."""
        return torch.from_numpy(np.searchsorted(self.members[part.tilt_series, part.half], part.particles))

    def add(self, part: Portion, estimates: PoseEstimates, residual: NoiseSums, strength: GainSums, gain: Tensor) -> None:
        """Take in one portion, whose statistics had ``gain`` applied."""
        key, rows, slots = (part.tilt_series, part.half), torch.from_numpy(part.particles), self.slots(part)
        self.noise[key] = self.noise[key] + residual if key in self.noise else residual
        plain = strength.without(gain)
        self.gains[key].agreement[slots], self.gains[key].power[slots] = plain.agreement, plain.power
        for name, values in vars(estimates).items():
            getattr(self.estimates, name)[rows] = values


def _next_state(
    state: State,
    settings: Settings,
    sums: HalfSums,
    found: _Found,
    used: NDArray[np.int64],
) -> State:
    """Maps, FSC, noise, and how the next iteration searches."""
    maps, curves = regularised(sums, settings)
    rows, estimates = torch.from_numpy(used), found.estimates
    record = _record(state, curves, estimates, rows)
    history = (*state.history, record)
    phase, converged = next_phase(settings, history)
    shell = last_shell_above(curves.corrected)
    return State(
        iteration=record.iteration,
        phase=phase,
        half_maps=maps.half_maps,
        references=maps.references,
        fold_references=maps.fold_references,
        rotation=estimates.rotation,
        centre_angstrom=estimates.centre_angstrom,
        sigma2={key: _merged_spectrum(state.sigma2[key], value) for key, value in found.noise.items()},
        gain=_next_gain(found.gains),
        offset_sigma=max(1.5, math.sqrt(float(estimates.spread_angstrom2[rows].mean()) / 3)),
        radius=min(settings.largest_radius, max(shell, 4) + growth(settings)),
        angular_step=next_step(state.angular_step, record.sigma_rotation),
        shift_step_angstrom=next_step(state.shift_step_angstrom, record.sigma_shift_angstrom),
        fsc=curves,
        estimates=estimates,
        history=history,
        converged=converged,
    )


def _next_gain(sums: Mapping[tuple[int, int], GainSums]) -> dict[tuple[int, int], Tensor]:
    """Gains of each half-set from its own images and map."""
    found: dict[tuple[int, int], Tensor] = {}
    for half in (1, 2):
        keys = [key for key in sums if key[1] == half]
        found |= dict(zip(keys, fit_gains([sums[key] for key in keys]), strict=True))
    return found


def _merged_spectrum(before: Tensor, sums: NoiseSums) -> Tensor:
    """The new spectrum where this iteration looked, the old one beyond."""
    new = spectrum(sums)
    after = before.clone()
    compared = int(sums.weight.sum(0).nonzero().max())
    after[:, : compared + 1] = new[:, : compared + 1]
    return after


def _record(state: State, curves: FscCurves, found: PoseEstimates, rows: Tensor) -> Record:
    turned = angular_distance_degrees(state.rotation[rows], found.rotation[rows])
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
        offset_sigma=state.offset_sigma,
        log_evidence=float(found.log_evidence[rows].sum()),
    )

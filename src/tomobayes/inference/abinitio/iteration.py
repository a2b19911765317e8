"""First maps by stochastic expectation maximisation: small batches, a running mean of what they add up to, from coarse to fine.

    Σ_t = (1 - γ_t)·Σ_{t-1} + γ_t·(N/n)·Σ_batch,    V_t = Σb_t / (Σw_t + 1/τ²)

with Σ of a batch from the posterior of its particles under V_{t-1} (online EM, Cappé & Moulines 2009). Several starts are followed and
judged by images that they are not made of. Symmetry is imposed on all starts but the last of several, and on that one, if it is the
best, once its axes are found.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from tomobayes.compute.executors import Executor, InProcess
from tomobayes.fourier.volume import Sums
from tomobayes.geometry.rotations import angular_distance_degrees, nearest_mates
from tomobayes.imaging.gathering import Portion
from tomobayes.inference.abinitio.expectation import AbInitioExpectation, AbInitioFound, RandomStart, ab_initio_found_together
from tomobayes.inference.abinitio.schedule import Step, step_of
from tomobayes.inference.abinitio.state import AbInitioRecord, AbInitioSettings, AbInitioState, HalfClassSums, Kept
from tomobayes.inference.expectation import PoseEstimates
from tomobayes.inference.maximisation import solve, ssnr_from_fsc, symmetrised
from tomobayes.inference.reconstruction import EmptyHalfError, Gather, set_aside, signal_free_noise, sums_together
from tomobayes.maps.axes import find_axes, put_on_axes
from tomobayes.maps.fsc import fsc, last_shell_above
from tomobayes.maps.symmetry import symmetrise
from tomobayes.model import Particles

__all__ = ["ab_initio", "ab_initio_state", "advance", "class_fsc"]

IN_PROCESS = InProcess()
START_PARTICLES = 4
"""Particles of each class that a start is made of: few, so that their random orientations leave a map with sides to it."""
LEAST_SHARE = 0.02
"""Of the particles, that a class is believed to have at least: a class without any could never get one."""


def ab_initio_state(
    particles: Particles, parts: list[Portion], gather: Gather, settings: AbInitioSettings, executor: Executor = IN_PROCESS
) -> AbInitioState:
    """Noise from the images themselves, and no map yet."""
    sigma2, without = signal_free_noise(parts, gather, executor)
    box, k = settings.images.box, settings.n_classes
    return AbInitioState(
        iteration=0,
        references=(torch.zeros(box, box, box),) * k,
        sums={},
        occupancy=torch.full((k,), 1 / k, dtype=torch.float64),
        rotation=torch.from_numpy(particles.rotation),
        centre_angstrom=torch.from_numpy(particles.centre_angstrom),
        posterior=torch.full((len(particles), k), 1 / k, dtype=torch.float64),
        sigma2=sigma2,
        offset_sigma=settings.images.offset_sigma,
        set_aside=without,
    )


def ab_initio(
    particles: Particles,
    parts: list[Portion],
    gather: Gather,
    start: AbInitioState,
    settings: AbInitioSettings,
    executor: Executor = IN_PROCESS,
) -> Iterator[AbInitioState]:
    """One state after each step; each can be saved and passed as ``start`` to go on from there.

    Parameters
    ----------
    parts : the particles of a batch apart from those of others, and within it those that are held out
    """
    state = start
    while not state.converged:
        state = advance(particles, parts, gather, state, settings, executor)
        yield state


def advance(
    particles: Particles,
    parts: list[Portion],
    gather: Gather,
    state: AbInitioState,
    settings: AbInitioSettings,
    executor: Executor = IN_PROCESS,
) -> AbInitioState:
    """One step: an expectation of some particles and a maximisation, and what is due before it."""
    step = step_of(state.iteration, settings)
    if step.first:
        state = _started(particles, parts, gather, state, settings, executor)
    if step.stage == "all" and state.kept is not None:
        state = _restored(state, state.kept)
    if step.stage == "symmetric" and not state.symmetric:
        state = _on_axes(state, settings)
    looked_at = state.remaining(_of_step(parts, step, settings))
    outcome = executor.map_reduce(AbInitioExpectation(particles, gather, settings, state), looked_at, ab_initio_found_together)
    if outcome.result is None:
        raise EmptyHalfError(outcome.failures)
    state = replace(state, set_aside=dict(state.set_aside) | set_aside(outcome.failures))
    return _next_state(state, settings, step, outcome.result)


def _of_step(parts: Sequence[Portion], step: Step, settings: AbInitioSettings) -> list[Portion]:
    """The portions that a step looks at."""
    return [part for part in parts if step.looks_at(int(part.particles[0]), settings)]


def _started(
    particles: Particles, parts: list[Portion], gather: Gather, state: AbInitioState, settings: AbInitioSettings, executor: Executor
) -> AbInitioState:
    """Maps of a few particles in random orientations."""
    step = step_of(state.iteration, settings)
    some = _few(state.remaining(_of_step(parts, step, settings)), START_PARTICLES * settings.n_classes, settings.seed + step.start)
    outcome = executor.map_reduce(RandomStart(particles, gather, settings, state), some, sums_together)
    if outcome.result is None:
        raise EmptyHalfError(outcome.failures)
    state = replace(state, symmetric=settings.begins_symmetric(step.start), axes=())
    group = torch.from_numpy(state.images(settings).group)
    sums: dict[int, Sums] = {}
    for (_, k), one in sorted(outcome.result.items()):
        mine = symmetrised(one, group)
        sums[k] = sums[k] + mine if k in sums else mine
    blank = reduce(Sums.__add__, sums.values())
    flat = torch.ones(settings.finest_radius + 1)
    references = tuple(solve(sums.get(k, blank), flat) for k in range(settings.n_classes))
    even = torch.full((settings.n_classes,), 1 / settings.n_classes, dtype=torch.float64)
    return replace(state, references=references, sums={}, occupancy=even)


def _restored(state: AbInitioState, kept: Kept) -> AbInitioState:
    """With the maps of the best start."""
    return replace(state, references=kept.references, sums=kept.sums, occupancy=kept.occupancy, symmetric=kept.symmetric, kept=None)


def _few(parts: Sequence[Portion], count: int, seed: int) -> list[Portion]:
    """The portions with only so many of their particles, drawn at random."""
    every = np.concatenate([part.particles for part in parts])
    chosen = np.random.default_rng(seed).permutation(every)[:count]
    kept = ((part, np.isin(part.particles, chosen)) for part in parts)
    return [replace(part, particles=part.particles[mine], folds=part.folds[mine]) for part, mine in kept if mine.any()]


def _on_axes(state: AbInitioState, settings: AbInitioSettings) -> AbInitioState:
    """The maps with their axes where RELION has them, symmetric from now on; poses follow: A·R, and c + A·t of a map moved by t."""
    images, mask = settings.images, settings.images.mask
    reach = min(images.offset_range, 2 * images.offset_sigma) / images.pixel_size_angstrom
    axes = tuple(find_axes(one.numpy() * mask, images.group, settings.finest_radius, reach) for one in state.references)
    put = (put_on_axes(one.numpy(), found, settings.finest_radius) for one, found in zip(state.references, axes, strict=True))
    references = tuple(torch.from_numpy(symmetrise(one, images.group)) for one in put)
    label = state.posterior.argmax(1)
    turn = torch.from_numpy(np.stack([one.rotation for one in axes]))[label]
    move = images.pixel_size_angstrom * torch.from_numpy(np.stack([one.shift_px for one in axes]))[label]
    centre = state.centre_angstrom + torch.einsum("pij,pj->pi", state.rotation, move)
    return replace(state, references=references, sums={}, symmetric=True, axes=axes, rotation=state.rotation @ turn, centre_angstrom=centre)


def _next_state(state: AbInitioState, settings: AbInitioSettings, step: Step, found: AbInitioFound) -> AbInitioState:
    """What is known after a step."""
    group = torch.from_numpy(state.images(settings).group)
    scale = float((settings.batches >= 0).sum()) / len(found.particles)
    sums = _blended(state.sums, {key: symmetrised(one, group) for key, one in sorted(found.sums.items())}, step.gain, scale)
    record = _record(state, settings, step, found, sums)
    state = replace(state, iteration=state.iteration + 1, history=(*state.history, record))
    if step.stage == "judge":
        best = state.kept is None or record.log_evidence > state.kept.log_evidence
        kept = Kept(state.references, state.sums, state.occupancy, state.symmetric, record.log_evidence) if best else state.kept
        return replace(state, trials=(*state.trials, record.log_evidence), kept=kept)
    rows = torch.from_numpy(found.particles)
    rotation, centre, posterior = state.rotation.clone(), state.centre_angstrom.clone(), state.posterior.clone()
    rotation[rows], centre[rows], posterior[rows] = found.estimates.rotation, found.estimates.centre_angstrom, found.posterior
    share = (1 - step.gain) * state.occupancy + step.gain * found.posterior.mean(0)
    last = step.stage == "last"
    return replace(
        state,
        references=tuple(_solved(sums, k, settings) for k in range(settings.n_classes)),
        sums=sums,
        occupancy=share.clamp_min(LEAST_SHARE) / share.clamp_min(LEAST_SHARE).sum(),
        rotation=rotation,
        centre_angstrom=centre,
        posterior=posterior,
        estimates=_of_all(found, len(state.rotation)) if last else None,
        converged=last,
    )


def _of_all(found: AbInitioFound, count: int) -> PoseEstimates:
    """Estimates in the order of the data set; zero where a particle took no part."""

    def spread(values: Tensor) -> Tensor:
        whole = values.new_zeros((count, *values.shape[1:]))
        whole[torch.from_numpy(found.particles)] = values
        return whole

    return PoseEstimates(**{name: spread(values) for name, values in vars(found.estimates).items()})


def _blended(old: HalfClassSums, new: Mapping[tuple[int, int], Sums], gain: float, scale: float) -> dict[tuple[int, int], Sums]:
    """(1 - gain)·old + gain·scale·new."""
    weighted = [(sums, factor) for sums, factor in ((old, 1 - gain), (new, gain * scale)) if factor > 0]
    both: dict[tuple[int, int], Sums] = {}
    for sums, factor in weighted:
        for key, one in sums.items():
            mine = Sums(one.data * factor, one.weight * factor, one.box, one.radius)
            both[key] = both[key] + mine if key in both else mine
    return both


def class_fsc(sums: HalfClassSums, k: int, settings: AbInitioSettings) -> np.ndarray:
    """FSC of what the two halves add to the map of a class, (n//2+1,), under the mask, 0 beyond what is compared.

    The halves share their references.
    """
    images = settings.images
    if any((half, k) not in sums for half in (1, 2)):
        return np.zeros(images.box // 2 + 1)
    one, two = (solve(sums[half, k], None).numpy() * images.mask for half in (1, 2))
    return np.where(np.arange(images.box // 2 + 1) <= settings.finest_radius, fsc(one, two), 0.0)


def _solved(sums: HalfClassSums, k: int, settings: AbInitioSettings) -> Tensor:
    """The map of a class, as much of it as the halves agree about."""
    curve = torch.from_numpy(class_fsc(sums, k, settings))
    own = [one for (_, label), one in sums.items() if label == k]
    return solve(reduce(Sums.__add__, own), 2 * ssnr_from_fsc(curve, settings.images.tau2_fudge))


def _record(state: AbInitioState, settings: AbInitioSettings, step: Step, found: AbInitioFound, sums: HalfClassSums) -> AbInitioRecord:
    """The evidence is that of all orientations, of which a search under a symmetry visits one of each set of mates."""
    rows = torch.from_numpy(found.particles)
    images = state.images(settings)
    before = nearest_mates(state.rotation[rows], found.estimates.rotation, torch.from_numpy(images.group))
    shells = (last_shell_above(class_fsc(sums, k, settings)) for k in range(settings.n_classes))
    edge = images.box * images.pixel_size_angstrom
    return AbInitioRecord(
        iteration=state.iteration + 1,
        stage=step.stage,
        start=step.start,
        particles=len(rows),
        radius=step.radius,
        log_evidence=float(found.estimates.log_evidence.mean()) + math.log(len(images.group)),
        change_degrees=float(angular_distance_degrees(before, found.estimates.rotation).median()),
        best_probability=float(found.estimates.best_probability.mean()),
        occupancy=tuple(state.occupancy.tolist()),
        resolution_angstrom=tuple(edge / shell if shell else float("inf") for shell in shells),
    )

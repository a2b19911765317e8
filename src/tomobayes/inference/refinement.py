"""Auto-refinement: expectation and maximisation of two independent half-sets, from coarse to fine, until nothing improves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.fourier.slices import Accumulator
from tomobayes.fourier.volume import Sums, from_map
from tomobayes.geometry.rotations import angular_distance_degrees
from tomobayes.imaging.gathering import Portion
from tomobayes.imaging.noise import NoiseSums, precision, spectrum
from tomobayes.inference.expectation import PoseEstimates, expect, fit_scale
from tomobayes.inference.gain import GainSums, fit_gains
from tomobayes.inference.maximisation import solve, ssnr_from_fsc, symmetrised
from tomobayes.inference.priors import PosePrior
from tomobayes.inference.reconstruction import Gather, NoiseSpectra, reconstruct_halves, signal_free_noise
from tomobayes.inference.sampling import Plan, global_plan, local_plan, orientations
from tomobayes.maps.filters import low_pass
from tomobayes.maps.fsc import FscCurves, last_shell_above, masked_fsc
from tomobayes.model import Particles

__all__ = ["Record", "Settings", "State", "initial_state", "refine"]

FoldMaps = tuple[tuple[Tensor, ...], tuple[Tensor, ...]]
Phase = Literal["global", "local", "final"]

DEFAULT_LOWPASS = 60.0
"""Å, of a reference from elsewhere: coarse enough that what two halves share later comes from their images."""


@dataclass(frozen=True)
class Settings:
    """What the user decides. Lengths in Å, angles in degrees.

    Parameters
    ----------
    box, pixel_size_angstrom : of the maps
    particle_diameter : of the soft sphere outside which a reference is zero
    group : (G, 3, 3) point group
    mask : (n, n, n) in [0, 1], used instead of the sphere
    healpix_order : of the first global search; step 60°/2^order
    offset_range : largest shift tried in the first search; offset_sigma : initial width of its prior
    sigma_rotation : width of the prior around the given poses; finite: searches are local from the start
    sigma_tilt : width of the prior on the tilt around rlnAngleTiltPrior (pre-oriented particles)
    initial_lowpass : Å, of the reference; None: 60 Å for a given one, and what the halves' FSC allows for their own
    tau2_fudge : T; max_iterations : gives up after so many
    relion4_likelihood : weigh pseudo-subtomograms in the expectation by W/M (eq 7 as printed)
    """

    box: int
    pixel_size_angstrom: float
    particle_diameter: float
    group: NDArray[np.float64]
    mask: NDArray[np.float32]
    healpix_order: int = 2
    offset_range: float = 40.0
    offset_sigma: float = 10.0
    sigma_rotation: float = math.inf
    sigma_tilt: float = math.inf
    initial_lowpass: float | None = None
    tau2_fudge: float = 1.0
    max_iterations: int = 30
    relion4_likelihood: bool = False

    @property
    def largest_radius(self) -> int:
        """Finest Fourier radius the box can hold without self-conjugate samples."""
        return self.box // 2 - 1

    def shell(self, resolution_angstrom: float) -> int:
        """Nearest shell of a resolution."""
        return round(self.box * self.pixel_size_angstrom / resolution_angstrom)


@dataclass(frozen=True)
class Record:
    """One line of the history of a refinement."""

    iteration: int
    phase: Phase
    resolution_angstrom: float
    radius: int
    angular_step: float
    shift_step_angstrom: float
    rotation_change: float
    shift_change_angstrom: float
    moved: float
    sigma_rotation: float
    sigma_shift_angstrom: float
    best_probability: float
    offset_sigma: float
    log_evidence: float


@dataclass(frozen=True)
class State:
    """All that one iteration hands to the next.

    Parameters
    ----------
    half_maps : unregularised maps of the two halves; references : the same filtered, not yet masked
    fold_references : per half and fold, what the next expectation compares the fold's particles with: the map of the half's other
        folds, so that no particle is compared with its own noise
    rotation, centre_angstrom : (P, 3, 3) and (P, 3) in the tomogram, of all particles of the data set
    sigma2 : per (tilt series, half) the noise spectrum (F, R+1); gain : likewise how strong the signal is, (particles, F)
    radius : Fourier radius of the next expectation; angular_step, shift_step_angstrom : its finest spacings
    fsc : curves of this iteration's half maps, None before the first
    estimates : of this iteration, None before the first; used : (P,) which particles took part
    """

    iteration: int
    phase: Phase
    half_maps: tuple[Tensor, Tensor]
    references: tuple[Tensor, Tensor]
    fold_references: FoldMaps
    rotation: Tensor
    centre_angstrom: Tensor
    sigma2: NoiseSpectra
    gain: Mapping[tuple[int, int], Tensor]
    offset_sigma: float
    radius: int
    angular_step: float
    shift_step_angstrom: float
    fsc: FscCurves | None = None
    estimates: PoseEstimates | None = None
    history: tuple[Record, ...] = field(default=())
    converged: bool = False


def _growth(settings: Settings) -> int:
    """Shells beyond the resolution that the next iteration compares, so that it can get better."""
    return 3 + settings.box // 16


def initial_state(
    particles: Particles, parts: list[Portion], gather: Gather, settings: Settings, references: tuple[Tensor, Tensor] | None
) -> State:
    """Noise from the images themselves; references as given, or reconstructed by each half from its own given poses.

    Parameters
    ----------
    references : (n, n, n) of the two halves (one map may serve both), on any grey scale, or None
    """
    rotation = torch.from_numpy(particles.rotation)
    centre = torch.from_numpy(particles.centre_angstrom)
    sigma2 = signal_free_noise(parts, gather)
    if references is None:
        maps, filtered, by_fold, shell = _from_poses(parts, gather, settings, sigma2, rotation, centre)
    else:
        maps, (filtered, shell) = references, _low_passed(references, settings)
        by_fold = (filtered[:1] * _folds(parts), filtered[1:] * _folds(parts))
    step = 60 / 2 ** (settings.healpix_order + 2)
    state = State(
        iteration=0,
        phase="local" if math.isfinite(settings.sigma_rotation) else "global",
        half_maps=maps,
        references=filtered,
        fold_references=by_fold,
        rotation=rotation,
        centre_angstrom=centre,
        sigma2=sigma2,
        gain={key: torch.ones(len(members), len(sigma2[key])) for key, members in _groups(parts).items()},
        offset_sigma=settings.offset_sigma,
        radius=min(settings.largest_radius, shell + _growth(settings)),
        angular_step=min(step, settings.sigma_rotation / 2),
        shift_step_angstrom=min(settings.pixel_size_angstrom / 2, settings.offset_range / 4),
    )
    return state if references is None else _on_image_scale(particles, parts, gather, settings, state)


def _low_passed(maps: tuple[Tensor, Tensor], settings: Settings) -> tuple[tuple[Tensor, Tensor], int]:
    """Two maps without what is finer than the initial low-pass, and its shell."""
    resolution = settings.initial_lowpass or DEFAULT_LOWPASS
    first, second = (torch.from_numpy(low_pass(one.numpy(), settings.pixel_size_angstrom, resolution)) for one in maps)
    return (first, second), settings.shell(resolution)


def _folds(parts: list[Portion]) -> int:
    return 1 + max(part.fold for part in parts)


def _groups(parts: list[Portion]) -> dict[tuple[int, int], NDArray[np.int64]]:
    """Sorted particles of each (tilt series, half)."""
    keys = sorted({(part.tilt_series, part.half) for part in parts})
    return {key: np.sort(np.concatenate([p.particles for p in parts if (p.tilt_series, p.half) == key])) for key in keys}


def _from_poses(
    parts: list[Portion], gather: Gather, settings: Settings, sigma2: NoiseSpectra, rotation: Tensor, centre: Tensor
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor], FoldMaps, int]:
    """Each half's own map at the given poses, as it is and filtered, the same without each fold, and the shell to which that is good."""
    group = torch.from_numpy(settings.group)
    sums: tuple[list[Sums], list[Sums]] = ([], [])
    for fold in range(_folds(parts)):
        some = [part for part in parts if part.fold == fold]
        both = reconstruct_halves(some, gather, sigma2, rotation, centre, box=settings.box, radius=settings.largest_radius, group=group)
        for half in (0, 1):
            sums[half].append(both[half])
    maps, filtered, by_fold, curves = _regularised(sums, settings)
    shell = max(last_shell_above(curves.corrected), 4)
    if settings.initial_lowpass is not None:
        filtered, shell = _low_passed(maps, settings)
        by_fold = (
            tuple(_low_passed((one, one), settings)[0][0] for one in by_fold[0]),
            tuple(_low_passed((one, one), settings)[0][0] for one in by_fold[1]),
        )
    return maps, filtered, by_fold, shell


def _regularised(
    sums: tuple[list[Sums], list[Sums]], settings: Settings
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor], FoldMaps, FscCurves]:
    """From the sums of every fold: unregularised half maps, the maps their FSC makes of them (eq 13), those without each fold, the FSC."""
    totals = (_total(sums[0]), _total(sums[1]))
    halves = (solve(totals[0], None), solve(totals[1], None))
    curves = masked_fsc(
        halves[0].numpy(), halves[1].numpy(), settings.pixel_size_angstrom, settings.mask, symmetry_order=len(settings.group)
    )
    trusted = torch.from_numpy(np.where(np.arange(len(curves.corrected)) <= totals[0].radius, curves.corrected, 0))
    ssnr = ssnr_from_fsc(trusted, settings.tau2_fudge)
    references = (solve(totals[0], ssnr), solve(totals[1], ssnr))
    if len(sums[0]) == 1:
        return halves, references, (references[:1], references[1:]), curves
    without = [tuple(solve(total - fold, ssnr) for fold in folds) for total, folds in zip(totals, sums, strict=True)]
    return halves, references, (without[0], without[1]), curves


def _total(sums: list[Sums]) -> Sums:
    total = sums[0]
    for one in sums[1:]:
        total = total + one
    return total


def _on_image_scale(particles: Particles, parts: list[Portion], gather: Gather, settings: Settings, state: State) -> State:
    """Bring a reference of unknown grey scale to that of the images, each half by its own images (a few of them)."""
    plan, grid = _plan(state, settings)
    sparse = None if grid is None else grid[:: max(1, len(grid) // 400)]
    scaled = []
    for half, reference in zip((1, 2), state.references, strict=True):
        volume = from_map(reference * torch.from_numpy(settings.mask), state.radius)
        part = max((p for p in parts if p.half == half), key=lambda p: len(p.particles))
        some = replace(part, particles=part.particles[:8])
        statistics = gather(some)
        prior = _prior(particles, some, settings, state)
        rows = torch.from_numpy(some.particles)
        weight = precision(statistics, state.sigma2[part.tilt_series, half])
        scale = fit_scale(statistics, weight, volume, prior, plan, state.rotation[rows], state.centre_angstrom[rows], sparse)
        scaled.append(reference * scale)
    return replace(state, references=(scaled[0], scaled[1]), fold_references=((scaled[0],) * _folds(parts), (scaled[1],) * _folds(parts)))


def _prior(particles: Particles, part: Portion, settings: Settings, state: State) -> PosePrior:
    rows = part.particles
    return PosePrior(
        rotation=torch.from_numpy(particles.rotation[rows]),
        sigma_rotation=settings.sigma_rotation,
        subtomogram=torch.from_numpy(particles.rotation_subtomogram[rows]),
        tilt=torch.from_numpy(particles.tilt_prior_degrees[rows]),
        sigma_tilt=settings.sigma_tilt,
        centre_angstrom=torch.from_numpy(particles.position_angstrom[rows]),
        sigma_shift_angstrom=state.offset_sigma,
    )


REACH = 2.3
"""How far a settled local search goes, in steps of its first level: 57 lattice points."""


def _plan(state: State, settings: Settings) -> tuple[Plan, Tensor | None]:
    """Poses that the next expectation tries."""
    pixel, diameter = settings.pixel_size_angstrom, settings.particle_diameter / settings.pixel_size_angstrom
    shift_px = state.shift_step_angstrom / pixel
    if state.phase == "global":
        grid = orientations(settings.healpix_order, settings.group)
        range_px = (settings.offset_range if state.iteration == 0 else min(settings.offset_range, 3 * state.offset_sigma)) / pixel
        return global_plan(settings.healpix_order, state.angular_step, range_px, shift_px, diameter, settings.box, state.radius), grid
    if state.iteration == 0:
        width = settings.sigma_rotation
        range_px = settings.offset_range / pixel
        return local_plan(width, state.angular_step, 2.5 * width, max(2.0, range_px / 3), shift_px, range_px, state.radius), None
    coarse, coarse_px = 2 * state.angular_step, 2 * shift_px
    return local_plan(coarse, state.angular_step, REACH * coarse, coarse_px, shift_px, REACH * coarse_px, state.radius), None


def refine(particles: Particles, parts: list[Portion], gather: Gather, start: State, settings: Settings) -> Iterator[State]:
    """Iterate until nothing improves; each state can be saved and passed as ``start`` to go on from there."""
    state = start
    while not state.converged and state.iteration < settings.max_iterations:
        state = iterate(particles, parts, gather, state, settings)
        yield state


def iterate(particles: Particles, parts: list[Portion], gather: Gather, state: State, settings: Settings) -> State:
    """One expectation and one maximisation of both halves."""
    plan, grid = _plan(state, settings)
    reach = settings.largest_radius if state.phase == "final" else state.radius
    found = _empty_estimates(len(particles), state.rotation.clone(), state.centre_angstrom.clone())
    groups = _groups(parts)
    noise: dict[tuple[int, int], NoiseSums] = {}
    gains = {key: GainSums(*torch.zeros(2, len(members), len(state.sigma2[key]), dtype=torch.float64)) for key, members in groups.items()}
    sums: tuple[list[Sums], list[Sums]] = ([], [])
    for half in (1, 2):
        for fold, reference in enumerate(state.fold_references[half - 1]):
            volume = from_map(reference * torch.from_numpy(settings.mask), state.radius)
            accumulator = Accumulator(settings.box, reach)
            for part in (p for p in parts if (p.half, p.fold) == (half, fold)):
                key, rows = (part.tilt_series, half), torch.from_numpy(part.particles)
                slot = torch.from_numpy(np.searchsorted(groups[key], part.particles))
                gain = state.gain[key][slot]
                statistics = gather(part).with_gain(gain)
                estimates, residual, strength = expect(
                    statistics,
                    precision(statistics, state.sigma2[key]),
                    volume,
                    _prior(particles, part, settings, state),
                    plan,
                    state.rotation[rows],
                    state.centre_angstrom[rows],
                    accumulator,
                    grid,
                    settings.relion4_likelihood,
                )
                noise[key] = noise[key] + residual if key in noise else residual
                plain = strength.without(gain)
                gains[key].agreement[slot], gains[key].power[slot] = plain.agreement, plain.power
                for name, values in vars(estimates).items():
                    getattr(found, name)[rows] = values
            sums[half - 1].append(symmetrised(accumulator.sums(), torch.from_numpy(settings.group)))
    return _next_state(state, settings, sums, found, noise, gains, np.concatenate([part.particles for part in parts]))


def _empty_estimates(count: int, rotation: Tensor, centre: Tensor) -> PoseEstimates:
    blank = [torch.zeros(count, dtype=torch.float64) for _ in range(6)]
    return PoseEstimates(rotation.clone(), centre.clone(), *blank)


def _next_state(
    state: State,
    settings: Settings,
    sums: tuple[list[Sums], list[Sums]],
    found: PoseEstimates,
    noise: Mapping[tuple[int, int], NoiseSums],
    gains: Mapping[tuple[int, int], GainSums],
    used: NDArray[np.int64],
) -> State:
    """Maps, FSC, noise, and how the next iteration searches."""
    halves, references, by_fold, curves = _regularised(sums, settings)
    rows = torch.from_numpy(used)
    record = _record(state, settings, curves, found, rows)
    history = (*state.history, record)
    phase, converged = _next_phase(state, settings, history)
    shell = last_shell_above(curves.corrected)
    return State(
        iteration=record.iteration,
        phase=phase,
        half_maps=halves,
        references=references,
        fold_references=by_fold,
        rotation=found.rotation,
        centre_angstrom=found.centre_angstrom,
        sigma2={key: _merged_spectrum(state.sigma2[key], value) for key, value in noise.items()},
        gain=_next_gain(gains),
        offset_sigma=max(1.5, math.sqrt(float(found.spread_angstrom2[rows].mean()) / 3)),
        radius=min(settings.largest_radius, max(shell, 4) + _growth(settings)),
        angular_step=_next_step(state.angular_step, record.sigma_rotation),
        shift_step_angstrom=_next_step(state.shift_step_angstrom, record.sigma_shift_angstrom),
        fsc=curves,
        estimates=found,
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


def _next_step(step: float, sigma: float) -> float:
    """Spacing of the next search: 1.8 posterior standard deviations, at which a sum over a lattice is as good as the integral.

    A width measured on a lattice much coarser than itself comes out too small, so the spacing shrinks by a factor of 4 at most.
    """
    return min(step, max(1.8 * sigma, step / 4))


def _merged_spectrum(before: Tensor, sums: NoiseSums) -> Tensor:
    """The new spectrum where this iteration looked, the old one beyond."""
    new = spectrum(sums)
    after = before.clone()
    shells = int((sums.weight.sum(0) > 0).nonzero().max()) if bool((sums.power.sum(0) > 0).any()) else 0
    compared = int((sums.power.sum(0) > 0).nonzero().max()) if shells else 0
    after[:, : compared + 1] = new[:, : compared + 1]
    return after


def _record(state: State, settings: Settings, curves: FscCurves, found: PoseEstimates, rows: Tensor) -> Record:
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


def _next_phase(state: State, settings: Settings, history: tuple[Record, ...]) -> tuple[Phase, bool]:
    """Global until the orientations have settled, local until neither resolution nor poses improve, then once more to Nyquist."""
    now = history[-1]
    if now.phase == "final":
        return "final", True
    best_before = min((r.resolution_angstrom for r in history[:-1]), default=math.inf)
    gained = now.resolution_angstrom < 0.999 * best_before
    if now.iteration >= settings.max_iterations - 1:
        return "final", False
    if now.phase == "global":
        settled = now.moved <= 0.02 or (not gained and len(history) > 2 and now.moved >= history[-2].moved)
        return ("local", False) if len(history) > 1 and settled else ("global", False)
    local = [r for r in history if r.phase == "local"]
    still = now.rotation_change < 0.5 * now.sigma_rotation and now.shift_change_angstrom < 0.5 * now.sigma_shift_angstrom
    if len(local) > 2 and not gained and (still or not any(_better(a, b) for a, b in zip(history[-3:], history[-2:], strict=False))):
        return "final", False
    return "local", False


def _better(before: Record, after: Record) -> bool:
    return after.resolution_angstrom < 0.999 * before.resolution_angstrom or after.rotation_change < 0.8 * before.rotation_change

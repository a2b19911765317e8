"""What a refinement is told, what it has reached, and the history of how it got there."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.imaging.gathering import Portion
from tomobayes.inference.expectation import PoseEstimates
from tomobayes.inference.reconstruction import NoiseSpectra
from tomobayes.maps.fsc import FscCurves

__all__ = ["FoldMaps", "Phase", "Record", "Settings", "State", "members_of"]

FoldMaps = tuple[tuple[Tensor, ...], tuple[Tensor, ...]]
Phase = Literal["global", "local", "final"]


@dataclass(frozen=True)
class Settings:
    """What the user decides. Lengths in Å, angles in degrees.

    Parameters
    ----------
    box, pixel_size_angstrom : of the maps
    particle_diameter : of the soft sphere outside which a reference is zero
    group : (G, 3, 3) point group of the maps
    relaxed_group : (K, 3, 3) larger one that the particle nearly has: local searches try these mates of a pose, too; None: as the maps
    mask : (n, n, n) in [0, 1], used instead of the sphere
    healpix_order : of the first global search; step 60°/2^order
    auto_local_healpix_order : searches are local from the iteration on that asks for a step of 60°/2^order; None: once poses settle
    offset_range : largest shift tried in the first search; offset_sigma : initial width of its prior
    offset_step : spacing of the shifts of the first search, which is halved once; None: as fine as a pixel at most
    sigma_rotation : width of the prior around the given poses; finite: searches are local from the start
    sigma_tilt : width of the prior on the tilt around rlnAngleTiltPrior (pre-oriented particles)
    sigma_psi, sigma_rot : the same on psi around rlnAnglePsiPrior and on rot around rlnAngleRotPrior
    initial_lowpass : Å, of the reference; None: 60 Å for a given one, and what the halves' FSC allows for their own
    join_resolution : Å; below it both halves are compared with one reference; None: nowhere
    tau2_fudge : T; max_iterations : gives up after so many
    relion4_likelihood : weigh pseudo-subtomograms in the expectation by W/M (eq 7 as printed)
    """

    box: int
    pixel_size_angstrom: float
    particle_diameter: float
    group: NDArray[np.float64]
    mask: NDArray[np.float32]
    healpix_order: int = 2
    auto_local_healpix_order: int | None = None
    offset_range: float = 40.0
    offset_step: float | None = None
    offset_sigma: float = 10.0
    sigma_rotation: float = math.inf
    sigma_tilt: float = math.inf
    sigma_psi: float = math.inf
    sigma_rot: float = math.inf
    initial_lowpass: float | None = None
    join_resolution: float | None = None
    tau2_fudge: float = 1.0
    max_iterations: int = 30
    relion4_likelihood: bool = False
    relaxed_group: NDArray[np.float64] | None = None

    @property
    def mates(self) -> NDArray[np.float64]:
        """(K, 3, 3) rotations g of the reference: of a pose A it is not known beforehand which A·g it is."""
        return self.group if self.relaxed_group is None else self.relaxed_group

    @property
    def first_shift_step(self) -> float:
        """Å, finest spacing of the shifts of the first search."""
        return self.offset_step / 2 if self.offset_step else min(self.pixel_size_angstrom / 2, self.offset_range / 4)

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
    discarded: float
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
    merged : the filtered map of all images, which no particle is compared with
    rotation, centre_angstrom : (P, 3, 3) and (P, 3) in the tomogram, of all particles of the data set
    sigma2 : per (tilt series, half) the noise spectrum (F, R+1); gain : likewise how strong the signal is, (particles, F);
        falloff : likewise how fast it falls with frequency, (F,)
    members : likewise the rows of the data set that ``gain`` tells of, ascending
    radius : Fourier radius of the next expectation; angular_step, shift_step_angstrom : its finest spacings
    fsc : curves of this iteration's half maps, None before the first
    estimates : of this iteration, None before the first
    set_aside : tilt series whose images could not be worked on, and why; their particles keep the poses they were given
    """

    iteration: int
    phase: Phase
    half_maps: tuple[Tensor, Tensor]
    references: tuple[Tensor, Tensor]
    fold_references: FoldMaps
    merged: Tensor
    rotation: Tensor
    centre_angstrom: Tensor
    sigma2: NoiseSpectra
    gain: Mapping[tuple[int, int], Tensor]
    falloff: Mapping[tuple[int, int], Tensor]
    members: Mapping[tuple[int, int], NDArray[np.int64]]
    offset_sigma: float
    radius: int
    angular_step: float
    shift_step_angstrom: float
    fsc: FscCurves | None = None
    estimates: PoseEstimates | None = None
    history: tuple[Record, ...] = field(default=())
    converged: bool = False
    set_aside: Mapping[int, str] = field(default_factory=dict)

    def slots(self, part: Portion) -> Tensor:
        """Rows of a portion's particles in ``gain``."""
        return torch.from_numpy(np.searchsorted(self.members[part.tilt_series, part.half], part.particles))

    def remaining(self, parts: Sequence[Portion]) -> list[Portion]:
        """The portions that still take part."""
        return [part for part in parts if part.tilt_series not in self.set_aside]


def members_of(parts: Sequence[Portion]) -> dict[tuple[int, int], NDArray[np.int64]]:
    """Sorted particles of each (tilt series, half): the rows of ``State.gain``."""
    keys = sorted({(part.tilt_series, part.half) for part in parts})
    return {key: np.sort(np.concatenate([p.particles for p in parts if (p.tilt_series, p.half) == key])) for key in keys}

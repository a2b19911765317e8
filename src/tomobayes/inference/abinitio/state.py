"""What a search for first maps is told, what it has reached, and the history of how it got there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.fourier.volume import Sums
from tomobayes.imaging.gathering import Portion
from tomobayes.inference.expectation import PoseEstimates
from tomobayes.inference.reconstruction import NoiseSpectra
from tomobayes.inference.state import Settings
from tomobayes.maps.axes import Axes

__all__ = ["AbInitioRecord", "AbInitioSettings", "AbInitioState", "HalfClassSums", "Kept", "Stage"]

HalfClassSums = Mapping[tuple[int, int], Sums]
"""(half, class) -> Σb and Σw; the halves share their references."""
Stage = Literal["start", "judge", "all", "symmetric", "last"]


@dataclass(frozen=True)
class AbInitioSettings:
    """What the user decides.

    Parameters
    ----------
    images : box, diameter, mask, priors, offsets and T, as of a refinement; its group is imposed on starts from their
        beginning but for the last of several, on which it is once its axes are found
    n_classes : K; seed : of everything that is left to chance
    starts : independent first maps, of which the one that best explains images it is not made of is gone on from
    batches : (P,) batch of each particle of the data set, -1 where it takes no part
    held_out : (P,) which particles no start is made of, so that they can judge all
    start_steps, all_steps, symmetric_steps : steps of each start, with all batches, and under the symmetry
    first_radius, finest_radius : Fourier pixels that the first step of a start and the last ones compare
    """

    images: Settings
    n_classes: int
    seed: int
    starts: int
    batches: NDArray[np.int64]
    held_out: NDArray[np.bool_]
    start_steps: int
    all_steps: int
    symmetric_steps: int
    first_radius: int
    finest_radius: int

    @property
    def n_batches(self) -> int:
        """How many batches there are."""
        return int(self.batches.max()) + 1

    @property
    def is_symmetric(self) -> bool:
        """Whether there are axes to find."""
        return len(self.images.group) > 1

    def begins_symmetric(self, start: int) -> bool:
        """Whether a start, counted from 1, is made with the symmetry: where only fine detail tells the sides of a particle apart, a map
        that is made without never shows it. The last of several starts is, so that images may deny what the user believes."""
        return self.is_symmetric and (self.starts == 1 or start < self.starts)

    @property
    def steps_of_start(self) -> int:
        """Steps of a start, with the one that judges it; a single start needs no judgement."""
        return self.start_steps + (self.starts > 1)

    @property
    def max_iterations(self) -> int:
        """Steps in all."""
        return self.starts * self.steps_of_start + self.all_steps + (self.symmetric_steps if self.is_symmetric else 0) + 1


@dataclass(frozen=True)
class AbInitioRecord:
    """One line of the history.

    Parameters
    ----------
    start : number of the start, from 1; log_evidence : nats per particle of this step, relative to an empty map
    change_degrees : median turn of the step's particles since they were last looked at
    occupancy : of each class; resolution_angstrom : where the two halves' maps of it, which share their references, cease to agree
    """

    iteration: int
    stage: Stage
    start: int
    particles: int
    radius: int
    log_evidence: float
    change_degrees: float
    best_probability: float
    occupancy: tuple[float, ...]
    resolution_angstrom: tuple[float, ...]


@dataclass(frozen=True)
class Kept:
    """The best start so far: as of ``AbInitioState``, and its log evidence per particle of images that it was not made of."""

    references: tuple[Tensor, ...]
    sums: HalfClassSums
    occupancy: Tensor
    symmetric: bool
    log_evidence: float


@dataclass(frozen=True)
class AbInitioState:
    """All that one step hands to the next.

    Parameters
    ----------
    references : (n, n, n) of each class; sums : what they are made of, running means over steps, scaled to all particles
    occupancy : (K,)
    rotation, centre_angstrom : (P, 3, 3) and (P, 3) in the tomogram, of all particles of the data set
    posterior : (P, K) of the classes
    sigma2 : per (tilt series, half) the noise spectrum (F, R+1)
    symmetric : whether the maps are
    trials : log evidence of each start that was judged, nats per particle; kept : the best of them
    axes : of the map of each class, once found in maps that were made without the symmetry
    estimates : of the poses of all particles, after the last step
    """

    iteration: int
    references: tuple[Tensor, ...]
    sums: HalfClassSums
    occupancy: Tensor
    rotation: Tensor
    centre_angstrom: Tensor
    posterior: Tensor
    sigma2: NoiseSpectra
    offset_sigma: float
    symmetric: bool = False
    trials: tuple[float, ...] = ()
    kept: Kept | None = None
    axes: tuple[Axes, ...] = ()
    estimates: PoseEstimates | None = None
    history: tuple[AbInitioRecord, ...] = field(default=())
    converged: bool = False
    set_aside: Mapping[int, str] = field(default_factory=dict)

    def images(self, settings: AbInitioSettings) -> Settings:
        """Settings of the images as they are now: without the symmetry where maps are made without."""
        return settings.images if self.symmetric else replace(settings.images, group=settings.images.group[:1])

    def remaining(self, parts: Sequence[Portion]) -> list[Portion]:
        """The portions that still take part."""
        return [part for part in parts if part.tilt_series not in self.set_aside]

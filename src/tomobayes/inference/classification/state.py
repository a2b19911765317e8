"""What a classification is told, what it has reached, and the history of how it got there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.imaging.gathering import Portion
from tomobayes.inference.expectation import PoseEstimates
from tomobayes.inference.reconstruction import NoiseSpectra
from tomobayes.inference.state import Phase, Settings
from tomobayes.maps.fsc import FscCurves

__all__ = ["ClassMaps", "ClassRecord", "ClassSettings", "ClassStart", "ClassState", "Climb", "PoseSearch", "Trials"]


@dataclass(frozen=True)
class ClassSettings:
    """What the user decides.

    Parameters
    ----------
    images : box, diameter, solvent mask, symmetry, T and the most iterations, as of a refinement
    n_classes : K
    focus : (n, n, n) in [0, 1], where maps of classes may differ; beyond it all classes share one map
    finest_radius : Fourier pixels beyond which images are not compared; None for as fine as the maps are
    searches : whether poses are unknown, too, and summed over as in a refinement; else they are those given
    alignment : (n, n, n) in [0, 1], the part of the common map that poses are found with; None: of every class all that is in the mask
    """

    images: Settings
    n_classes: int
    focus: NDArray[np.float32]
    finest_radius: int | None = None
    searches: bool = False
    alignment: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class PoseSearch:
    """How the next expectation searches poses, fields as of a refinement's ``State``.

    Parameters
    ----------
    iteration : searches before; moved : share of the particles that turned far in the last
    """

    iteration: int
    phase: Phase
    angular_step: float
    shift_step_angstrom: float
    offset_sigma: float
    radius: int
    moved: float = 1.0


@dataclass(frozen=True)
class Climb:
    """How one iteration of stochastic hill climbing goes.

    Parameters
    ----------
    temperature : probability with which a worse candidate is accepted while looking for a better one
    share : of the particles that look around; the others stay as they are
    seed, iteration : of everything random
    """

    temperature: float
    share: float
    seed: int
    iteration: int


@dataclass(frozen=True)
class ClassMaps:
    """What a maximisation makes.

    Parameters
    ----------
    references : per half and fold what its particles are compared with, (n, n, n) each: the K maps of all other particles, so that none
        is compared with its own noise, and after them the one map of all classes together
    maps : per class, of all its particles, filtered, and expected where the particle is; half_maps : per class, unfiltered
    fsc : of the half-maps of each class; consensus_fsc : of all classes together
    difference_fsc : per class, of what distinguishes it from the map of all classes, (n//2+1,), inside the focus
    """

    references: tuple[tuple[tuple[Tensor, ...], ...], tuple[tuple[Tensor, ...], ...]]
    maps: tuple[Tensor, ...]
    half_maps: tuple[tuple[Tensor, Tensor], ...]
    fsc: tuple[FscCurves, ...]
    consensus_fsc: FscCurves
    difference_fsc: tuple[NDArray[np.float64], ...]


@dataclass(frozen=True)
class ClassRecord:
    """One line of the history of a classification.

    Parameters
    ----------
    log_evidence : nats, of all images; gain : by how much several maps explain them better than one, none made of these particles
    occupancy, resolution_angstrom : of each class
    changed : share of the particles whose likeliest class is another than before; certainty : mean probability of the likeliest
    search : how poses are searched after this iteration; None where they are given
    """

    iteration: int
    log_evidence: float
    gain: float
    occupancy: tuple[float, ...]
    resolution_angstrom: tuple[float, ...]
    changed: float
    certainty: float
    radius: int
    search: PoseSearch | None = None


@dataclass(frozen=True)
class ClassStart:
    """How the first classes were found.

    Parameters
    ----------
    kind : "subspace", "random" or "climb"
    gain : of a subspace, nats by which its first 0, 1 … r components explain images that they were not made of; of several runs, of each
        the nats by which its maps explain images that they were not made of
    standard_error : of the gains of a subspace
    rank : components that are worth having; 0: particles do not differ as far as can be told
    """

    kind: str
    gain: tuple[float, ...]
    standard_error: tuple[float, ...] = ()
    rank: int = 0


@dataclass(frozen=True)
class Trials:
    """Several runs from random labels, one of which will be gone on from.

    Parameters
    ----------
    origin : one map of all particles, where each run begins
    steps : that the present run has made
    labels : of each run that is over, the likeliest class of every particle, (P,); gains : of each, as of ``ClassStart``
    best : the last state of the best of those; None before one is over
    """

    origin: ClassState
    steps: int = 0
    labels: tuple[Tensor, ...] = ()
    gains: tuple[float, ...] = ()
    best: ClassState | None = None


@dataclass(frozen=True)
class ClassState:
    """All that one iteration hands to the next.

    Parameters
    ----------
    posterior : (P, K) float64, of every particle of the data set; zero where it takes no part
    occupancy : (K,) share of the particles that each class is believed to have
    maps : None before the first maximisation, which takes ``posterior`` as it is
    gain_nats : (P,) log of how much likelier several maps make the images of each particle than one
    search : how poses are searched; None: they are given
    climb : how the next expectation chooses one class and pose for each particle; None: it weighs all
    estimates : of the poses, under each particle's likeliest class; None before the first search
    consistency : (P,) share of several runs in which a particle is in the class that most of them put it; None where there was one
    trials : the runs among which the first classes are looked for; None when they are found
    rotation, centre_angstrom, sigma2, gain, falloff, members, radius, set_aside : as of a refinement's ``State``
    """

    iteration: int
    posterior: Tensor
    occupancy: Tensor
    maps: ClassMaps | None
    gain_nats: Tensor
    rotation: Tensor
    centre_angstrom: Tensor
    sigma2: NoiseSpectra
    gain: Mapping[tuple[int, int], Tensor]
    falloff: Mapping[tuple[int, int], Tensor]
    members: Mapping[tuple[int, int], NDArray[np.int64]]
    radius: int
    start: ClassStart | None = None
    history: tuple[ClassRecord, ...] = field(default=())
    converged: bool = False
    set_aside: Mapping[int, str] = field(default_factory=dict)
    search: PoseSearch | None = None
    climb: Climb | None = None
    estimates: PoseEstimates | None = None
    consistency: Tensor | None = None
    trials: Trials | None = None

    def slots(self, part: Portion) -> Tensor:
        """Rows of a portion's particles in ``gain``."""
        return torch.from_numpy(np.searchsorted(self.members[part.tilt_series, part.half], part.particles))

    def remaining(self, parts: Sequence[Portion]) -> list[Portion]:
        """The portions that still take part."""
        return [part for part in parts if part.tilt_series not in self.set_aside]

    @property
    def n_classes(self) -> int:
        """K."""
        return self.posterior.shape[1]

    @property
    def rows(self) -> Tensor:
        """Rows of the data set that take part, ascending."""
        return torch.from_numpy(np.sort(np.concatenate(list(self.members.values()))))

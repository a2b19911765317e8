"""How pixels reach the mathematics: protocols only, so that no mathematics ever opens a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Images", "ParticleStacks", "PseudoSubtomogram", "PseudoSubtomograms"]

Float32 = NDArray[np.float32]


class Images(Protocol):
    """The tilt images of one tilt series, as recorded (dark particles on bright ground)."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(tilts, height, width) in pixels."""

    @property
    def pixel_size_angstrom(self) -> float:
        """Edge of one pixel in Å."""

    def read(self, tilt: int) -> NDArray[np.generic]:
        """One image (height, width), in the stored data type; may be a view of a memory map."""


class ParticleStacks(Protocol):
    """Stored 2D stacks of particles: CTF- and dose-premultiplied images, bright particles (RELION-5 ``--stack2d``)."""

    @property
    def box(self) -> int:
        """Edge of the square images in (binned) pixels."""

    @property
    def pixel_size_angstrom(self) -> float:
        """Edge of one (binned) pixel in Å."""

    @property
    def premultiplied(self) -> bool:
        """Whether the images are already multiplied by CTF and dose weight."""

    def read(self, particle: int) -> Float32:
        """(visible tilts, box, box): the visible tilts of one particle, in tilt-series row order."""


@dataclass(frozen=True)
class PseudoSubtomogram:
    """D, W and M of one particle (eqs 8-10) in RELION's layout.

    Parameters
    ----------
    data : (n, n, n) float32, real space, particle at voxel n//2, bright density (eq 8)
    weight : (n, n, n//2+1) float32, sum of CTF² (eq 9), FFT layout with the origin in the corner
    multiplicity : (n, n, n//2+1) float32, how often each voxel was observed (eq 10), same layout
    """

    data: Float32
    weight: Float32
    multiplicity: Float32


class PseudoSubtomograms(Protocol):
    """Stored 3D pseudo-subtomograms, one per particle."""

    @property
    def box(self) -> int:
        """Edge of the cubes in (binned) voxels."""

    @property
    def pixel_size_angstrom(self) -> float:
        """Edge of one (binned) voxel in Å."""

    def read(self, particle: int) -> PseudoSubtomogram:
        """D, W and M of one particle."""

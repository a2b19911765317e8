"""What scatters: atoms and beads as points with a shape, each shape a sum of Gaussians above the solvent it displaces."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

__all__ = ["Scatterers", "Shape", "as_beads", "atomic_shape", "atoms", "beads", "centred"]

WATER_MOLECULES_PER_CUBIC_ANGSTROM = 0.0314
"""Vitreous ice at 0.94 g/cm³."""

DISPLACED_VOLUME = {"H": 5.15, "C": 16.44, "N": 2.49, "O": 9.13, "P": 5.73, "S": 19.86, "Mg": 17.16, "Zn": 9.85}
"""Å³ of solvent that an atom in a macromolecule displaces (Fraser, MacRae & Suzuki 1978; P, Mg, Zn: Svergun et al. 1995)."""


@dataclass(frozen=True)
class Shape:
    """Scattering amplitude of one kind of point, f(k) = Σ amplitude·exp(-B k²/4), in Å."""

    amplitude_angstrom: tuple[float, ...]
    b_factor_angstrom2: tuple[float, ...]

    @property
    def total_angstrom(self) -> float:
        """f(0)."""
        return sum(self.amplitude_angstrom)

    def at(self, frequency_squared: NDArray[np.float32]) -> NDArray[np.float32]:
        """F(k) at k² in 1/Å², any array shape."""
        value = np.zeros_like(frequency_squared)
        for amplitude, b_factor in zip(self.amplitude_angstrom, self.b_factor_angstrom2, strict=True):
            value += np.float32(amplitude) * np.exp(np.float32(-0.25 * b_factor) * frequency_squared)
        return value


@dataclass(frozen=True)
class Scatterers:
    """N points.

    Parameters
    ----------
    position_angstrom : (N, 3) in (x, y, z) order
    kind : (N,) index into shapes
    weight : (N,) factor of the shape (occupancy of an atom, contrast of a bead)
    """

    position_angstrom: NDArray[np.float64]
    kind: NDArray[np.int64]
    weight: NDArray[np.float64]
    shapes: tuple[Shape, ...]

    @property
    def contrast_angstrom(self) -> NDArray[np.float64]:
        """(N,) f(0) of every point: what it adds to the sum of the density."""
        totals: NDArray[np.float64] = np.array([shape.total_angstrom for shape in self.shapes])
        return self.weight * totals[self.kind]

    @property
    def radius_angstrom(self) -> float:
        """Largest distance of a point from the origin."""
        return float(np.linalg.norm(self.position_angstrom, axis=1).max())


def atomic_shape(element: str) -> Shape:
    """Electron scattering of an atom in ice: five Gaussians (Peng et al. 1996, International Tables C 4.3.2.2) less the water displaced.

    The water is a Gaussian ρ·exp(-πr²/v^⅔) of the atom's volume v, so neighbouring atoms together displace a
    smooth body of solvent and hydrogens, which most models lack, are implied by the volumes of the atoms that carry them.
    """
    import gemmi

    def peng(name: str) -> tuple[list[float], list[float]]:
        coefficients = gemmi.Element(name).c4322.get_coefs()
        half = len(coefficients) // 2
        return coefficients[:half], coefficients[half:]

    amplitude, width = peng(element)
    water = (2 * sum(peng("H")[0]) + sum(peng("O")[0])) * WATER_MOLECULES_PER_CUBIC_ANGSTROM
    volume = DISPLACED_VOLUME.get(element) or 4 / 3 * math.pi * gemmi.Element(element).vdw_r ** 3
    return Shape((*amplitude, -water * volume), (*width, 4 * math.pi * volume ** (2 / 3)))


def atoms(position_angstrom: NDArray[np.float64], elements: Sequence[str], occupancy: NDArray[np.float64]) -> Scatterers:
    """Atoms at (N, 3) Å with their element symbols and occupancies."""
    names, kind = np.unique(np.asarray(elements), return_inverse=True)
    return Scatterers(position_angstrom, kind.astype(np.int64), occupancy, tuple(atomic_shape(str(name)) for name in names))


def beads(
    position_angstrom: NDArray[np.float64], contrast_angstrom: NDArray[np.float64], sigma_angstrom: NDArray[np.float64]
) -> Scatterers:
    """Gaussian beads: (N, 3) Å, summed contrast f(0) in Å and rms radius per axis in Å of each."""
    sigmas, kind = np.unique(sigma_angstrom, return_inverse=True)
    shapes = tuple(Shape((1.0,), (8 * math.pi**2 * float(sigma) ** 2,)) for sigma in sigmas)
    return Scatterers(position_angstrom, kind.astype(np.int64), contrast_angstrom, shapes)


def centred(scatterers: Scatterers) -> Scatterers:
    """The same points with the centre of their contrast at the origin."""
    contrast = scatterers.contrast_angstrom
    centre = (contrast[:, None] * scatterers.position_angstrom).sum(0) / contrast.sum()
    return replace(scatterers, position_angstrom=scatterers.position_angstrom - centre)


def as_beads(scatterers: Scatterers, group: NDArray[np.int64]) -> Scatterers:
    """One Gaussian bead per group of points, with the group's contrast, centre and second moment (so the same f(k) up to k²).

    Parameters
    ----------
    group : (N,) number of the group of each point
    """
    _, group = np.unique(group, return_inverse=True)
    n = int(group.max()) + 1

    def summed(values: NDArray[np.float64]) -> NDArray[np.float64]:
        total: NDArray[np.float64] = np.bincount(group, weights=values, minlength=n).astype(np.float64)
        return total

    contrast = summed(scatterers.contrast_angstrom)
    centre = np.stack([summed(scatterers.contrast_angstrom * x) for x in scatterers.position_angstrom.T], axis=1) / contrast[:, None]
    squared = np.square(scatterers.position_angstrom - centre[group]).sum(1)
    width = np.array([np.dot(shape.amplitude_angstrom, shape.b_factor_angstrom2) for shape in scatterers.shapes])
    inside = summed(scatterers.weight * width[scatterers.kind]) / (8 * math.pi**2)
    variance = (inside + summed(scatterers.contrast_angstrom * squared) / 3) / contrast
    # The displaced solvent can make a group sharper than a point at low resolution; a bead is at least 0.5 Å wide.
    sigma = np.sqrt(np.maximum(variance, 0.25))
    return beads(centre, contrast, np.round(2 * sigma) / 2)

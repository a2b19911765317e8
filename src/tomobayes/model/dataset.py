"""The metadata of an experiment: tilt series, optics, particles, motion. Plain frozen data, no behaviour but derived quantities.

Frames: *tomogram* (Å from the tomogram's centre), *image* (projected), *subtomogram* (the frame a particle was
extracted in), *reference* (the map's own). Rotations are 3x3 matrices acting on column vectors in (x, y, z) order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.model.deformation import Deformation
from tomobayes.model.images import Images, ParticleStacks, PseudoSubtomograms
from tomobayes.model.maps import Map

__all__ = ["Columns", "Dataset", "Optics", "Particles", "Reference", "Subtraction", "TiltSeries"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Columns = Mapping[str, NDArray[np.str_]]
"""Columns of a STAR table as they were read, label -> text of each row. Kept so that nothing a user had is lost
on writing; where a typed field and its text disagree, the typed field is the truth."""


@dataclass(frozen=True)
class Optics:
    """One optics group: what all images taken under the same microscope settings share.

    Parameters
    ----------
    even_zernike, odd_zernike : coefficients of the symmetric and antisymmetric aberrations (optics.aberrations)
    magnification : M (2, 2), anisotropic magnification: what an image shows at frequency k is the specimen at M·k (rlnMagMat)
    """

    name: str
    voltage_kv: float
    spherical_aberration_mm: float
    amplitude_contrast: float
    even_zernike: tuple[float, ...] = ()
    odd_zernike: tuple[float, ...] = ()
    magnification: tuple[tuple[float, float], tuple[float, float]] = ((1.0, 0.0), (0.0, 1.0))
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TiltSeries:
    """Geometry, dose and optics of one tilt series; F tilts in the row order of its STAR file (not dose order).

    Parameters
    ----------
    name : unique name (rlnTomoName)
    pixel_size_angstrom : edge of an unbinned tilt-image pixel
    hand : +1 or -1, sign of the change of defocus with projected z (rlnTomoHand)
    tomogram_size : (x, y, z) in unbinned pixels
    image_size : (width, height) of the tilt images in pixels, or None where no tilt images are at hand
    rotation : (F, 3, 3) tomogram -> image, Rz(ZRot)·Ry(YTilt)·Rx(XTilt)
    shift_angstrom : (F, 2) image shift after rotation
    dose : (F,) e/Å² received before each tilt
    defocus_u_angstrom, defocus_v_angstrom : (F,) at the tomogram's centre, underfocus positive
    astigmatism_radians : (F,) direction of defocus_u, counter-clockwise from the image's x
    phase_shift_radians : (F,) phase plate
    scale : (F,) amplitude factor of the signal (rlnCtfScalefactor)
    b_factor : (F,) Å², amplitude factor exp(-B k²/4)
    b_factor_per_dose : Å² per e/Å²; 0 means the critical-dose model
    defocus_slope : factor of the depth in the defocus (rlnTomoDefocusSlope)
    optics_name : name of the optics group
    deformation : how the images are deformed after projection, or None
    images : the tilt images, or None
    columns : per-tilt columns as read; globals_ : this series' row of the tomogram table as read
    """

    name: str
    pixel_size_angstrom: float
    hand: float
    tomogram_size: tuple[int, int, int]
    image_size: tuple[int, int] | None
    rotation: Float
    shift_angstrom: Float
    dose: Float
    defocus_u_angstrom: Float
    defocus_v_angstrom: Float
    astigmatism_radians: Float
    phase_shift_radians: Float
    scale: Float
    b_factor: Float
    optics_name: str
    b_factor_per_dose: float = 0.0
    defocus_slope: float = 1.0
    deformation: Deformation | None = None
    images: Images | None = None
    columns: Columns = field(default_factory=dict)
    globals_: Mapping[str, str] = field(default_factory=dict)

    @property
    def n_tilts(self) -> int:
        """Number of tilts F."""
        return len(self.dose)


@dataclass(frozen=True)
class Particles:
    """P particles in the row order of their STAR file.

    Parameters
    ----------
    name : (P,) unique names (rlnTomoParticleName)
    tilt_series : (P,) index into Dataset.tilt_series
    optics : (P,) index into Dataset.optics
    position_angstrom : (P, 3) extraction point, tomogram frame, Å from the tomogram's centre
    rotation_subtomogram : (P, 3, 3) subtomogram -> tomogram (A_sub)
    rotation_particle : (P, 3, 3) reference -> subtomogram (A_part)
    origin_angstrom : (P, 3) offset in the subtomogram frame, subtracted (rlnOrigin)
    half : (P,) 1 or 2, 0 where not assigned (rlnRandomSubset)
    class_number : (P,) 1-based, 0 where none
    tilt_prior_degrees : (P,) prior centre of the angle between the particle's and the subtomogram's z axis; NaN = none
    rot_prior_degrees : (P,) prior centre of rot, how far the particle is turned about its own z axis; NaN = none
    psi_prior_degrees : (P,) prior centre of psi, which with the tilt says where in the subtomogram that axis points; NaN = none
    subtracted_rotation, subtracted_centre_angstrom : (P, 3, 3) and (P, 3), the pose (as ``rotation`` and ``centre_angstrom``) at which
        Dataset.subtraction sees each particle, whatever its pose is now; None where nothing is subtracted
    stacks, subtomograms : stored images of the particles, at most one of the two
    visible : per particle, (F,) bool, which tilts a stored stack holds; None without stored stacks
    columns : columns as read
    """

    name: NDArray[np.str_]
    tilt_series: Int
    optics: Int
    position_angstrom: Float
    rotation_subtomogram: Float
    rotation_particle: Float
    origin_angstrom: Float
    half: Int
    class_number: Int
    tilt_prior_degrees: Float
    psi_prior_degrees: Float
    rot_prior_degrees: Float
    subtracted_rotation: Float | None = None
    subtracted_centre_angstrom: Float | None = None
    stacks: ParticleStacks | None = None
    subtomograms: PseudoSubtomograms | None = None
    visible: tuple[NDArray[np.bool_], ...] | None = None
    columns: Columns = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.name)

    @property
    def rotation(self) -> Float:
        """(P, 3, 3) reference -> tomogram, A = A_sub·A_part."""
        return self.rotation_subtomogram @ self.rotation_particle

    @property
    def centre_angstrom(self) -> Float:
        """(P, 3) where the particle's centre is, tomogram frame: extraction point minus A_sub·origin."""
        centre: Float = self.position_angstrom - np.einsum("pij,pj->pi", self.rotation_subtomogram, self.origin_angstrom)
        return centre


@dataclass(frozen=True)
class Reference:
    """Members of an optimisation set that describe maps rather than images (paths, not pixels)."""

    half1: Path | None = None
    half2: Path | None = None
    mask: Path | None = None
    fsc: Path | None = None


@dataclass(frozen=True, eq=False)
class Subtraction:
    """Signal that does not belong to what is looked at, taken off every particle's images as they are read.

    ``maps`` are of half-sets 1 and 2, so that a particle meets the map of its own; those without a half-set meet the first.
    """

    maps: tuple[Map, Map]


@dataclass(frozen=True)
class Dataset:
    """Everything known of an experiment but the maps that are to be found.

    ``motion_angstrom`` holds per particle the (F, 3) displacement in the tomogram frame, added to the position
    (motion.star), or is None where no motion was estimated.
    """

    tilt_series: tuple[TiltSeries, ...]
    optics: tuple[Optics, ...]
    particles: Particles
    motion_angstrom: tuple[Float, ...] | None = None
    reference: Reference = field(default_factory=Reference)
    subtraction: Subtraction | None = None

    def with_particles(self, particles: Particles) -> Dataset:
        """The same experiment with other particle parameters."""
        return replace(self, particles=particles)

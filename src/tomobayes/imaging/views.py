"""What the geometry and optics say of each (particle, tilt) pair: rotation, position, defocus, dose, visibility."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.geometry.deformation import deformed
from tomobayes.geometry.projection import depth_angstrom, is_visible, project
from tomobayes.model import Dataset, Optics
from tomobayes.optics import ctf_phase, envelope, odd_phase, phase_coefficients, phase_terms

__all__ = [
    "Views",
    "coarsest_pixel",
    "elongation",
    "odd_phase_factor",
    "one_tilt",
    "slice_rotation",
    "specimen_frequency",
    "transfer",
    "transfer_by_particle",
    "views_of",
]


@dataclass(frozen=True)
class Views:
    """P particles of one tilt series seen in its F tilts. Float64; every field may carry gradients.

    Parameters
    ----------
    rotation : (F, 3, 3) tomogram -> image
    centre_px : (P, F, 2) projected centre in unbinned pixels, or None where there are no tilt images
    defocus_u_angstrom, defocus_v_angstrom : (P, F) with the particle's depth
    astigmatism_radians, phase_shift_radians, scale, b_factor, dose : (F,)
    visible : (P, F) bool
    magnification : (2, 2) of the optics group
    """

    rotation: Tensor
    centre_px: Tensor | None
    defocus_u_angstrom: Tensor
    defocus_v_angstrom: Tensor
    astigmatism_radians: Tensor
    phase_shift_radians: Tensor
    scale: Tensor
    b_factor: Tensor
    dose: Tensor
    visible: Tensor
    optics: Optics
    b_factor_per_dose: float
    pixel_size_angstrom: float
    magnification: Tensor


def views_of(
    dataset: Dataset,
    particles: NDArray[np.int64],
    *,
    half_width_px: float = 0.0,
    max_dose: float | None = None,
) -> Views:
    """Views of particles that share a tilt series and an optics group.

    Parameters
    ----------
    particles : (P,) row numbers into dataset.particles
    half_width_px : half the box in unbinned pixels; a box that leaves the image is not visible
    max_dose : e/Å²; tilts with more pre-exposure are left out
    """
    table = dataset.particles
    series = dataset.tilt_series[int(table.tilt_series[particles[0]])]
    centre = torch.from_numpy(table.centre_angstrom[particles])
    rotation = torch.tensor(series.rotation)
    depth = series.hand * series.defocus_slope * depth_angstrom(centre, rotation)
    position, visible = None, torch.ones(len(particles), series.n_tilts, dtype=torch.bool)
    if series.image_size is not None:
        moved = centre[:, None].expand(-1, series.n_tilts, -1)
        if dataset.motion_angstrom is not None:
            moved = moved + torch.from_numpy(np.stack([dataset.motion_angstrom[p] for p in particles]))
        position = project(
            moved, rotation, torch.tensor(series.shift_angstrom), series.pixel_size_angstrom, series.tomogram_size, series.image_size
        )
        if series.deformation is not None:
            position = deformed(position, series.deformation, series.image_size)
        visible = is_visible(position, series.image_size, half_width_px)
    if table.visible is not None:
        visible = torch.from_numpy(np.stack([table.visible[p] for p in particles]))
    if max_dose is not None:
        visible = visible & (torch.tensor(series.dose) <= max_dose)
    optics = dataset.optics[int(table.optics[particles[0]])]
    return Views(
        rotation=rotation,
        centre_px=position,
        defocus_u_angstrom=torch.tensor(series.defocus_u_angstrom) + depth,
        defocus_v_angstrom=torch.tensor(series.defocus_v_angstrom) + depth,
        astigmatism_radians=torch.tensor(series.astigmatism_radians),
        phase_shift_radians=torch.tensor(series.phase_shift_radians),
        scale=torch.tensor(series.scale),
        b_factor=torch.tensor(series.b_factor),
        dose=torch.tensor(series.dose),
        visible=visible,
        optics=optics,
        b_factor_per_dose=series.b_factor_per_dose,
        pixel_size_angstrom=series.pixel_size_angstrom,
        magnification=torch.tensor(optics.magnification, dtype=torch.float64),
    )


def one_tilt(views: Views, tilt: int) -> Views:
    """The same particles in a single tilt, so that memory does not grow with the number of tilts."""
    one = slice(tilt, tilt + 1)
    return replace(
        views,
        rotation=views.rotation[one],
        centre_px=None if views.centre_px is None else views.centre_px[:, one],
        defocus_u_angstrom=views.defocus_u_angstrom[:, one],
        defocus_v_angstrom=views.defocus_v_angstrom[:, one],
        astigmatism_radians=views.astigmatism_radians[one],
        phase_shift_radians=views.phase_shift_radians[one],
        scale=views.scale[one],
        b_factor=views.b_factor[one],
        dose=views.dose[one],
        visible=views.visible[:, one],
    )


def specimen_frequency(views: Views, frequency: Tensor) -> Tensor:
    """M·k: which frequency of the specimen an image shows at k, (..., 2) in any unit; positions of particles are not magnified."""
    return frequency @ views.magnification.to(frequency).T


def slice_rotation(views: Views) -> Tensor:
    """(F, 3, 3) B_f = diag(Mᵀ, 1)·R_f, the rotation with the magnification: image frequency j shows V((B_f A)ᵀ(j, 0))."""
    return torch.cat([views.magnification.mT @ views.rotation[:, :2], views.rotation[:, 2:]], 1)


def elongation(views: Views) -> float:
    """By what factor magnification lengthens a frequency at most, >= 1."""
    return max(1.0, float(torch.linalg.matrix_norm(views.magnification.detach(), 2)))


def transfer(views: Views, tilt: int, frequency: Tensor) -> Tensor:
    """CTF·d·a of one tilt: everything real that multiplies the signal.

    Parameters
    ----------
    frequency : (J, 2) in 1/Å

    Returns
    -------
    (P, J), of the frequency's data type; the odd aberrations' phase is separate (odd_phase_factor)
    """
    cast, seen = frequency.dtype, specimen_frequency(views, frequency)
    phase = ctf_phase(
        seen,
        views.optics,
        views.defocus_u_angstrom[:, tilt].to(cast),
        views.defocus_v_angstrom[:, tilt].to(cast),
        views.astigmatism_radians[tilt].to(cast),
        views.phase_shift_radians[tilt].to(cast),
    )
    return torch.sin(phase) * _envelope(views, slice(tilt, tilt + 1), seen)


def transfer_by_particle(views: Views, frequency: Tensor) -> Callable[[int, Tensor], Tensor]:
    """A function that gives the `transfer` of one particle in some tilts, (V,) -> (V, J); what particles share is computed once."""
    coefficients = phase_coefficients(
        views.defocus_u_angstrom, views.defocus_v_angstrom, views.astigmatism_radians, views.phase_shift_radians
    ).to(frequency)
    seen = specimen_frequency(views, frequency)
    terms, decay = phase_terms(seen, views.optics), _envelope(views, slice(None), seen)

    def of(particle: int, tilts: Tensor) -> Tensor:
        return torch.sin(coefficients[particle, tilts] @ terms).mul_(decay[tilts])

    return of


def _envelope(views: Views, tilts: slice, frequency: Tensor) -> Tensor:
    """a·d(k)·exp(-B k²/4) of some tilts at frequencies of the specimen, (F, J)."""
    dose, b_factor, scale = (value[tilts].to(frequency) for value in (views.dose, views.b_factor, views.scale))
    return envelope(frequency.square().sum(-1), dose, b_factor, views.b_factor_per_dose, scale)


def odd_phase_factor(views: Views, frequency: Tensor) -> Tensor:
    """exp(iρ) of the antisymmetric aberrations, (J, 2) in 1/Å -> (J,) complex."""
    phase = odd_phase(views.optics.odd_zernike, specimen_frequency(views, frequency))
    return torch.polar(torch.ones_like(phase), phase)


def coarsest_pixel(dataset: Dataset) -> float:
    """Å, pixel size of the coarsest tilt images that particles are in: no map of them all has more detail."""
    used: list[int] = np.flatnonzero(np.bincount(dataset.particles.tilt_series)).tolist()
    return max(dataset.tilt_series[index].pixel_size_angstrom for index in used)

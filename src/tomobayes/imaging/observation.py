"""Sufficient statistics of particles: what all their images say about (map, pose), on a shared list of Fourier samples.

    log P(X | A, T) = Σ_q { Re[conj(b_q)·exp(-2πi q·T)·V(Aᵀq)] - ½·w_q·|V(Aᵀq)|² } + const,   b = D/σ², w = W/σ²

with D = CTF·d·a·X and W = (CTF·d·a)². The list q is {R_fᵀ(j, 0)} in the tomogram's frame for tilt images and stored
stacks, and the voxels of a cube in the subtomogram's frame for pseudo-subtomograms; nothing after this module knows which.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.fourier.grids import half_plane, half_space, shells
from tomobayes.fourier.volume import gridding_correction
from tomobayes.imaging.crops import Crop, circle_fade, crop_boxes, half_plane_frequency, soften_circle, transform_boxes
from tomobayes.imaging.views import Views, odd_phase_factor, transfer, views_of
from tomobayes.model import Dataset

__all__ = ["Statistics", "from_stacks", "from_subtomograms", "from_tilt_images", "modulate"]


@dataclass(frozen=True)
class Statistics:
    """D and W of P particles on Q samples, before division by the noise variance.

    Samples are ordered by radius and, within one frequency, by tilt: q = frequency·F + tilt. A prefix is a lower resolution.

    Parameters
    ----------
    particles : (P,) rows of the dataset
    samples : (J, 2 or 3) int64 Fourier pixels of the box
    points : (J·F, 3) float32, the samples in the frame shared by the particles (F = 1 for pseudo-subtomograms)
    data : (P, J·F) complex64, D; weight : (P, J·F) float32, W
    frame : (P, 3, 3) float64, shared frame -> tomogram (identity for tilt images)
    anchor_angstrom : (P, 3) float64, tomogram position of the box's centre
    box, pixel_size_angstrom : of the (binned) box
    retained : share of the noise power that a circular window left in D, 1 without one; the signal lies inside and is whole
    multiplicity : (P, J) float32 M of pseudo-subtomograms, how often each voxel was observed; None for images
    """

    particles: NDArray[np.int64]
    samples: Tensor
    points: Tensor
    data: Tensor
    weight: Tensor
    frame: Tensor
    anchor_angstrom: Tensor
    box: int
    pixel_size_angstrom: float
    retained: float
    multiplicity: Tensor | None = None

    @property
    def n_tilts(self) -> int:
        """Images that share one list of 2D frequencies; 1 for pseudo-subtomograms."""
        return len(self.points) // len(self.samples)

    @property
    def shell(self) -> Tensor:
        """(J,) nearest-integer radius of the samples."""
        return shells(self.samples)

    def with_gain(self, gain: Tensor) -> Statistics:
        """As if the signal were ``gain`` (P, F) times as strong as the metadata says: D scales with it, W with its square."""
        per_sample = gain.float().repeat(1, len(self.samples))
        return replace(self, data=self.data * per_sample, weight=self.weight * per_sample.square())

    def count(self, radius: int) -> int:
        """How many leading entries of a row of ``data`` lie inside ``radius`` Fourier pixels."""
        return int((self.samples.square().sum(-1) <= radius * radius).sum()) * self.n_tilts


def modulate(spectrum: Tensor, factor: Tensor, crop: Crop) -> tuple[Tensor, Tensor]:
    """Multiply by CTF·d·a in the large box, then crop in real space: delocalised signal comes home before the cut.

    Parameters
    ----------
    spectrum : (P, large, large//2+1) complex, particle at the origin
    factor : the same shape, real

    Returns
    -------
    D and W, (P, box, box//2+1). The kernel of W is weighted by how often each lag occurs inside the box, which is what the crop
    does to the variance of D's noise and, on average, to its signal: D ≈ W·V holds where the CTF oscillates faster than the
    small box can resolve.
    """
    data, weight = spectrum * factor, factor * factor
    if crop.box == crop.large:
        return data, weight
    half = crop.box // 2
    inside = torch.cat([torch.arange(crop.box - half), torch.arange(crop.large - half, crop.large)])
    often = 1 - torch.cat([torch.arange(crop.box - half), torch.arange(half, 0, -1)]) / crop.box
    size = (crop.large, crop.large)
    home = torch.fft.irfft2(data, s=size, norm="ortho")[:, inside][:, :, inside]
    kernel = torch.fft.irfft2(weight, s=size)[:, inside][:, :, inside] * (often[:, None] * often)
    return torch.fft.rfft2(home, norm="ortho"), torch.fft.rfft2(kernel).real.clamp_min(0)


def _tilt_points(samples: Tensor, rotation: Tensor) -> Tensor:
    """R_fᵀ(j, 0) for all samples and tilts, (J·F, 3) float32."""
    return torch.einsum("fik,ji->jfk", rotation[:, :2], samples.double()).reshape(-1, 3).float()


def _from_views(
    dataset: Dataset,
    particles: NDArray[np.int64],
    views: Views,
    box: int,
    pixel_size_angstrom: float,
    radius: int,
    read_tilt: Callable[[int, NDArray[np.int64]], tuple[Tensor, Tensor]],
    anchor_angstrom: NDArray[np.float64],
    retained: float,
) -> Statistics:
    """Fill the lists tilt by tilt; ``read_tilt(tilt, seen)`` returns D and W (S, box, box//2+1) of the S particles seen there."""
    samples = half_plane(radius)
    column, row = samples[:, 0], samples[:, 1] % box
    n_tilts = len(views.rotation)
    data = torch.zeros((len(particles), len(samples), n_tilts), dtype=torch.complex64)
    weight = torch.zeros(data.shape, dtype=torch.float32)
    for tilt in range(n_tilts):
        if views.scale[tilt] == 0:
            continue
        seen = np.flatnonzero(views.visible[:, tilt].numpy())
        if len(seen):
            d, w = read_tilt(tilt, seen)
            data[seen, :, tilt] = d[:, row, column]
            weight[seen, :, tilt] = w[:, row, column]
    return Statistics(
        particles=particles,
        samples=samples,
        points=_tilt_points(samples, views.rotation),
        data=data.flatten(1),
        weight=weight.flatten(1),
        frame=torch.eye(3, dtype=torch.float64).expand(len(particles), 3, 3),
        anchor_angstrom=torch.from_numpy(anchor_angstrom),
        box=box,
        pixel_size_angstrom=pixel_size_angstrom,
        retained=retained,
    )


def _rows(views: Views, seen: NDArray[np.int64]) -> Views:
    return replace(views, defocus_u_angstrom=views.defocus_u_angstrom[seen], defocus_v_angstrom=views.defocus_v_angstrom[seen])


def from_tilt_images(dataset: Dataset, particles: NDArray[np.int64], crop: Crop, radius: int, max_dose: float | None = None) -> Statistics:
    """Statistics cut on the fly from the tilt images of one series.

    Parameters
    ----------
    particles : (P,) rows of one tilt series and optics group
    crop : edges of the boxes
    radius : finest sample in Fourier pixels of the box, < box/2
    max_dose : e/Å²; later tilts are left out
    """
    table = dataset.particles
    series = dataset.tilt_series[int(table.tilt_series[particles[0]])]
    images = series.images
    if images is None:
        raise ValueError(f"tilt series {series.name} has no tilt images")
    views = views_of(dataset, particles, half_width_px=0.5 * crop.box * crop.binning, max_dose=max_dose)
    assert views.centre_px is not None
    centre = views.centre_px
    frequency = half_plane_frequency(crop.large, series.pixel_size_angstrom * crop.binning)
    flat = frequency.reshape(-1, 2)
    aberration = odd_phase_factor(views.optics, flat).conj().reshape(frequency.shape[:2]) if views.optics.odd_zernike else None

    # With RELION's crop the border of the box is in the way and is faded; with a larger one it stays outside, and so would a circle's rim.
    fade = circle_fade(crop.raw) if crop.large == crop.box else None

    def read_tilt(tilt: int, seen: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        boxes, position = crop_boxes(images.read(tilt), centre[seen, tilt], crop.raw)
        spectrum = transform_boxes(boxes if fade is None else soften_circle(boxes, fade), position, crop)
        if aberration is not None:
            spectrum = spectrum * aberration
        factor = transfer(_rows(views, seen), tilt, flat).reshape(len(seen), *frequency.shape[:2])
        return modulate(spectrum, factor, crop)

    pixel = series.pixel_size_angstrom * crop.binning
    return _from_views(
        dataset,
        particles,
        views,
        crop.box,
        pixel,
        radius,
        read_tilt,
        table.centre_angstrom[particles],
        1.0 if fade is None else float(fade.square().mean()),
    )


def from_stacks(dataset: Dataset, particles: NDArray[np.int64], radius: int, max_dose: float | None = None) -> Statistics:
    """Statistics from stored 2D stacks (RELION-5 --stack2d) of one tilt series; odd aberrations were removed at extraction."""
    stacks = dataset.particles.stacks
    visible = dataset.particles.visible
    if stacks is None or visible is None:
        raise ValueError("the particles have no stored 2D stacks")
    box, pixel = stacks.box, stacks.pixel_size_angstrom
    views = views_of(dataset, particles, max_dose=max_dose)
    frequency = half_plane_frequency(box, pixel)
    centred = torch.polar(torch.ones(()), math.pi * 2 * (box // 2) / box * (frequency.sum(-1) * box * pixel))
    images = [torch.from_numpy(stacks.read(int(p))) for p in particles]
    fade = circle_fade(box)
    # RELION blanks stacks outside the inscribed circle unless told otherwise; exact zeros there in every image say that it did.
    blanked = all(bool((image[:, fade == 0] == 0).all()) for image in images)
    slot = [np.cumsum(visible[p]) - 1 for p in particles]

    def read_tilt(tilt: int, seen: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        spectrum = torch.fft.rfft2(torch.stack([images[i][slot[i][tilt]] for i in seen]), norm="ortho") * centred
        factor = transfer(_rows(views, seen), tilt, frequency.reshape(-1, 2)).reshape(len(seen), *frequency.shape[:2])
        return (spectrum if stacks.premultiplied else spectrum * factor), factor * factor

    retained = float(fade.square().mean()) if blanked else 1.0
    return _from_views(dataset, particles, views, box, pixel, radius, read_tilt, dataset.particles.position_angstrom[particles], retained)


def from_subtomograms(dataset: Dataset, particles: NDArray[np.int64], radius: int) -> Statistics:
    """Statistics from stored pseudo-subtomograms (eqs 8-10), each in its own subtomogram frame.

    D was splatted with a trilinear kernel; dividing by that kernel's transform in real space, inside the sphere where it is
    harmless, makes Σ conj(D)·V equal the sum over tilt images.
    """
    stored = dataset.particles.subtomograms
    if stored is None:
        raise ValueError("the particles have no stored pseudo-subtomograms")
    box = stored.box
    samples = half_space(radius)
    x, y, z = samples[:, 0], samples[:, 1] % box, samples[:, 2] % box
    axis = torch.arange(box) - box // 2
    ball = (axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2) < (box // 2) ** 2
    undo = torch.where(ball, 1 / gridding_correction(box, 1), 0)
    data = torch.empty((len(particles), len(samples)), dtype=torch.complex64)
    weight = torch.empty((len(particles), len(samples)), dtype=torch.float32)
    multiplicity = torch.empty_like(weight)
    for i, particle in enumerate(particles):
        one = stored.read(int(particle))
        spectrum = torch.fft.rfftn(torch.fft.ifftshift(torch.from_numpy(one.data) * undo), norm="ortho")
        observed = torch.from_numpy(one.multiplicity) > 0.01
        data[i] = torch.where(observed, spectrum, 0)[z, y, x]
        weight[i] = torch.where(observed, torch.from_numpy(one.weight), 0)[z, y, x]
        multiplicity[i] = torch.from_numpy(one.multiplicity)[z, y, x]
    table = dataset.particles
    return Statistics(
        particles=particles,
        samples=samples,
        points=samples.float(),
        data=data,
        weight=weight,
        frame=torch.from_numpy(table.rotation_subtomogram[particles]),
        anchor_angstrom=torch.from_numpy(table.position_angstrom[particles]),
        box=box,
        pixel_size_angstrom=stored.pixel_size_angstrom,
        retained=float(ball.float().mean()),
        multiplicity=multiplicity,
    )

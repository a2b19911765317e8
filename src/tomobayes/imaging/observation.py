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
from tomobayes.fourier.volume import gridding_correction, shell_mean
from tomobayes.imaging.crops import Crop, circle_fade, crop_boxes, half_plane_frequency, soften_circle, transform_boxes
from tomobayes.imaging.subtraction import subtracted_signal
from tomobayes.imaging.views import Views, elongation, odd_phase_factor, slice_rotation, transfer_by_particle, views_of
from tomobayes.model import Dataset

__all__ = ["Statistics", "from_stacks", "from_subtomograms", "from_tilt_images", "modulate", "windowed_variance"]


@dataclass(frozen=True)
class Statistics:
    """D and W of P particles on Q samples, before division by the noise variance.

    Samples are ordered by radius and, within one frequency, by tilt: q = frequency·F + tilt. A prefix is a lower resolution.

    Parameters
    ----------
    particles : (P,) rows of the dataset
    samples : (J, 2 or 3) int64 Fourier pixels of the box
    points : (J·F, 3) float32, where the samples are in the frame shared by the particles, in Fourier pixels of the map's box
        (F = 1 for pseudo-subtomograms)
    data : (P, J·F) complex64, D; weight : (P, J·F) float32, W
    frame : (P, 3, 3) float64, shared frame -> tomogram (identity for tilt images)
    anchor_angstrom : (P, 3) float64, tomogram position of the box's centre
    box, pixel_size_angstrom : of the map; boxes of images have the same number of pixels, of the same size or a little larger
    noise_share : (R+1, F) float64, variance of D's noise per shell and tilt, in units of 2·σ² times the mean W
    dose : (F,) float64, e/Å² before each tilt; 0 for pseudo-subtomograms
    multiplicity : (P, J) float32 M of pseudo-subtomograms, how often each voxel was observed; None for images
    elongation : by what factor points lie further out than their samples at most, where images are magnified
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
    noise_share: Tensor
    dose: Tensor
    multiplicity: Tensor | None = None
    elongation: float = 1.0

    @property
    def n_tilts(self) -> int:
        """Images that share one list of 2D frequencies; 1 for pseudo-subtomograms."""
        return len(self.points) // len(self.samples)

    @property
    def shell(self) -> Tensor:
        """(J,) nearest-integer radius of the samples."""
        return shells(self.samples)

    def with_gain(self, gain: Tensor, envelope: Tensor) -> Statistics:
        """As if the signal were ``gain`` (P, F) times ``envelope`` (J, F) as strong as told: D scales with it, W with its square."""
        per_sample = (gain[:, None] * envelope).float().flatten(1)
        return replace(self, data=self.data * per_sample, weight=self.weight * per_sample.square())

    def count(self, radius: int) -> int:
        """How many leading entries of a row of ``data`` lie inside ``radius`` Fourier pixels of the map."""
        return int((self.samples.square().sum(-1) <= (radius / self.elongation) ** 2).sum()) * self.n_tilts


def modulate(spectrum: Tensor, factor: Tensor, crop: Crop) -> tuple[Tensor, Tensor]:
    """Multiply by CTF·d·a in the large box, then crop in real space: delocalised signal comes home before the cut.

    Parameters
    ----------
    spectrum : (V, large, large//2+1) complex, particle at the origin
    factor : the same shape, real

    Returns
    -------
    D and W, (V, box, box//2+1) complex and real; after a crop W is right within a shell only, see `_whole_shells`
    """
    data = torch.view_as_complex(torch.view_as_real(spectrum) * factor[..., None])
    if crop.box == crop.large:
        return data, factor.square()
    return torch.fft.rfft2(crop.large * _cropped(data, crop), norm="ortho"), _smooth(_cropped(factor.square(), crop))


def _cropped(spectrum: Tensor, crop: Crop) -> Tensor:
    """(V, large, large//2+1) -> its real image near the origin, (V, box, box), origin in the corner."""
    rows = _near_origin(torch.fft.ifft(spectrum, dim=-2), -2, crop)
    return _near_origin(torch.fft.irfft(rows, n=crop.large), -1, crop)


def _near_origin(values: Tensor, axis: int, crop: Crop) -> Tensor:
    half = crop.box // 2
    return torch.cat([values.narrow(axis, 0, crop.box - half), values.narrow(axis, crop.large - half, half)], axis)


def _smooth(kernel: Tensor) -> Tensor:
    """W (V, box, box//2+1) of a cropped kernel (V, box, box): smooth within a shell, as noise makes it.

    Where the CTF crosses zero, a sharp W would be divided into noise that the crop has carried there.
    """
    lag = torch.fft.fftfreq(kernel.shape[-1]).abs()
    weight: Tensor = torch.fft.rfft2(kernel * ((1 - lag)[:, None] * (1 - lag))).real.clamp_min(0)
    return weight


def _whole_shells(total: Tensor, crop: Crop) -> Tensor:
    """By what a smooth W is to be multiplied so that the mean of a shell is right, too, (F, shells).

    W is a convolution. Of a particle that fills the middle of the box it moves nothing beyond the border, so in the mean of a
    shell the signal sees all lags up to half a box as they are.

    Parameters
    ----------
    total : (F, large, large//2+1) Σ (CTF·d·a)² of the particles
    """
    kernel = _cropped(total, crop)
    shell = (half_plane_frequency(crop.box, 1 / crop.box).norm(dim=-1)).round().long()
    both = zip(torch.fft.rfft2(kernel).real.clamp_min(0), _smooth(kernel), strict=True)
    return torch.stack([shell_mean(whole, shell) / shell_mean(smooth, shell).clamp_min(1e-30) for whole, smooth in both])


def windowed_variance(kernel: Tensor, window: Tensor) -> Tensor:
    """Variance of every Fourier component of stationary noise that was multiplied with a window.

    Noise is everywhere, so a lag counts as often as it occurs inside the window; those beyond half a box wrap around.

    Parameters
    ----------
    kernel : (P, N, ..., N) covariance of the noise, origin in the corner, periodic
    window : (n, ..., n), n <= N, in the same number d of dimensions

    Returns
    -------
    (P, n, ..., n//2+1) real, in units of the noise's power if the window is 1 everywhere
    """
    n, axes = window.shape[0], range(window.dim())
    often = torch.fft.irfftn(torch.fft.rfftn(window, s=[2 * n] * window.dim()).abs().square(), s=[2 * n] * window.dim()) / window.numel()
    lags = torch.cat([torch.arange(n), torch.arange(-n, 0)]) % kernel.shape[1]
    for axis in axes:
        kernel = kernel.index_select(1 + axis, lags)
    folded = (kernel * often).reshape(len(kernel), *[2, n] * window.dim()).sum([1 + 2 * axis for axis in axes])
    variance: Tensor = torch.fft.rfftn(folded, dim=[1 + axis for axis in axes]).real
    return variance


def _tilt_points(samples: Tensor, rotation: Tensor, stretch: float) -> Tensor:
    """R_fᵀ(j, 0) for all samples and tilts, (J·F, 3) float32, of images whose pixels are ``stretch`` times as large as the map's."""
    return torch.einsum("fik,ji->jfk", rotation[:, :2], samples.double() / stretch).reshape(-1, 3).float()


def _from_views(
    dataset: Dataset,
    particles: NDArray[np.int64],
    views: Views,
    crop: Crop,
    pixel_size_angstrom: float,
    stretch: float,
    radius: int,
    window: Tensor,
    read: Callable[[int, Tensor, Tensor], tuple[Tensor, Tensor]],
    anchor_angstrom: NDArray[np.float64],
) -> Statistics:
    """Fill the lists particle by particle.

    Parameters
    ----------
    pixel_size_angstrom, stretch : of the binned images; and how many of the map's that is
    window : what the images were multiplied with in real space
    read : (particle, tilts in which it is seen (V,), CTF·d·a (V, large, large//2+1)) -> D and W, (V, box, box//2+1)
    """
    samples = half_plane(radius)
    at = (samples[:, 1] % crop.box) * (crop.box // 2 + 1) + samples[:, 0]
    frequency = half_plane_frequency(crop.large, pixel_size_angstrom)
    shape = (-1, *frequency.shape[:2])
    transfer = transfer_by_particle(views, frequency.reshape(-1, 2))
    data = torch.zeros((len(particles), len(samples), len(views.rotation)), dtype=torch.complex64)
    weight = torch.zeros(data.shape, dtype=torch.float32)
    total = torch.zeros((len(views.rotation), *frequency.shape[:2]), dtype=torch.float32)
    for particle, visible in enumerate(views.visible & (views.scale != 0)):
        tilts = visible.nonzero()[:, 0]
        if len(tilts) == 0:
            continue
        factor = transfer(particle, tilts).reshape(shape)
        images, weights = read(particle, tilts, factor)
        _list(images, tilts, at, data[particle])
        _list(weights, tilts, at, weight[particle])
        total[tilts] += factor.square()
    if crop.box == crop.large:
        noise = total * window.square().mean()
    else:
        noise = windowed_variance(torch.fft.irfft2(total, s=(crop.large, crop.large)), window)
        weight *= _whole_shells(total, crop).T[shells(samples)]
    return Statistics(
        particles=particles,
        samples=samples,
        points=_tilt_points(samples, slice_rotation(views), stretch),
        data=data.flatten(1),
        weight=weight.flatten(1),
        frame=torch.eye(3, dtype=torch.float64).expand(len(particles), 3, 3),
        anchor_angstrom=torch.from_numpy(anchor_angstrom),
        box=crop.box,
        pixel_size_angstrom=pixel_size_angstrom / stretch,
        noise_share=_noise_share(samples, noise.flatten(1)[:, at].T.double(), weight.sum(0)),
        dose=views.dose.double(),
        elongation=elongation(views),
    )


def _list(planes: Tensor, tilts: Tensor, at: Tensor, out: Tensor) -> None:
    """Write the values at some places of images (V, n, n//2+1) to their columns of (J, F), zeros to the others."""
    every = planes.new_zeros((out.shape[1], planes[0].numel()))
    every[tilts] = planes.flatten(1)
    torch.index_select(every.T.contiguous(), 0, at, out=out)


def _noise_share(samples: Tensor, noise: Tensor, weight: Tensor) -> Tensor:
    """(R+1, F) ratio of the noise's variance to the weight, from (J, F) sums over particles; 1 where nothing was seen."""
    shell = shells(samples)
    total = torch.zeros(2, int(shell.max()) + 1, noise.shape[1], dtype=torch.float64)
    total.index_add_(1, shell, torch.stack([noise, weight.double()]))
    return torch.where(total[1] > 0, total[0] / total[1].clamp_min(1e-300), 1)


def from_tilt_images(
    dataset: Dataset,
    particles: NDArray[np.int64],
    crop: Crop,
    radius: int,
    max_dose: float | None = None,
    pixel_size_angstrom: float | None = None,
) -> Statistics:
    """Statistics cut on the fly from the tilt images of one series.

    Parameters
    ----------
    particles : (P,) rows of one tilt series and optics group
    crop : edges of the boxes
    radius : finest sample in Fourier pixels of the box, < box/2
    max_dose : e/Å²; later tilts are left out
    pixel_size_angstrom : of the map, at most that of the binned images; None: as theirs
    """
    table = dataset.particles
    series = dataset.tilt_series[int(table.tilt_series[particles[0]])]
    images = series.images
    if images is None:
        raise ValueError(f"tilt series {series.name} has no tilt images")
    pixel = series.pixel_size_angstrom * crop.binning
    views = views_of(dataset, particles, half_width_px=0.5 * crop.box * crop.binning, max_dose=max_dose)
    assert views.centre_px is not None
    centre, pictures = views.centre_px, [np.asarray(images.read(tilt)) for tilt in range(series.n_tilts)]
    aberration = odd_phase_factor(views, half_plane_frequency(crop.large, pixel)).conj() if views.optics.odd_zernike else None
    # With RELION's crop the border of the box is in the way and is faded; with a larger one it stays outside, and so would a circle's rim.
    equal = crop.large == crop.box
    window = circle_fade(crop.raw) if equal else torch.ones(crop.box, crop.box)

    subtracted = subtracted_signal(dataset, particles, views, crop)

    def read(particle: int, tilts: Tensor, factor: Tensor) -> tuple[Tensor, Tensor]:
        boxes, position = crop_boxes([pictures[tilt] for tilt in tilts.tolist()], centre[particle, tilts], crop.raw)
        spectrum = transform_boxes(soften_circle(boxes, window) if equal else boxes, position, crop)
        if aberration is not None:
            spectrum = spectrum * aberration
        if subtracted is not None:
            spectrum = spectrum - subtracted(particle, tilts)
        return modulate(spectrum, factor, crop)

    stretch = 1.0 if pixel_size_angstrom is None else pixel / pixel_size_angstrom
    return _from_views(dataset, particles, views, crop, pixel, stretch, radius, window, read, table.centre_angstrom[particles])


def from_stacks(dataset: Dataset, particles: NDArray[np.int64], radius: int, max_dose: float | None = None) -> Statistics:
    """Statistics from stored 2D stacks (RELION-5 --stack2d) of one tilt series; odd aberrations were removed at extraction."""
    stacks = dataset.particles.stacks
    visible = dataset.particles.visible
    if stacks is None or visible is None:
        raise ValueError("the particles have no stored 2D stacks")
    box, pixel = stacks.box, stacks.pixel_size_angstrom
    views = views_of(dataset, particles, max_dose=max_dose)
    crop = Crop(box, 2 * box, 2 * box)
    x, y = torch.arange(box // 2 + 1), torch.fft.fftfreq(box, 1 / box)[:, None]
    centred = torch.polar(torch.ones(()), 2 * math.pi * (box // 2) / box * (x + y))
    images = [torch.from_numpy(stacks.read(int(p))) for p in particles]
    slot = [torch.from_numpy(np.cumsum(visible[p]) - 1) for p in particles]
    fade = circle_fade(box)
    # RELION blanks stacks outside the inscribed circle unless told otherwise; exact zeros there in every image say that it did.
    blanked = all(bool((image[:, fade == 0] == 0).all()) for image in images)
    window = fade if blanked else torch.ones(box, box)

    def read(particle: int, tilts: Tensor, factor: Tensor) -> tuple[Tensor, Tensor]:
        spectrum = torch.fft.rfft2(images[particle][slot[particle][tilts]], norm="ortho") * centred
        data = spectrum if stacks.premultiplied else spectrum * factor[:, ::2, ::2]
        return data, _smooth(_cropped(factor.square(), crop))

    return _from_views(dataset, particles, views, crop, pixel, 1.0, radius, window, read, dataset.particles.position_angstrom[particles])


def from_subtomograms(dataset: Dataset, particles: NDArray[np.int64], radius: int) -> Statistics:
    """Statistics from stored pseudo-subtomograms (eqs 8-10), each in its own subtomogram frame.

    D was splatted with a trilinear kernel; dividing by that kernel's transform in real space, inside the sphere where it is
    harmless, makes Σ conj(D)·V equal the sum over tilt images. The images are taken to have been faded at the inscribed circle
    before, as RELION does unless told otherwise.
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
    total = torch.zeros(box, box, box // 2 + 1)
    for i, particle in enumerate(particles):
        one = stored.read(int(particle))
        spectrum = torch.fft.rfftn(torch.fft.ifftshift(torch.from_numpy(one.data) * undo), norm="ortho")
        observed = torch.from_numpy(one.multiplicity) > 0.01
        data[i] = torch.where(observed, spectrum, 0)[z, y, x]
        seen = torch.where(observed, torch.from_numpy(one.weight), 0)
        weight[i] = seen[z, y, x]
        total += seen
        multiplicity[i] = torch.from_numpy(one.multiplicity)[z, y, x]
    noise = windowed_variance(torch.fft.irfftn(total, s=(box,) * 3)[None], ball * circle_fade(box))[0]
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
        noise_share=_noise_share(samples, noise[z, y, x, None].double(), weight.sum(0)[:, None]),
        dose=torch.zeros(1, dtype=torch.float64),
        multiplicity=multiplicity,
    )

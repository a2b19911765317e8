"""How each particle's images differ from the map of all, gridded once in the reference's frame at low resolution.

At fixed poses the likelihood of a particle that differs by c·μ + δ from the common map μ is that of three small volumes and two numbers,

    log P(X | μ + c·μ + δ) = c·a - ½·c²·p + Σ_k { Re[conj(r_k - c·g_k)·δ_k] - ½·w_k·|δ_k|² } + const

over the voxels k of one half of a Fourier ball, with r what is left of b when w·μ is taken away, g what w·μ was, a = Re Σ conj(r)·μ and
p = Σ w·|μ|²: a pseudo-subtomogram turned into the reference's frame. All of it is exact but for w, which is taken as diagonal on the
box's own grid: good enough for a difference, and not for the common map. Methods that look at all particles again and again become
products of two matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.compute.device import CPU, best_device, moved
from tomobayes.compute.executors import Executor, InProcess
from tomobayes.fourier.grids import good_box, half_space, shells
from tomobayes.fourier.slices import Accumulator, extract_slices
from tomobayes.fourier.volume import PADDING, FourierVolume, from_map, normal_equations
from tomobayes.imaging.gathering import Portion
from tomobayes.imaging.noise import precision
from tomobayes.inference.classification.given_poses import Aligned, aligned
from tomobayes.inference.classification.state import ClassState
from tomobayes.inference.falloff import envelope
from tomobayes.inference.reconstruction import Gather

__all__ = ["Gridded", "grid_particles", "gridded_box", "masked"]

IN_PROCESS = InProcess()


@dataclass(frozen=True)
class Gridded:
    """What the images of P particles say on the V voxels ``samples`` of one half of a Fourier ball, all divided by the noise variance.

    Parameters
    ----------
    particles : (P,) rows of the data set
    data, common : (P, V) complex64, r and g; weight : (P, V) float32, w
    agreement, power : (P,) a and p
    box, radius : of the coarse grid; its Fourier pixels are those of the images' box
    """

    particles: NDArray[np.int64]
    data: Tensor
    common: Tensor
    weight: Tensor
    agreement: Tensor
    power: Tensor
    box: int
    radius: int

    @property
    def samples(self) -> Tensor:
        """(V, 3) int64 voxels (x, y, z)."""
        return half_space(self.radius)

    @property
    def shell(self) -> Tensor:
        """(V,) shell of each voxel."""
        return shells(self.samples)

    def together(self, other: Gridded) -> Gridded:
        """The particles of both."""
        data, common, weight, agreement, power = (
            torch.cat([mine, its]) for mine, its in zip(self._per_particle, other._per_particle, strict=True)
        )
        particles = np.concatenate([self.particles, other.particles])
        return Gridded(particles, data, common, weight, agreement, power, self.box, self.radius)

    @property
    def _per_particle(self) -> tuple[Tensor, ...]:
        return self.data, self.common, self.weight, self.agreement, self.power

    def chosen(self, rows: NDArray[np.int64]) -> Gridded:
        """Some of the particles, in the order given."""
        data, common, weight, agreement, power = (mine[torch.from_numpy(rows)] for mine in self._per_particle)
        return Gridded(self.particles[rows], data, common, weight, agreement, power, self.box, self.radius)


def gridded_box(radius: int) -> int:
    """Edge of the smallest box that holds a Fourier radius and is transformed fast."""
    return good_box(2 * radius + 2)


@dataclass(frozen=True)
class _Gridding:
    """What is left of a portion's images."""

    gather: Gather
    state: ClassState
    radius: int

    def __call__(self, part: Portion) -> Gridded:
        state, key, rows, place = self.state, (part.tilt_series, part.half), torch.from_numpy(part.particles), best_device()
        gain, falloff = state.gain[key][state.slots(part)], state.falloff[key]
        plain, gain, sigma2, rotation, centre = moved(
            (self.gather(part), gain, state.sigma2[key], state.rotation[rows], state.centre_angstrom[rows]), place
        )
        statistics = plain.with_gain(gain, envelope(plain.shell, falloff.to(place)))
        images = aligned(statistics, precision(statistics, sigma2), rotation, centre, self.radius)
        volumes = self._common_maps(part)
        rows_found = [self._one(images, row, volumes[fold]) for row, fold in enumerate(part.folds.tolist())]
        data, common, weight, agreement, power = (torch.stack(column) for column in zip(*rows_found, strict=True))
        return Gridded(part.particles, data, common, weight, agreement, power, gridded_box(self.radius), self.radius)

    def _common_maps(self, part: Portion) -> dict[int, FourierVolume]:
        """Of each fold, the map of all particles but its own."""
        assert self.state.maps is not None
        references = self.state.maps.references[part.half - 1]
        return {fold: from_map(references[fold][-1].to(best_device()), self.radius) for fold in dict.fromkeys(part.folds.tolist())}

    def _one(self, images: Aligned, row: int, volume: FourierVolume) -> tuple[Tensor, ...]:
        one = slice(row, row + 1)
        slices = extract_slices(volume, images.rotation[one], images.points)
        weight = images.weight[one] * images.precision
        explained = slices * weight
        left = images.data[one] * images.precision - explained
        data, density = self._on_voxels(images.rotation[one], images.points, left, weight)
        common, _ = self._on_voxels(images.rotation[one], images.points, explained, weight)
        agreement = (left.conj() * slices).real.sum().double().cpu()
        return data, common, density, agreement, (explained.conj() * slices).real.sum().double().cpu()

    def _on_voxels(self, rotation: Tensor, points: Tensor, values: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        box, samples = gridded_box(self.radius), half_space(self.radius)
        accumulator = Accumulator(box, self.radius, values.device)
        accumulator.insert(rotation, points, values, weight)
        spectrum, density = normal_equations(moved(accumulator.sums(), CPU))
        x, y, z = samples[:, 0], samples[:, 1] % box, samples[:, 2] % box
        # The oversampled grid has PADDING³ cells for each of the box's own.
        return PADDING**3 * spectrum[z, y, x], PADDING**3 * density[z, y, x]


def grid_particles(parts: Sequence[Portion], gather: Gather, state: ClassState, radius: int, executor: Executor = IN_PROCESS) -> Gridded:
    """What all particles, in ascending order, say up to a Fourier radius, with the poses, noise, gains and common map of a state."""
    found = executor.map_reduce(_Gridding(gather, state, radius), state.remaining(parts), Gridded.together).result
    if found is None:
        raise RuntimeError("no particle could be gridded")
    return found.chosen(np.argsort(found.particles))


def masked(values: Tensor, mask: Tensor, radius: int) -> Tensor:
    """Spectra (..., V) of real maps after multiplication with a mask (n, n, n) of the coarse grid."""
    box, samples = len(mask), half_space(radius)
    x, y, z = samples[:, 0], samples[:, 1], samples[:, 2]
    grid = values.new_zeros((*values.shape[:-1], box, box, box // 2 + 1))
    grid[..., z % box, y % box, x] = values
    plane = x == 0  # which holds its own mates
    grid[..., -z[plane] % box, -y[plane] % box, 0] = values[..., plane].conj()
    axes = (-3, -2, -1)
    real = torch.fft.irfftn(grid, s=(box,) * 3, dim=axes) * torch.fft.ifftshift(mask)
    found: Tensor = torch.fft.rfftn(real, dim=axes)[..., z % box, y % box, x]
    return found

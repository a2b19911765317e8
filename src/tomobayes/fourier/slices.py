"""One interface for slice extraction and insertion, differentiable: the backward of extraction is insertion.

Samples q are any points of 3D Fourier space, so tilt images (q = R_fᵀ(j, 0)) and pseudo-subtomograms (q = voxels) are
read and written by the same two functions. PyTorch's dispatcher takes arrays on the CPU to Numba and those on a CUDA device to Triton.
"""

from __future__ import annotations

from typing import Any

import numba
import torch
from torch import Tensor

from tomobayes.fourier import kernels, reference
from tomobayes.fourier.volume import PADDING, FourierVolume, Sums, half_extent

__all__ = ["Accumulator", "extract_slices", "with_friedel_mates"]


# Defined by hand: the first call of a `custom_op` imports PyTorch's compiler, and that alone takes more than a second.
torch.library.define("tomobayes::extract", "(Tensor volume, Tensor rotations, Tensor points) -> Tensor")
torch.library.define("tomobayes::insert", "(Tensor(a!) cells, Tensor values, Tensor weights, Tensor rotations, Tensor points) -> ()")


@torch.library.impl("tomobayes::extract", "cpu")
def _(volume: Tensor, rotations: Tensor, points: Tensor) -> Tensor:
    out = torch.empty((len(rotations), len(points)), dtype=volume.dtype)
    padding = rotations.numpy().dtype.type(PADDING)
    kernels.extract(volume.contiguous().numpy(), rotations.contiguous().numpy(), points.contiguous().numpy(), padding, out.numpy())
    return out


@torch.library.impl("tomobayes::extract", "cuda")
def _(volume: Tensor, rotations: Tensor, points: Tensor) -> Tensor:
    from tomobayes.fourier import triton_kernels  # Triton is there only where PyTorch has CUDA

    return triton_kernels.extract(volume, rotations, points, PADDING)


def _unfilled(volume: Tensor, rotations: Tensor, points: Tensor) -> Tensor:
    """An array of the shape and type that slices will have."""
    return volume.new_empty((len(rotations), len(points)))


torch.library.register_fake("tomobayes::extract", _unfilled)


def _insert(cells: Tensor, values: Tensor, weights: Tensor, rotations: Tensor, points: Tensor) -> None:
    """Add (O, Q) values and weights at Aᵀq to cells (T, 2c+1, 2c+1, c+1, 4) of (re, im, weight, unused), whose T parts belong together."""
    torch.ops.tomobayes.insert(cells, values, weights, rotations, points)


@torch.library.impl("tomobayes::insert", "cpu")
def _(cells: Tensor, values: Tensor, weights: Tensor, rotations: Tensor, points: Tensor) -> None:
    padding = rotations.numpy().dtype.type(PADDING)
    kernels.insert(
        cells.numpy(),
        values.contiguous().numpy(),
        weights.contiguous().numpy(),
        rotations.contiguous().numpy(),
        points.contiguous().numpy(),
        padding,
    )


@torch.library.impl("tomobayes::insert", "cuda")
def _(cells: Tensor, values: Tensor, weights: Tensor, rotations: Tensor, points: Tensor) -> None:
    from tomobayes.fourier import triton_kernels

    triton_kernels.insert(cells[0], values, weights, rotations, points, PADDING)


@torch.library.custom_op("tomobayes::rotation_gradient", mutates_args=(), device_types="cpu")
def _rotation_gradient(gradient: Tensor, volume: Tensor, rotations: Tensor, points: Tensor) -> Tensor:
    return reference.rotation_gradient(gradient, volume, rotations, points, PADDING)


@_rotation_gradient.register_kernel("cuda")
def _(gradient: Tensor, volume: Tensor, rotations: Tensor, points: Tensor) -> Tensor:
    from tomobayes.fourier import triton_kernels

    return triton_kernels.rotation_gradient(gradient, volume, rotations, points, PADDING)


def _volume_gradient(gradient: Tensor, rotations: Tensor, points: Tensor, shape: torch.Size) -> Tensor:
    cells = gradient.real.new_zeros((1, *shape, 4))
    _insert(cells, gradient.resolve_conj(), torch.zeros_like(gradient.real), rotations, points)
    return torch.view_as_complex(cells[0, ..., :2].contiguous())


def _keep(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
    volume, rotations, points = ctx.saved_tensors
    for_volume = _volume_gradient(gradient, rotations, points, volume.shape) if ctx.needs_input_grad[0] else None
    for_rotations = _rotation_gradient(gradient, volume, rotations, points) if ctx.needs_input_grad[1] else None
    return for_volume, for_rotations, None


torch.library.register_autograd("tomobayes::extract", _backward, setup_context=_keep)


def _check_reach(points: Tensor, radius: int) -> None:
    reach = float(points.norm(dim=-1).max()) if len(points) else 0.0
    if reach > radius + 1e-3:
        raise ValueError(f"samples reach {reach:.2f} Fourier pixels but the transform holds only {radius}: crop the samples")


def extract_slices(volume: FourierVolume, rotations: Tensor, points: Tensor) -> Tensor:
    """V(Aᵀq) for orientations A (reference -> frame of q) and samples q.

    Parameters
    ----------
    volume : transform of the map
    rotations : (O, 3, 3) real
    points : (Q, 3) real, Fourier pixels of the map's box, |q| <= volume.radius

    Returns
    -------
    (O, Q) complex; differentiable in the map and in the rotations
    """
    _check_reach(points, volume.radius)
    slices: Tensor = torch.ops.tomobayes.extract(volume.data, rotations, points)
    return slices


class Accumulator:
    """Σb and Σw of many orientations; ``sums`` adds them up.

    Mutable on purpose: it is the one array of the program that is too large and too often written to be copied. On the CPU it is one
    array per thread, and a given number of threads gives the same bytes every time; on a CUDA device all threads share one,
    and the order of their additions is left to chance.
    """

    def __init__(self, box: int, radius: int, device: torch.device | None = None):
        extent = half_extent(radius)
        place = device or torch.device("cpu")
        parts = min(numba.get_num_threads(), torch.get_num_threads()) if place.type == "cpu" else 1
        self.box, self.radius = box, radius
        self._cells = torch.zeros((parts, 2 * extent + 1, 2 * extent + 1, extent + 1, 4), dtype=torch.float32, device=place)

    def insert(self, rotations: Tensor, points: Tensor, values: Tensor, weights: Tensor) -> None:
        """Add (O, Q) complex64 values and float32 weights at Aᵀq (adjoint of extract_slices)."""
        _check_reach(points, self.radius)
        _insert(self._cells, values, weights, rotations.float(), points.float())

    def sums(self) -> Sums:
        """Everything inserted so far, with the Friedel mates of the plane x = 0 added."""
        whole = self._cells.sum(0) if len(self._cells) > 1 else self._cells[0]
        return Sums(*with_friedel_mates(whole), self.box, self.radius)


def with_friedel_mates(cells: Tensor) -> tuple[Tensor, Tensor]:
    """Data and weight of a half grid (2c+1, 2c+1, c+1, 4) of inserted samples, with what their mates add to the plane x = 0.

    Samples near x = 0 have mates whose neighbours lie on this plane too; nowhere else do the two halves touch.
    """
    data = torch.view_as_complex(cells[..., :2].contiguous())
    weight = cells[..., 2].contiguous()
    data[..., 0] += torch.conj_physical(data[..., 0].flip(0, 1))
    weight[..., 0] += weight[..., 0].flip(0, 1)
    return data, weight

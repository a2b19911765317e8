"""One interface for slice extraction and insertion, differentiable: the backward of extraction is insertion.

Samples q are any points of 3D Fourier space, so tilt images (q = R_fᵀ(j, 0)) and pseudo-subtomograms (q = voxels) are
read and written by the same two functions.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from torch import Tensor

from tomobayes.fourier import kernels, reference
from tomobayes.fourier.volume import PADDING, FourierVolume, Sums, half_extent

__all__ = ["Accumulator", "extract_slices", "with_friedel_mates"]


@torch.library.custom_op("tomobayes::extract", mutates_args=())
def _extract(volume: Tensor, rotations: Tensor, points: Tensor) -> Tensor:
    if volume.is_cuda:
        return reference.extract(volume, rotations, points, PADDING)
    out = torch.empty((len(rotations), len(points)), dtype=volume.dtype)
    padding = rotations.numpy().dtype.type(PADDING)
    kernels.extract(volume.contiguous().numpy(), rotations.contiguous().numpy(), points.contiguous().numpy(), padding, out.numpy())
    return out


@_extract.register_fake
def _(volume: Tensor, rotations: Tensor, points: Tensor) -> Tensor:
    return volume.new_empty((len(rotations), len(points)))


def _keep(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    ctx.save_for_backward(*inputs)


def _backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:  # type: ignore[no-untyped-def]
    volume, rotations, points = ctx.saved_tensors
    for_volume = for_rotations = None
    if ctx.needs_input_grad[0]:
        for_volume = _insert_once(gradient, rotations, points, volume.shape[-1] - 1)
    if ctx.needs_input_grad[1]:
        with torch.enable_grad():
            free = rotations.detach().requires_grad_()
            value = reference.extract(volume.detach(), free, points.detach(), PADDING)
            (for_rotations,) = torch.autograd.grad(value, free, gradient)
    return for_volume, for_rotations, None


_extract.register_autograd(_backward, setup_context=_keep)


def _insert_once(values: Tensor, rotations: Tensor, points: Tensor, extent: int) -> Tensor:
    data, _ = reference.insert(values, torch.zeros_like(values.real), rotations, points, PADDING, extent)
    return data


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
    slices: Tensor = _extract(volume.data, rotations, points)
    return slices


class Accumulator:
    """Σb and Σw of many orientations, one private accumulator per thread; ``sums`` adds them up.

    Mutable on purpose: it is the one array of the program that is too large and too often written to be copied.
    """

    def __init__(self, box: int, radius: int):
        extent = half_extent(radius)
        threads = min(numba.get_num_threads(), torch.get_num_threads())
        self.box, self.radius = box, radius
        self._cells = torch.zeros((threads, 2 * extent + 1, 2 * extent + 1, extent + 1, 4), dtype=torch.float32)

    def insert(self, rotations: Tensor, points: Tensor, values: Tensor, weights: Tensor) -> None:
        """Add (O, Q) complex64 values and float32 weights at Aᵀq (adjoint of extract_slices)."""
        _check_reach(points, self.radius)
        kernels.insert(
            self._cells.numpy(),
            values.contiguous().numpy(),
            weights.contiguous().numpy(),
            rotations.float().contiguous().numpy(),
            points.float().contiguous().numpy(),
            np.float32(PADDING),
        )

    def sums(self) -> Sums:
        """Everything inserted so far, with the Friedel mates of the plane x = 0 added."""
        return Sums(*with_friedel_mates(self._cells.sum(0)), self.box, self.radius)


def with_friedel_mates(cells: Tensor) -> tuple[Tensor, Tensor]:
    """Data and weight of a half grid (2c+1, 2c+1, c+1, 4) of inserted samples, with what their mates add to the plane x = 0.

    Samples near x = 0 have mates whose neighbours lie on this plane too; nowhere else do the two halves touch.
    """
    data = torch.complex(cells[..., 0].contiguous(), cells[..., 1].contiguous())
    weight = cells[..., 2].contiguous()
    data[..., 0] += torch.conj_physical(data[..., 0].flip(0, 1))
    weight[..., 0] += weight[..., 0].flip(0, 1)
    return data, weight

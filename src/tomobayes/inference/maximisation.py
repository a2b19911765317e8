"""The one maximisation: sums -> maps, with the prior that the gold-standard FSC teaches (eqs 11 and 13)."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.fourier.slices import Accumulator, extract_slices
from tomobayes.fourier.volume import PADDING, FourierVolume, Sums, box_radii, normal_equations, radii, shell_mean
from tomobayes.geometry.pointgroups import lattice_rotations, representatives
from tomobayes.imaging.observation import Statistics

__all__ = ["backproject", "relative_pose", "solve", "ssnr_from_fsc", "symmetrised"]


def relative_pose(statistics: Statistics, rotation: Tensor, centre_angstrom: Tensor) -> tuple[Tensor, Tensor]:
    """Poses in the tomogram -> rotation and shift (in box pixels) in the statistics' shared frame, (P, 3, 3) and (P, 3)."""
    to_frame = statistics.frame.mT
    shift = torch.einsum("pij,pj->pi", to_frame, centre_angstrom - statistics.anchor_angstrom) / statistics.pixel_size_angstrom
    return to_frame @ rotation, shift


def backproject(
    accumulator: Accumulator, statistics: Statistics, precision: Tensor, rotation: Tensor, centre_angstrom: Tensor, batch: int = 32
) -> None:
    """Insert each particle's b and w at one known pose.

    Parameters
    ----------
    precision : (Q,) 1/σ²
    rotation : (P, 3, 3) reference -> tomogram; centre_angstrom : (P, 3) in the tomogram
    """
    n = statistics.count(accumulator.radius)
    points = statistics.points[:n]
    frame_rotation, shift = relative_pose(statistics, rotation, centre_angstrom)
    for start in range(0, len(statistics.particles), batch):
        rows = slice(start, start + batch)
        weight = statistics.weight[rows, :n] * precision[:n]
        data = torch.view_as_complex(torch.view_as_real(statistics.data[rows, :n]) * precision[:n, None])
        if shift[rows].any():  # images that were cut around these very positions need no shift
            phase = (2 * math.pi / statistics.box) * (shift[rows].float() @ points.T)
            data *= torch.polar(torch.ones_like(phase), phase)
        accumulator.insert(frame_rotation[rows], points, data, weight)


def solve(sums: Sums, ssnr: Tensor | None, filtered: bool = True) -> Tensor:
    """V = Σb / (Σw + 1/τ²) (eq 11), real (n, n, n).

    Parameters
    ----------
    ssnr : (>= radius+1,) τ² per shell in units of the shell's mean variance 1/Σw; None for no prior
    filtered : keep the attenuation w/(w + 1/τ²) that the prior puts on a whole shell; False undoes its mean, so that amplitudes
        are those of the images and only directions which few images saw are held back

    Voxels with less than a thousandth of their shell's mean weight are kept from exploding by that floor, as RELION does.
    """
    data, weight = normal_equations(sums)
    radius = box_radii(sums.box)
    inside = radius <= sums.radius
    shell = torch.where(inside, radius.round().long().clamp_max(sums.radius), sums.radius + 1)
    mean = shell_mean(torch.where(inside, weight, 0), shell)[shell]
    denominator = torch.maximum(weight, 1e-3 * mean)
    if ssnr is not None:
        denominator = denominator + mean / torch.nn.functional.pad(ssnr[: sums.radius + 1].to(mean), (0, 1), value=1)[shell]
    if not filtered:
        denominator = denominator * shell_mean(weight / denominator.clamp_min(1e-30), shell)[shell]
    spectrum = torch.where(inside & (denominator > 0), data * sums.box / denominator.clamp_min(1e-30), 0)
    solved: Tensor = torch.fft.fftshift(torch.fft.irfftn(spectrum, s=(sums.box,) * 3))
    return solved


def ssnr_from_fsc(fsc: Tensor, tau2_fudge: float = 1.0) -> Tensor:
    """Spectral signal-to-noise of one half map, T·FSC/(1-FSC); the FSC is trusted between 0.001 and 0.999 only."""
    trusted = fsc.clamp(1e-3, 0.999)
    return tau2_fudge * trusted / (1 - trusted)


def symmetrised(sums: Sums, group: Tensor) -> Sums:
    """Sums as if every particle had been seen in all symmetry-related orientations, (G, 3, 3) point group.

    Rotations that map the grid onto itself exchange its values, to the last digit what inserting every orientation at all its
    mates would give; the others read between the values. That widens the kernel of insertion a little, by the same amount for Σb and Σw.
    """
    if len(group) == 1:
        return sums
    exact = lattice_rotations(group.numpy())
    turns = torch.from_numpy(representatives(group.numpy(), exact)[1:])

    data, weight = _exchanged(sums.data, exact), _exchanged(sums.weight, exact)
    if len(turns):
        data = data + _interpolated(data, sums, turns)
        weight = weight + _interpolated(torch.complex(weight, torch.zeros_like(weight)), sums, turns).real
    return Sums(data, weight, sums.box, sums.radius)


def _exchanged(values: Tensor, rotations: NDArray[np.float64]) -> Tensor:
    """Σ_g S(gᵀk) of a half transform (2c+1, 2c+1, c+1) over rotations of the grid onto itself."""
    extent = values.shape[-1] - 1
    whole = torch.cat([values[..., 1:].flip(0, 1, 2).conj(), values], -1)
    total = torch.zeros_like(values)
    for rotation in rotations:
        to_axis = rotation[::-1, ::-1]  # of (z, y, x), as the array's axes
        order = np.abs(to_axis).argmax(1).tolist()  # axis j of the turned array is this one of S
        backwards = [axis for axis, source in enumerate(order) if to_axis[axis, source] < 0]
        turned = whole.permute(order)
        total += (turned[..., : extent + 1] if 2 in backwards else turned[..., extent:]).flip(backwards)
    return total


def _interpolated(values: Tensor, sums: Sums, rotations: Tensor) -> Tensor:
    """Σ_g S(gᵀk) of a half transform inside the radius of the sums, trilinear."""
    extent = values.shape[-1] - 1
    index = (radii(extent) <= sums.radius).nonzero()
    points = (index.flip(-1) - torch.tensor([0, extent, extent])).float() / PADDING
    out = torch.zeros_like(values)
    turned = extract_slices(FourierVolume(values, sums.box, sums.radius), rotations.float(), points)
    out[index[:, 0], index[:, 1], index[:, 2]] = turned.sum(0)
    return out

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
        phase = (2 * math.pi / statistics.box) * (shift[rows].float() @ points.T)
        weight = statistics.weight[rows, :n] * precision[:n]
        data = statistics.data[rows, :n] * torch.polar(precision[:n].expand_as(phase), phase)
        accumulator.insert(frame_rotation[rows], points, data, weight)


def solve(sums: Sums, ssnr: Tensor | None) -> Tensor:
    """V = Σb / (Σw + 1/τ²) (eq 11), real (n, n, n).

    Parameters
    ----------
    ssnr : (>= radius+1,) τ² per shell in units of the shell's mean variance 1/Σw; None for no prior

    Voxels with less than a thousandth of their shell's mean weight are kept from exploding by that floor, as RELION does.
    """
    data, weight = normal_equations(sums)
    radius = box_radii(sums.box)
    shell = radius.round().long().clamp_max(sums.radius)
    inside = radius <= sums.radius
    mean = shell_mean(torch.where(inside, weight, 0), torch.where(inside, shell, sums.radius + 1))[shell]
    denominator = torch.maximum(weight, 1e-3 * mean)
    if ssnr is not None:
        denominator = denominator + mean / ssnr[: sums.radius + 1].to(mean)[shell]
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

    def summed(values: Tensor) -> Tensor:
        exchanged = _exchanged(values, exact)
        return exchanged + _interpolated(exchanged, sums, turns) if len(turns) else exchanged

    weight = summed(torch.complex(sums.weight, torch.zeros_like(sums.weight))).real.contiguous()
    return Sums(summed(sums.data), weight, sums.box, sums.radius)


def _exchanged(values: Tensor, rotations: NDArray[np.float64]) -> Tensor:
    """Σ_g S(gᵀk) of a half transform (2c+1, 2c+1, c+1) over rotations of the grid onto itself."""
    extent = values.shape[-1] - 1
    whole = torch.cat([values[..., 1:].flip(0, 1, 2).conj(), values], -1)
    total = torch.zeros_like(whole)
    for rotation in rotations:
        to_axis = rotation[::-1, ::-1]  # of (z, y, x), as the array's axes; axis j of S(gᵀk) follows the one k axis where column j is not 0
        sources = np.abs(to_axis).argmax(0).tolist()
        backwards = [axis for axis, source in enumerate(sources) if to_axis[source, axis] < 0]
        total += whole.flip(backwards).permute(np.argsort(sources).tolist())
    return total[..., extent:].contiguous()


def _interpolated(values: Tensor, sums: Sums, rotations: Tensor) -> Tensor:
    """Σ_g S(gᵀk) of a half transform inside the radius of the sums, trilinear."""
    extent = values.shape[-1] - 1
    index = (radii(extent) <= sums.radius).nonzero()
    points = (index.flip(-1) - torch.tensor([0, extent, extent])).float() / PADDING
    out = torch.zeros_like(values)
    turned = extract_slices(FourierVolume(values, sums.box, sums.radius), rotations.float(), points)
    out[index[:, 0], index[:, 1], index[:, 2]] = turned.sum(0)
    return out

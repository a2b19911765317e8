"""The one maximisation: sums -> maps, with the prior that the gold-standard FSC teaches (eqs 11 and 13)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.fourier.grids import good_box
from tomobayes.fourier.slices import Accumulator, extract_slices
from tomobayes.fourier.toeplitz import convolved, response
from tomobayes.fourier.volume import PADDING, FourierVolume, Sums, box_radii, normal_equations, radii, shell_mean
from tomobayes.geometry.pointgroups import lattice_rotations, representatives
from tomobayes.imaging.observation import Statistics
from tomobayes.inference.extent import Extent
from tomobayes.inference.least_squares import from_spectrum, least_squares, spectrum_of
from tomobayes.maps.resampling import fourier_resample

__all__ = ["backproject", "difference", "relative_pose", "solve", "ssnr_from_fsc", "symmetrised"]


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


def solve(sums: Sums, ssnr: Tensor | None, filtered: bool = True, extent: Extent | None = None) -> Tensor:
    """The map that images and prior ask for (eq 11), real (n, n, n).

    With a prior, the least-squares map inside the box: the box ties neighbouring frequencies together, so that where the CTF or the
    tilts leave a gap its neighbours speak. Without one, the quotient Σb / Σw, frequency by frequency, of which no unseen direction
    can make much.

    Parameters
    ----------
    ssnr : (>= radius+1,) τ² per shell in units of the shell's mean variance 1/Σw; None for no prior
    filtered : keep the attenuation w/(w + 1/τ²) that the prior puts on a whole shell; False undoes its mean, so that amplitudes
        are those of the images and only directions which few images saw are held back; says nothing where there is no prior
    extent : where in the box the prior expects density; frequencies closer than one over its diameter then inform each other, and
        unfiltered amplitudes are up to a tenth too large where there is little signal
    """
    seen = _seen(sums)
    if ssnr is None:
        return _on_box(from_spectrum(seen.data / seen.weight.clamp_min(1e-30)), sums.box)
    prior, inverse = seen.with_prior(ssnr)
    width = None if extent is None else extent.on(seen.sums.box)
    solved = least_squares(seen.data, prior, inverse, response(seen.sums), width)
    if not filtered:
        share = shell_mean(seen.weight * inverse, seen.shell)[seen.shell]
        solved = from_spectrum(torch.where(seen.known, spectrum_of(solved) / share.clamp_min(1e-30), 0))
    return _on_box(solved, sums.box)


def difference(sums: Sums, common: Tensor, ssnr: Tensor) -> Tensor:
    """How the map of some particles differs from another, δ of (W + 1/τ²)·δ = Σb - W·μ, real (n, n, n).

    Parameters
    ----------
    common : (n, n, n) μ, as particles are compared with it; ssnr : (>= radius+1,) τ² per shell, in units as of ``solve``
    """
    seen = _seen(sums)
    passed, (prior, inverse) = response(seen.sums), seen.with_prior(ssnr)
    explained = spectrum_of(convolved(_on_box(common, seen.sums.box), passed))
    return _on_box(least_squares(torch.where(seen.known, seen.data - explained, 0), prior, inverse, passed), sums.box)


@dataclass(frozen=True)
class _Seen:
    """What images saw of a map, on the coarsest grid of its box that holds their radius, (n, n, n//2+1) each.

    Parameters
    ----------
    data : Σb; weight : Σw, at least a thousandth of its shell's mean: no quotient can explode then, as in RELION
    shell : index of each voxel, radius + 1 outside; mean : of Σw in the shell; known : voxels in shells that were seen
    """

    sums: Sums
    data: Tensor
    weight: Tensor
    shell: Tensor
    mean: Tensor
    known: Tensor

    def with_prior(self, ssnr: Tensor) -> tuple[Tensor, Tensor]:
        """1/τ², and 1/(Σw + 1/τ²) where anything is known."""
        prior = self.mean / torch.nn.functional.pad(ssnr[: self.sums.radius + 1].to(self.mean), (0, 1), value=1)[self.shell]
        return prior, torch.where(self.known, 1 / (self.weight + prior).clamp_min(1e-30), 0)


def _seen(sums: Sums) -> _Seen:
    sums = replace(sums, box=min(sums.box, good_box(2 * (sums.radius + 1))))
    data, weight = normal_equations(sums)
    radius = box_radii(sums.box)
    inside = radius <= sums.radius
    shell = torch.where(inside, radius.round().long().clamp_max(sums.radius), sums.radius + 1)
    mean = shell_mean(torch.where(inside, weight, 0), shell)[shell]
    known = inside & (mean > 0)
    return _Seen(sums, torch.where(known, data * sums.box, 0), torch.maximum(weight, 1e-3 * mean), shell, mean, known)


def _on_box(volume: Tensor, box: int) -> Tensor:
    """A map on another grid of the same field of view, with the transform of its projections unchanged."""
    if len(volume) == box:
        return volume
    return torch.from_numpy(fourier_resample(volume.numpy(), box)) * (len(volume) / box) ** 2


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

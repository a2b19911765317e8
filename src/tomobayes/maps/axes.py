"""Where the axes of a point group are in a map that was made without it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tomobayes.fourier.grids import half_space
from tomobayes.fourier.slices import extract_slices
from tomobayes.fourier.volume import FourierVolume, from_map
from tomobayes.geometry.healpix import rotation_grid, rotation_vectors_to_matrices
from tomobayes.geometry.pointgroups import fundamental_domain

__all__ = ["Axes", "find_axes", "put_on_axes"]

Float = NDArray[np.float64]

ORDER, COARSE_RADIUS = 2, 5
"""Orientations 15° apart are tried, with as many Fourier pixels as that can follow."""
CANDIDATES, OTHERS = 4, 100
"""How many of them are climbed from, and how many tell what chance can do."""
FAR_DEGREES = 20.0
SIMPLEX = (0.15, 1.0)
"""Radians and voxels: first steps of a climb."""


@dataclass(frozen=True)
class Axes:
    """Where the axes of a point group are in a map V: V(R·x + c) has them where RELION does.

    Parameters
    ----------
    rotation : (3, 3) R; shift_px : (3,) c, (x, y, z)
    agreement : mean correlation of the map with its turned selves; chance : the highest about the same point and axes elsewhere
    """

    rotation: Float
    shift_px: Float
    agreement: float
    chance: float


def find_axes(volume: NDArray[np.float32], group: Float, radius: int, reach_px: float) -> Axes:
    """Orientation and place of the axes about which a map agrees best with itself.

    Parameters
    ----------
    volume : (n, n, n), masked
    group : (G, 3, 3); radius : Fourier pixels that are compared
    reach_px : how far from the middle the axes may be
    """
    spectrum = from_map(torch.from_numpy(np.ascontiguousarray(volume, dtype=np.float32)), radius)
    tried, coarse = rotation_grid(ORDER), min(radius, COARSE_RADIUS)
    tried = tried[fundamental_domain(tried, group)]
    shifts = _lattice(len(volume) / (4 * coarse), reach_px)
    scores = np.stack([_agreements(spectrum, one, group, shifts, coarse) for one in tried])
    best = scores.max(1).argsort()[::-1][:CANDIDATES].tolist()
    found = [_climbed(spectrum, tried[i], shifts[scores[i].argmax()], group, radius) for i in best]
    agreement, rotation, shift = max(found, key=lambda one: one[0])
    few = tried[np.random.default_rng(0).permutation(len(tried))[:OTHERS]]
    elsewhere = [_agreements(spectrum, one, group, shift[None], radius)[0] for one in few if _apart(one, rotation, group) > FAR_DEGREES]
    return Axes(*_nearest(rotation, shift, group), agreement, float(max(elsewhere, default=0.0)))


def put_on_axes(volume: NDArray[np.float32], axes: Axes, radius: int) -> NDArray[np.float32]:
    """The map V(R·x + c), as fine as a Fourier radius allows."""
    box = len(volume)
    spectrum = from_map(torch.from_numpy(np.ascontiguousarray(volume, dtype=np.float32)))
    points = half_space(radius).float()
    turned = _turned(spectrum, axes.rotation, points) * _phases(axes.rotation[None], axes.shift_px[None], points, box)[0, 0]
    half = torch.zeros((box, box, box // 2 + 1), dtype=turned.dtype)
    x, y, z = half_space(radius).T
    half[z % box, y % box, x] = turned
    mates = x == 0  # of this plane only one half is in the list
    half[-z[mates] % box, -y[mates] % box, 0] = turned[mates].conj()
    moved = torch.fft.fftshift(torch.fft.irfftn(half * box, s=(box,) * 3))
    return np.asarray(moved.numpy(), dtype=np.float32)


def _turned(spectrum: FourierVolume, rotation: Float, points: torch.Tensor) -> torch.Tensor:
    """V(R·k), (Q,)."""
    return extract_slices(spectrum, torch.from_numpy(np.ascontiguousarray(rotation.T))[None].float(), points)[0]


def _phases(rotations: Float, shifts_px: Float, points: torch.Tensor, box: int) -> torch.Tensor:
    """exp(2πi (R·k)·c) of every rotation, shift and sample, (G, M, Q)."""
    angle = (2 * math.pi / box) * (torch.from_numpy(shifts_px @ rotations).float() @ points.T)
    return torch.polar(torch.ones_like(angle), angle)


def _agreements(spectrum: FourierVolume, rotation: Float, group: Float, shifts_px: Float, radius: int) -> Float:
    """(M,) mean correlation of V(R·x + c) with V(R·g·x + c) over all pairs of mates: G values of one k are equal where it is 1."""
    points = half_space(radius).float()[1:]
    mates = rotation @ group
    turns = torch.from_numpy(np.ascontiguousarray(np.swapaxes(mates, 1, 2))).float()
    values = extract_slices(spectrum, turns, points)
    total = (values[:, None] * _phases(mates, shifts_px, points, spectrum.box)).sum(0)
    power, count = values.abs().square().sum(), len(group)
    return np.asarray(((total.abs().square().sum(1) / power - 1) / max(count - 1, 1)).double().numpy())


def _climbed(spectrum: FourierVolume, rotation: Float, shift_px: Float, group: Float, radius: int) -> tuple[float, Float, Float]:
    """The best agreement near some axes, and where it is."""
    from scipy.optimize import minimize

    def at(step: Float) -> tuple[Float, Float]:
        return rotation @ rotation_vectors_to_matrices(step[:3]), shift_px + step[3:]

    def disagreement(step: Float) -> float:
        turned, moved = at(step)
        return -float(_agreements(spectrum, turned, group, moved[None], radius)[0])

    simplex = np.vstack([np.zeros(6), np.diag([SIMPLEX[0]] * 3 + [SIMPLEX[1]] * 3)])
    found = minimize(
        disagreement,
        np.zeros(6),
        method="Nelder-Mead",
        options={"initial_simplex": simplex, "maxfev": 200, "xatol": 1e-3, "fatol": 1e-5},
    )
    return -float(found.fun), *at(found.x)


def _apart(one: Float, two: Float, group: Float) -> float:
    """Degrees between the axes of two orientations of a group, whichever mates are nearest."""
    traces = np.einsum("ij,gij->g", one, two @ group)
    return float(np.degrees(np.arccos(np.clip((traces.max() - 1) / 2, -1, 1))))


def _nearest(rotation: Float, shift_px: Float, group: Float) -> tuple[Float, Float]:
    """The same axes, by the smallest turn and shift: a mate, or for one axis alone what brings z there, either end up."""
    axis = rotation[:, 2]
    cyclic = bool(np.allclose(group[:, 2], [0, 0, 1]))
    if not cyclic:
        mates = rotation @ group
        return mates[np.trace(mates, axis1=1, axis2=2).argmax()], shift_px
    axis = axis * np.sign(axis[2] or 1.0)
    turn = np.cross([0.0, 0.0, 1.0], axis)
    sine = float(np.linalg.norm(turn))
    vector = turn / max(sine, 1e-12) * math.atan2(sine, float(axis[2]))
    return rotation_vectors_to_matrices(vector), shift_px - (shift_px @ axis) * axis


def _lattice(step_px: float, reach_px: float) -> Float:
    """(M, 3) points of a cubic lattice in a ball, the middle among them."""
    axis = step_px * np.arange(-int(reach_px / step_px), int(reach_px / step_px) + 1)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    return np.asarray(points[np.linalg.norm(points, axis=1) <= reach_px + 1e-6])

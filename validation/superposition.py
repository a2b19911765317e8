"""Turning one map onto another before they are compared: first maps lie anyhow, and may be mirrored."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage, optimize
from scipy.spatial.transform import Rotation

from tomobayes.fourier.grids import half_space
from tomobayes.fourier.slices import extract_slices
from tomobayes.fourier.volume import FourierVolume, from_map
from tomobayes.geometry.healpix import rotation_grid

CANDIDATES = 4
REACH_PX = 3.0


@dataclass(frozen=True)
class Superposed:
    """A map turned and moved onto another; ``correlation`` up to the radius that was compared."""

    data: np.ndarray
    correlation: float
    mirrored: bool


def superposed(volume: np.ndarray, onto: np.ndarray, radius: int, sphere_px: float) -> Superposed:
    """The better of a map and its mirror image on another map, both inside a soft sphere; Fourier pixels up to a radius are compared."""
    sphere = np.clip((sphere_px + 3 - _distance(len(onto))) / 3, 0, 1)
    hands = [_one_hand(hand, onto * sphere, sphere, radius, mirrored) for mirrored, hand in enumerate((volume, _mirrored(volume)))]
    return max(hands, key=lambda one: one.correlation)


def _one_hand(volume: np.ndarray, onto: np.ndarray, sphere: np.ndarray, radius: int, mirrored: int) -> Superposed:
    moving, still = (from_map(torch.from_numpy(one.astype(np.float32)), radius) for one in (volume * sphere, onto))
    points = half_space(radius).float()[1:]
    target = extract_slices(still, torch.eye(3)[None], points)[0]
    axis = np.arange(-REACH_PX, REACH_PX + 1, 1.5)
    shifts = np.stack(np.meshgrid(axis, axis, axis), -1).reshape(-1, 3)
    turns = rotation_grid(2)
    scores = _correlations(moving, target, points, turns, shifts)

    def away(step: np.ndarray, turn: np.ndarray, shift: np.ndarray) -> float:
        turned = (Rotation.from_rotvec(step[:3]).as_matrix() @ turn)[None]
        return -float(_correlations(moving, target, points, turned, (shift + step[3:])[None])[0, 0])

    best = (-1.0, np.eye(3), np.zeros(3))
    simplex = np.vstack([np.zeros(6), np.diag([0.12] * 3 + [0.7] * 3)])
    for i in scores.max(1).argsort()[::-1][:CANDIDATES]:
        start = turns[i], shifts[scores[i].argmax()]
        found = optimize.minimize(away, np.zeros(6), start, method="Nelder-Mead", options={"initial_simplex": simplex, "maxfev": 200})
        if -found.fun > best[0]:
            best = (-float(found.fun), Rotation.from_rotvec(found.x[:3]).as_matrix() @ start[0], start[1] + found.x[3:])
    return Superposed(_moved(volume, best[1], best[2]), best[0], bool(mirrored))


def _correlations(moving: FourierVolume, target: torch.Tensor, points: torch.Tensor, turns: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """(O, M) correlation of the target with V(Rᵀ(x - t))."""
    slices = extract_slices(moving, torch.from_numpy(np.ascontiguousarray(turns)).float(), points)
    angle = (2 * math.pi / moving.box) * (torch.from_numpy(shifts).float() @ points.T)
    cross = (slices @ (target * torch.polar(torch.ones_like(angle), angle)).conj().T).real
    return (cross / (slices.abs().square().sum(1, keepdim=True) * target.abs().square().sum()).sqrt()).numpy()


def _moved(volume: np.ndarray, turn: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """V(Rᵀ(x - t)), by cubic splines."""
    centre = len(volume) // 2
    z, y, x = np.meshgrid(*[np.arange(len(volume)) - centre] * 3, indexing="ij")
    source = (np.stack([x, y, z], -1) - shift) @ turn + centre
    return np.asarray(ndimage.map_coordinates(volume, list(source[..., ::-1].transpose(3, 0, 1, 2)), order=3), dtype=np.float32)


def _mirrored(volume: np.ndarray) -> np.ndarray:
    """V(-x, y, z), the centre n//2 in its place."""
    flipped = volume[:, :, ::-1]
    return np.roll(flipped, 1, 2) if len(volume) % 2 == 0 else flipped.copy()


def _distance(box: int) -> np.ndarray:
    axis = np.arange(box) - box // 2
    return np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)

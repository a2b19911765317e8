"""What must be known of a tilt series before its optics can be judged, and is forgotten afterwards: where its images really are, and
how strong its signal really is in each shell and tilt.

A misplaced image looks like one with other zeros of the CTF, and a reference on a wrong grey scale like one with another envelope.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomobayes.tiltseries.condensed import Condensed, turned

__all__ = ["Nuisance", "allowing", "nuisance", "shift_phase"]

Float = NDArray[np.float64]

SHIFT_ANGSTROM = 5.0
"""Standard deviation of the prior on what is left of an image's shift."""
REACH = 4
"""Standard deviations up to which shifts are looked for."""
GAIN_NATS = 10.0
"""Strength of the belief that all shells, and all tilts, have the same gain."""
ROUNDS = 3
DECISIVE_NATS = 15.0


@dataclass(frozen=True)
class Nuisance:
    """Corrections of one tilt series.

    Parameters
    ----------
    shift_angstrom : (F, 2) by what particles lie off their predicted places, common to all of an image
    gain : (S,) of the reference, per shell; scale : (F,) of the signal, per tilt, beyond what the metadata have
    """

    shift_angstrom: Float
    gain: Float
    scale: Float

    def factor(self, shell: NDArray[np.int64]) -> Float:
        """(F, J) of the amplitude."""
        return np.asarray(self.scale[:, None] * self.gain[shell])


def shift_phase(shift_angstrom: Float, frequency: Float) -> Float:
    """Phase of an image whose particles lie off by (F, 2), at (J, 2): (F, J)."""
    return np.asarray(-2 * np.pi * shift_angstrom @ frequency.T)


def nuisance(sums: Condensed, phase: Float | None = None, change: Float | None = None) -> Nuisance:
    """The corrections that agree best with the sums, all folds together.

    Parameters
    ----------
    phase : (J,) radians per Å of defocus; change : (Z,) common changes of defocus under which the corrections may be judged. Where one
        is more likely than none by `DECISIVE_NATS`, whatever gain each shell has, it is taken: by the wrong defocus, shells look empty
    """
    whole = sums.folds(np.ones(sums.n_folds, dtype=bool))
    shift = _shifts(whole.agreement[0, :, 0], whole.frequency)
    placed = turned(whole, odd=shift_phase(shift, whole.frequency))
    common = 0.0 if phase is None or change is None else _common_change(placed, phase, change)
    if phase is not None and common != 0:
        whole = turned(whole, even=common * phase)
        shift = _shifts(whole.agreement[0, :, 0], whole.frequency)
        placed = turned(whole, odd=shift_phase(shift, whole.frequency))
    gain, scale = _gains(placed)
    return Nuisance(shift, gain, scale)


def _common_change(sums: Condensed, phase: Float, change: Float) -> float:
    """The change of defocus that all tilts would be most likely with, if it is decidedly more likely than none."""
    s, c = sums.agreement[0].real.sum(0, dtype=np.float64)
    ss, sc, cc = sums.power[0].sum(0, dtype=np.float64)
    score = []
    for one in np.append(change, 0.0):
        cos, sin = np.cos(one * phase), np.sin(one * phase)
        found = np.bincount(sums.shell, s * cos + c * sin)
        expected = np.bincount(sums.shell, ss * cos**2 + 2 * sc * sin * cos + cc * sin**2)
        score.append(float((found.clip(0, None) ** 2 / (2 * expected + 1e-30)).sum()))
    best = int(np.argmax(score))
    return float(change[best]) if score[best] > score[-1] + DECISIVE_NATS else 0.0


def allowing(sums: Condensed, known: Nuisance) -> Condensed:
    """The sums with the corrections made."""
    return turned(sums, odd=shift_phase(known.shift_angstrom, sums.frequency), gain=known.factor(sums.shell))


def _shifts(agreement: NDArray[np.complexfloating], frequency: Float) -> Float:
    """(F, 2) most probable shifts: the best place of a grid, then Newton's method on Σ Re B·exp(-2πi k·δ) - ½|δ|²/s²."""
    step = 0.25 / max(float(np.abs(frequency).max()), 1e-6)
    grid = step * np.arange(-int(REACH * SHIFT_ANGSTROM / step) - 1, int(REACH * SHIFT_ANGSTROM / step) + 2)
    x, y = (np.exp(-2j * np.pi * grid[:, None] * axis).astype(np.complex64) for axis in frequency.T)
    prior = -0.5 * (grid[:, None] ** 2 + grid**2) / SHIFT_ANGSTROM**2
    shift = np.zeros((len(agreement), 2))
    for tilt, values in enumerate(agreement):
        found = ((x * values.astype(np.complex64)) @ y.T).real + prior
        shift[tilt] = grid[list(np.unravel_index(int(found.argmax()), found.shape))]
    wave = 2 * np.pi * frequency
    for _ in range(6):
        here = agreement * np.exp(-1j * shift @ wave.T)
        slope = here.imag @ wave - shift / SHIFT_ANGSTROM**2
        curvature = np.einsum("fj,ja,jb->fab", np.maximum(here.real, 0), wave, wave, optimize=True) + np.eye(2) / SHIFT_ANGSTROM**2
        change = np.linalg.solve(curvature, slope[..., None])[..., 0]
        shift = shift + change.clip(-step, step)
    return shift


def _gains(sums: Condensed) -> tuple[Float, Float]:
    """Gain per shell and scale per tilt whose product fits the amplitudes best, each drawn towards one."""
    bins = int(sums.shell.max()) + 1
    found, expected = (
        np.stack([np.bincount(sums.shell, row, bins) for row in rows]) for rows in (sums.agreement[0, :, 0].real, sums.power[0, :, 0])
    )
    gain, scale = np.ones(bins), np.ones(len(found))
    for _ in range(ROUNDS):
        gain = _drawn(scale @ found, scale**2 @ expected)
        scale = _drawn(found @ gain, expected @ gain**2)
        level = float(np.average(scale, weights=expected @ gain**2 + 1e-30))
        gain, scale = gain * level, scale / max(level, 1e-30)
    return gain, scale


def _drawn(found: Float, expected: Float) -> Float:
    """Regression found/expected, drawn towards that of all together."""
    common = float(found.sum() / max(expected.sum(), 1e-30))
    if common <= 0:
        return np.ones_like(found)
    prior = GAIN_NATS / common**2
    return np.asarray(((found + prior * common) / (expected + prior)).clip(0.02 * common, None))

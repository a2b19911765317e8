"""What the particles of a tilt series say about phases and amplitudes, condensed to a few images per tilt (eqs 23-26).

The prediction of sample j is U·sin φ·exp(iη), with U = a·d·V·exp(iρ) and φ the argument of the CTF's sine. Both φ and η may change by
something that all particles of a tilt share: sin(φ + δ) = s·cos δ + c·sin δ with (s, c) = (sin φ, cos φ). So the log likelihood of
any such change is exactly

    Σ_j Re[ exp(iη) · (B_s, B_c)·(cos δ, sin δ) ] - ½ (cos δ, sin δ) R (cos δ, sin δ)ᵀ,

    B = Σ_p X*U (s, c)/σ²,    R = Σ_p |U|² (s, c)ᵀ(s, c)/σ²,

whatever the number of particles, and every pixel of every particle is looked at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.imaging.views import Views, odd_phase_factor, specimen_frequency
from tomobayes.optics import envelope, phase_coefficients, phase_terms
from tomobayes.tiltseries.comparison import Calibration, Comparison

__all__ = ["Condensed", "beside", "condense", "decays", "likelihood", "together", "turned"]

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Condensed:
    """Sums over the particles of a tilt series, apart for K folds of them.

    Parameters
    ----------
    frequency : (J, 2) 1/Å, of the specimen; shell : (J,)
    agreement : (K, F, 2, J) complex, B_s and B_c
    power : (K, F, 3, J), R_ss, R_sc and R_cc
    """

    frequency: Float
    shell: NDArray[np.int64]
    agreement: NDArray[np.complexfloating]
    power: NDArray[np.floating]

    @property
    def n_folds(self) -> int:
        """K."""
        return len(self.agreement)

    def folds(self, chosen: Sequence[int] | NDArray[np.bool_]) -> Condensed:
        """Some folds added up to one."""
        return replace(self, agreement=self.agreement[chosen].sum(0, keepdims=True), power=self.power[chosen].sum(0, keepdims=True))


def condense(comparison: Comparison, calibration: Calibration, own: Float, fold: NDArray[np.int64], n_folds: int) -> Condensed:
    """Sums over the particles of a comparison.

    Parameters
    ----------
    own : (S,) how much of a particle's own noise its reference holds (`own_noise.own_share`); what it adds to B is taken off
    fold : (P,) fold of each particle
    """
    c, views = comparison, comparison.views
    seen = specimen_frequency(views, c.frequency)
    terms = phase_terms(seen, views.optics)
    coefficients = _coefficients(views).to(terms)
    amplitude = calibration.amplitude[c.shell].float()
    factor = amplitude * decays(views, seen)
    precision = calibration.precision(c.shell)
    excess = 2 * torch.from_numpy(own).float()[c.shell] / amplitude.clamp_min(1e-30) * (amplitude > 0)
    members = torch.nn.functional.one_hot(torch.from_numpy(fold), n_folds).T.float()
    turn = odd_phase_factor(views, c.frequency) if views.optics.odd_zernike else None
    agreement, power = [], []
    for tilt in range(len(views.rotation)):
        phase = coefficients[:, tilt] @ terms
        s, cos = phase.sin(), phase.cos()
        product = c.image[:, tilt].conj() * c.slices[:, tilt]
        strength = c.slices[:, tilt].abs().square()
        here = views.visible[:, tilt, None].float()
        stack = [product.real * s, product.imag * s, product.real * cos, product.imag * cos]
        stack += [strength * s * s, strength * s * cos, strength * cos * cos, here * s * s, here * s * cos]
        sums = (members @ torch.stack(stack, 1).flatten(1)).reshape(n_folds, len(stack), -1)
        weight, square = factor[tilt] * precision[tilt], factor[tilt].square()
        both = torch.complex(sums[:, 0:4:2] * weight - excess * precision[tilt] * square * sums[:, 7:9], sums[:, 1:4:2] * weight)
        agreement.append(both * turn if turn is not None else both)
        power.append(sums[:, 4:7] * (square * precision[tilt]))
    return Condensed(seen.double().numpy(), c.shell.numpy(), torch.stack(agreement, 1).numpy(), torch.stack(power, 1).numpy())


def _coefficients(views: Views) -> Tensor:
    return phase_coefficients(views.defocus_u_angstrom, views.defocus_v_angstrom, views.astigmatism_radians, views.phase_shift_radians)


def decays(views: Views, seen: Tensor) -> Tensor:
    """(F, J) a·d·exp(-B k²/4) at frequencies of the specimen (J, 2)."""
    dose, b_factor, scale = (value.to(seen) for value in (views.dose, views.b_factor, views.scale))
    return envelope(seen.square().sum(-1), dose, b_factor, views.b_factor_per_dose, scale)


def together(parts: Sequence[Condensed]) -> Condensed:
    """Sums of several portions of the particles of one tilt series."""
    agreement, power = sum(part.agreement for part in parts), sum(part.power for part in parts)
    return replace(parts[0], agreement=np.asarray(agreement), power=np.asarray(power))


def beside(parts: Sequence[Condensed]) -> Condensed:
    """Sums of one tilt series on different samples, those of several optics groups, as sums on all of them."""
    if len(parts) == 1:
        return parts[0]
    return Condensed(
        np.concatenate([part.frequency for part in parts]),
        np.concatenate([part.shell for part in parts]),
        np.concatenate([part.agreement for part in parts], -1),
        np.concatenate([part.power for part in parts], -1),
    )


def turned(sums: Condensed, even: Float | None = None, odd: Float | None = None, gain: Float | None = None) -> Condensed:
    """The same sums with other parameters for the ones to start from: no more change then means no change from these.

    Parameters
    ----------
    even : (F, J) or (J,) radians, what φ is to be larger by
    odd : (F, J) or (J,) radians, by what η is to be larger
    gain : (F, J) or (J,), what U is to be multiplied by
    """
    agreement, power = sums.agreement, sums.power
    if even is not None:
        cos, sin = np.cos(even).astype(power.dtype), np.sin(even).astype(power.dtype)
        s, c = agreement[:, :, 0], agreement[:, :, 1]
        agreement = np.stack([s * cos + c * sin, c * cos - s * sin], 2)
        ss, sc, cc = power[:, :, 0], power[:, :, 1], power[:, :, 2]
        mixed = 2 * sc * sin * cos
        power = np.stack(
            [ss * cos**2 + mixed + cc * sin**2, (cc - ss) * sin * cos + sc * (cos**2 - sin**2), ss * sin**2 - mixed + cc * cos**2], 2
        )
    if odd is not None:
        agreement = agreement * np.exp(1j * odd).astype(agreement.dtype)[..., None, :]
    if gain is not None:
        factor = np.asarray(gain, dtype=power.dtype)[..., None, :]
        agreement, power = agreement * factor, power * factor**2
    return replace(sums, agreement=agreement, power=power)


def likelihood(sums: Condensed) -> Float:
    """(K, F) log likelihood at the parameters the sums start from, nats above that of no signal at all."""
    per_sample = sums.agreement[:, :, 0].real - 0.5 * sums.power[:, :, 0]
    result: Float = per_sample.sum(-1, dtype=np.float64)
    return result

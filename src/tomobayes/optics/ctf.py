"""The contrast transfer function and everything else that multiplies the signal of a tilt image.

CTF(k) = sin(πλ·Δf(φ)·k² - ½π·Cs·λ³·k⁴ + φ_amp + φ_plate - γ_even(k)): underfocus positive, so bright particles
have CTF > 0 at low frequency. The argument is linear in the parameters of an image, so that many images are one matrix
product: coefficients of the images times terms of the frequencies. All functions are torch, broadcast, and differentiable in
every floating-point argument.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tomobayes.model import Optics
from tomobayes.optics.aberrations import even_phase

__all__ = ["ctf_phase", "dose_weight", "envelope", "phase_coefficients", "phase_terms", "voltage_kv", "wavelength_angstrom"]

WAVELENGTH, RELATIVITY = 12.2643247, 0.978466e-6
"""Å·√V and 1/V: RELION's constants."""


def wavelength_angstrom(voltage_kv: float) -> float:
    """Relativistic electron wavelength, 0.019688 Å at 300 kV."""
    volts = 1e3 * voltage_kv
    return WAVELENGTH / math.sqrt(volts * (1 + RELATIVITY * volts))


def voltage_kv(wavelength_angstrom: float) -> float:
    """What accelerates electrons to a wavelength."""
    squared = (WAVELENGTH / wavelength_angstrom) ** 2
    return 1e-3 * (math.sqrt(1 + 4 * RELATIVITY * squared) - 1) / (2 * RELATIVITY)


def ctf_phase(
    frequency: Tensor,
    optics: Optics,
    defocus_u_angstrom: Tensor,
    defocus_v_angstrom: Tensor,
    astigmatism_radians: Tensor,
    phase_shift_radians: Tensor,
) -> Tensor:
    """Argument of the sine of the CTF.

    Parameters
    ----------
    frequency : (..., J, 2) spatial frequency (x, y) in 1/Å
    defocus_u_angstrom, defocus_v_angstrom : (...) defocus along and across the astigmatism axis
    astigmatism_radians, phase_shift_radians : (...)

    Returns
    -------
    (..., J) radians; the CTF is its sine
    """
    images = phase_coefficients(defocus_u_angstrom, defocus_v_angstrom, astigmatism_radians, phase_shift_radians)
    return (images[..., None, :] @ phase_terms(frequency, optics)).squeeze(-2)


def phase_coefficients(
    defocus_u_angstrom: Tensor, defocus_v_angstrom: Tensor, astigmatism_radians: Tensor, phase_shift_radians: Tensor
) -> Tensor:
    """What of the phase differs between images: (...) each -> (..., 5), in the order of `phase_terms`."""
    difference = 0.5 * (defocus_u_angstrom - defocus_v_angstrom)
    along = 0.5 * (defocus_u_angstrom + defocus_v_angstrom)
    cosine, sine = difference * torch.cos(2 * astigmatism_radians), difference * torch.sin(2 * astigmatism_radians)
    return torch.stack([along, cosine, sine, phase_shift_radians.broadcast_to(along.shape), torch.ones_like(along)], -1)


def phase_terms(frequency: Tensor, optics: Optics) -> Tensor:
    """What of the phase all images share: frequencies (..., J, 2) in 1/Å -> (..., 5, J), factors of defocus, astigmatism, plate and 1."""
    wavelength = wavelength_angstrom(optics.voltage_kv)
    x, y = frequency.unbind(-1)
    squared = x * x + y * y
    spherical = 0.5 * math.pi * optics.spherical_aberration_mm * 1e7 * wavelength**3
    amplitude = math.atan2(optics.amplitude_contrast, math.sqrt(1 - optics.amplitude_contrast**2))
    constant = amplitude - spherical * squared * squared - even_phase(optics.even_zernike, frequency)
    turn = math.pi * wavelength
    return torch.stack([turn * squared, turn * (x * x - y * y), turn * (2 * x * y), torch.ones_like(x), constant], -2)


def dose_weight(frequency_squared: Tensor, dose: Tensor, b_factor_per_dose: float) -> Tensor:
    """Amplitude that is left after a dose, (J,) 1/Å² and (F,) e/Å² -> (F, J).

    exp(-½·dose / (0.245·k^-1.665 + 2.81)) (Grant & Grigorieff 2015, 300 kV), or exp(-B·dose·k²/4) where a B factor per dose is given.
    """
    if b_factor_per_dose > 0:
        return torch.exp(-0.25 * b_factor_per_dose * dose[:, None] * frequency_squared)
    # k^1.665 in the numerator keeps k = 0 finite: 1/(0.245 k^-p + 2.81) = k^p/(0.245 + 2.81 k^p)
    power = frequency_squared ** (0.5 * 1.665)
    return torch.exp(-0.5 * dose[:, None] * power / (0.245 + 2.81 * power))


def envelope(frequency_squared: Tensor, dose: Tensor, b_factor: Tensor, b_factor_per_dose: float, scale: Tensor) -> Tensor:
    """a_f·d_f(k)·exp(-B_f k²/4): all real factors of the signal but the CTF's sine, (J,) and (F,) -> (F, J)."""
    decay = torch.exp(-0.25 * b_factor[:, None] * frequency_squared)
    return scale[:, None] * decay * dose_weight(frequency_squared, dose, b_factor_per_dose)

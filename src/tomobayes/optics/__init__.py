"""CTF, aberrations, dose and envelope: every factor between a projection and an image."""

from tomobayes.optics.aberrations import even_phase, odd_phase
from tomobayes.optics.ctf import ctf_phase, dose_weight, envelope, phase_coefficients, phase_terms, voltage_kv, wavelength_angstrom

__all__ = [
    "ctf_phase",
    "dose_weight",
    "envelope",
    "even_phase",
    "odd_phase",
    "phase_coefficients",
    "phase_terms",
    "voltage_kv",
    "wavelength_angstrom",
]

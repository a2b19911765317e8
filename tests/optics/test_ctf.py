"""The CTF against its closed form, its signs and directions, the dose curve, and gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tomobayes.model import Optics
from tomobayes.optics import ctf_phase, dose_weight, envelope, wavelength_angstrom

OPTICS = Optics("a", voltage_kv=300, spherical_aberration_mm=2.7, amplitude_contrast=0.07)


def _tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _phase(frequency, u, v, angle=0.0, plate=0.0, optics=OPTICS):
    return ctf_phase(
        torch.as_tensor(frequency, dtype=torch.float64), optics, *(torch.tensor(x, dtype=torch.float64) for x in (u, v, angle, plate))
    )


@pytest.mark.parametrize(("kilovolt", "angstrom"), [(300, 0.019687), (200, 0.025079), (100, 0.037014)])
def test_wavelength(kilovolt, angstrom):
    assert wavelength_angstrom(kilovolt) == pytest.approx(angstrom, rel=1e-4)


def test_closed_form_without_astigmatism():
    k = np.linspace(0, 0.3, 50)
    wavelength = wavelength_angstrom(300)
    expected = math.pi * wavelength * 25000 * k**2 - 0.5 * math.pi * 2.7e7 * wavelength**3 * k**4 + math.asin(0.07) + 0.4
    got = _phase(np.stack([k, 0 * k], -1), 25000.0, 25000.0, 1.0, 0.4)
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-12)


def test_bright_particles_are_bright_at_low_frequency_under_underfocus():
    k = np.linspace(0, 0.005, 20)
    low = np.stack([k, k], -1)
    assert (torch.sin(_phase(low, 30000.0, 30000.0)) > 0).all()
    assert torch.sin(_phase(low, -30000.0, -30000.0))[-1] < 0


def test_defocus_u_lies_along_the_astigmatism_angle():
    u, v, angle, k = 32000.0, 28000.0, math.radians(30), 0.05
    along = [[k * math.cos(angle), k * math.sin(angle)]]
    across = [[-k * math.sin(angle), k * math.cos(angle)]]
    assert float(_phase(along, u, v, angle)) == pytest.approx(float(_phase(along, u, u)), abs=1e-9)
    assert float(_phase(across, u, v, angle)) == pytest.approx(float(_phase(across, v, v)), abs=1e-9)


def test_batches_over_tilts():
    frequency = torch.rand(7, 2, dtype=torch.float64)
    u, v, angle, plate = (torch.rand(3, 4, dtype=torch.float64) for _ in range(4))
    together = ctf_phase(frequency, OPTICS, u, v, angle, plate)
    assert together.shape == (3, 4, 7)
    torch.testing.assert_close(together[2, 1], ctf_phase(frequency, OPTICS, u[2, 1], v[2, 1], angle[2, 1], plate[2, 1]))


@pytest.mark.parametrize(("k", "critical_dose"), [(0.05, 0.245 * 0.05**-1.665 + 2.81), (0.1, 14.139), (0.25, 5.274), (1 / 3, 4.336)])
def test_dose_curve(k, critical_dose):
    """exp(-1/2) of the amplitude is left after the critical dose."""
    assert float(dose_weight(_tensor(k * k), _tensor(critical_dose), 0.0)) == pytest.approx(math.exp(-0.5), rel=1e-3)


def test_dose_spares_the_mean_and_grows_with_frequency():
    weight = dose_weight(torch.linspace(0, 0.1, 30, dtype=torch.float64), _tensor(0.0, 50.0), 0.0)
    assert weight[1, 0] == 1 and (weight[0] == 1).all()
    assert (weight[1].diff() < 0).all()


def test_b_factor_per_dose_replaces_the_critical_dose():
    assert float(dose_weight(_tensor(0.04), _tensor(10.0), 4.0)) == pytest.approx(math.exp(-4 * 10 * 0.04 / 4))


def test_envelope_multiplies_scale_decay_and_dose():
    got = envelope(_tensor(0.01), _tensor(20.0), _tensor(60.0), 0.0, _tensor(0.8))
    assert float(got) == pytest.approx(0.8 * math.exp(-60 * 0.01 / 4) * float(dose_weight(_tensor(0.01), _tensor(20.0), 0.0)))


def test_gradients():
    frequency = (0.2 * torch.rand(5, 2, dtype=torch.float64)).requires_grad_()
    free = [torch.rand(3, dtype=torch.float64).requires_grad_() for _ in range(4)]
    assert torch.autograd.gradcheck(
        lambda k, u, v, a, p: torch.sin(ctf_phase(k, OPTICS, 3e4 + 1e3 * u, 3e4 + 1e3 * v, a, p)), (frequency, *free)
    )
    for per_dose in (0.0, 3.0):
        squared = (0.01 + torch.rand(4, dtype=torch.float64)).requires_grad_()
        assert torch.autograd.gradcheck(lambda k2, d, b, s, per_dose=per_dose: envelope(k2, d, b, per_dose, s), (squared, *free[:3]))

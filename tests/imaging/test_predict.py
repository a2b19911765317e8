"""The forward model is differentiable in everything it depends on, and in float64 its gradients are exact."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tomobayes.fourier.grids import half_plane
from tomobayes.fourier.volume import from_map
from tomobayes.geometry.projection import depth_angstrom, project
from tomobayes.geometry.rotations import matrix_from_vector
from tomobayes.imaging.predict import predict
from tomobayes.imaging.views import Views, transfer, transfer_by_particle, views_of
from tomobayes.model import Dataset, Optics, Particles, TiltSeries

BOX, PIXEL = 8, 6.0
SAMPLES = half_plane(BOX // 2 - 1)
OPTICS = Optics("a", 300.0, 2.7, 0.07, even_zernike=(0.0, 0.0, 40.0), odd_zernike=(5.0, -3.0, 200.0))


def _dataset() -> Dataset:
    n_tilts, n_particles = 2, 2
    y_tilt = matrix_from_vector(torch.tensor([[0.0, -0.6, 0.0], [0.02, 0.3, 1.4]], dtype=torch.float64)).numpy()
    series = TiltSeries(
        name="TS_01",
        pixel_size_angstrom=PIXEL,
        hand=-1.0,
        tomogram_size=(64, 64, 40),
        image_size=(64, 60),
        rotation=y_tilt,
        shift_angstrom=np.array([[5.0, -3.0], [1.0, 8.0]]),
        dose=np.array([3.0, 0.0]),
        defocus_u_angstrom=np.array([31000.0, 30500.0]),
        defocus_v_angstrom=np.array([30000.0, 29500.0]),
        astigmatism_radians=np.array([0.3, 0.4]),
        phase_shift_radians=np.array([0.0, 0.1]),
        scale=np.array([0.8, 1.0]),
        b_factor=np.array([20.0, 0.0]),
        optics_name=OPTICS.name,
    )
    position = np.array([[30.0, -20.0, 55.0], [-40.0, 10.0, -70.0]])
    particles = Particles(
        name=np.array(["TS_01/1", "TS_01/2"]),
        tilt_series=np.zeros(n_particles, dtype=np.int64),
        optics=np.zeros(n_particles, dtype=np.int64),
        position_angstrom=position,
        rotation_subtomogram=np.tile(np.eye(3), (n_particles, 1, 1)),
        rotation_particle=matrix_from_vector(torch.tensor([[0.4, -1.1, 0.7], [2.0, 0.3, -0.5]], dtype=torch.float64)).numpy(),
        origin_angstrom=np.zeros((n_particles, 3)),
        half=np.zeros(n_particles, dtype=np.int64),
        class_number=np.ones(n_particles, dtype=np.int64),
        tilt_prior_degrees=np.full(n_particles, np.nan),
        psi_prior_degrees=np.full(n_particles, np.nan),
        rot_prior_degrees=np.full(n_particles, np.nan),
    )
    assert len(series.dose) == n_tilts
    return Dataset((series,), (OPTICS,), particles)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return _dataset()


@pytest.fixture(scope="module")
def views(dataset) -> Views:
    return views_of(dataset, np.arange(2))


@pytest.fixture(scope="module")
def volume() -> torch.Tensor:
    return torch.randn(BOX, BOX, BOX, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def rotation(dataset) -> torch.Tensor:
    return torch.from_numpy(dataset.particles.rotation)


def _free(values: torch.Tensor) -> torch.Tensor:
    return values.clone().requires_grad_()


def test_gradient_in_the_map(volume, rotation, views):
    assert torch.autograd.gradcheck(lambda v: predict(from_map(v), rotation, views, SAMPLES, PIXEL), _free(volume), fast_mode=True)


def test_gradient_in_the_orientation(volume, views):
    transform = from_map(volume)
    vector = torch.tensor([[0.4, -1.1, 0.7], [2.0, 0.3, -0.5]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda v: predict(transform, matrix_from_vector(v), views, SAMPLES, PIXEL), _free(vector))


def test_gradient_in_position_and_geometry(dataset, volume, rotation, views):
    """A position acts through the projected centre and through the depth in the defocus; a tilt's rotation also turns the slice."""
    transform, series = from_map(volume), dataset.tilt_series[0]
    corner = views.centre_px.round().detach()

    def image(position, tilts, shift):
        depth = series.hand * depth_angstrom(position, tilts)
        placed = project(position, tilts, shift, PIXEL, series.tomogram_size, series.image_size)
        moved = replace(
            views,
            rotation=tilts,
            centre_px=placed,
            defocus_u_angstrom=torch.from_numpy(series.defocus_u_angstrom) + depth,
            defocus_v_angstrom=torch.from_numpy(series.defocus_v_angstrom) + depth,
        )
        return predict(transform, rotation, moved, SAMPLES, PIXEL, placed - corner)

    free = (
        torch.from_numpy(dataset.particles.position_angstrom),
        torch.from_numpy(series.rotation),
        torch.from_numpy(series.shift_angstrom),
    )
    assert torch.autograd.gradcheck(image, tuple(_free(one) for one in free))


@pytest.mark.parametrize(
    "field",
    ["defocus_u_angstrom", "defocus_v_angstrom", "astigmatism_radians", "phase_shift_radians", "scale", "b_factor", "dose"],
)
def test_gradient_in_the_optics(field, volume, rotation, views):
    transform = from_map(volume)
    assert torch.autograd.gradcheck(
        lambda v: predict(transform, rotation, replace(views, **{field: v}), SAMPLES, PIXEL), _free(getattr(views, field))
    )


def test_offset_shifts_the_image(volume, rotation, views):
    """exp(-2πi j·u/n): the box's content moves by u pixels."""
    offset = torch.tensor([1.5, -0.25], dtype=torch.float64).expand(2, 2, 2)
    still, moved = (predict(from_map(volume), rotation, views, SAMPLES, PIXEL, u) for u in (None, offset))
    ramp = torch.exp(-2j * math.pi / BOX * (SAMPLES.double() @ offset[0, 0]))
    torch.testing.assert_close(moved, still * ramp)


def test_aberrations_enter_with_their_signs(volume, rotation, views):
    """Even ones are subtracted from the sine's argument, as a phase plate would add; odd ones multiply the signal by exp(iρ)."""
    transform, constant = from_map(volume), 0.3
    plain = replace(views, optics=replace(OPTICS, even_zernike=(), odd_zernike=()))
    even = replace(plain, optics=replace(plain.optics, even_zernike=(constant,)))
    plate = replace(plain, phase_shift_radians=views.phase_shift_radians - constant)
    odd = replace(plain, optics=replace(plain.optics, odd_zernike=(0.0, 5.0)))
    images = {
        name: predict(transform, rotation, one, SAMPLES, PIXEL)
        for name, one in (("plain", plain), ("even", even), ("plate", plate), ("odd", odd))
    }
    torch.testing.assert_close(images["even"], images["plate"])
    ramp = torch.exp(1j * 5.0 * SAMPLES[:, 0].double() / (BOX * PIXEL))
    torch.testing.assert_close(images["odd"], images["plain"] * ramp)


def test_hand_and_depth_set_the_defocus(dataset, views):
    series = dataset.tilt_series[0]
    height = np.einsum("fj,pj->pf", series.rotation[:, 2], dataset.particles.position_angstrom)
    np.testing.assert_allclose(views.defocus_u_angstrom.numpy(), series.defocus_u_angstrom - height)
    np.testing.assert_allclose((views.defocus_u_angstrom - views.defocus_v_angstrom).numpy(), 1000.0)


def test_origin_is_subtracted_in_the_subtomogram_frame(dataset, views):
    delta = 7.0
    table = dataset.particles
    turned = np.tile(np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]), (2, 1, 1))
    origin = np.tile([delta, 0.0, 0.0], (2, 1))
    shifted = views_of(dataset.with_particles(replace(table, rotation_subtomogram=turned, origin_angstrom=origin)), np.arange(2))
    expected = -delta / PIXEL * np.einsum("fij,j->fi", dataset.tilt_series[0].rotation[:, :2], turned[0][:, 0])
    np.testing.assert_allclose((shifted.centre_px - views.centre_px).numpy(), np.tile(expected, (2, 1, 1)), atol=1e-9)


def test_read_only_metadata_are_accepted(dataset, views):
    series = dataset.tilt_series[0]
    frozen = {name: getattr(series, name).copy() for name in ("rotation", "dose", "scale", "shift_angstrom", "defocus_u_angstrom")}
    for values in frozen.values():
        values.setflags(write=False)
    again = views_of(replace(dataset, tilt_series=(replace(series, **frozen),)), np.arange(2), max_dose=10.0)
    torch.testing.assert_close(again.centre_px, views.centre_px)


def test_transfer_of_a_particle_is_that_of_its_images(views):
    """What is shared by particles is computed once, in single precision, without changing anything."""
    frequency = SAMPLES / (BOX * 4.0)
    slow = torch.stack([transfer(views, tilt, frequency.double()) for tilt in range(len(views.rotation))], 1)
    fast = transfer_by_particle(views, frequency.float())
    tilts = torch.tensor([1, 0])
    for particle in range(len(slow)):
        torch.testing.assert_close(fast(particle, tilts).double(), slow[particle, tilts], rtol=0, atol=1e-5)

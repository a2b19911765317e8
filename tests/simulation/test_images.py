"""Whole tilt images against a closed form, the signal-to-noise ratio that was asked for, and reproducibility."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tomobayes.fourier.volume import from_map
from tomobayes.imaging.views import Views, transfer, views_of
from tomobayes.model import Dataset
from tomobayes.simulation.acquisition import Acquisition
from tomobayes.simulation.density import VOLTS, density_map, particle_diameter_angstrom
from tomobayes.simulation.images import clean_images, delocalised_box, rendering_bytes, signal_variance
from tomobayes.simulation.noise import white
from tomobayes.simulation.scattering import Scatterers, beads
from tomobayes.simulation.scene import scene
from tomobayes.simulation.simulation import Motion, series_truth, simulate, tilt_images

PIXEL, SIGMA = 8.0, 12.0
BEADS = np.array([[30.0, 10.0, -20.0], [-40.0, 25.0, 10.0], [0.0, -45.0, 30.0], [10.0, 20.0, 40.0]])


def _model() -> Scatterers:
    return beads(BEADS, np.array([3.0, 2.0, 4.0, 1.0]), np.full(4, SIGMA))


@pytest.fixture(scope="module")
def density():
    return density_map(_model(), 32, PIXEL, b_factor_angstrom2=0.0)


@pytest.fixture(scope="module")
def ice() -> Dataset:
    acquisition = Acquisition(PIXEL, (160, 144), 400.0, (-40, 40), 20.0, defocus_range_angstrom=(20000, 20000), shift_angstrom=20.0)
    return scene(acquisition, n_series=1, n_particles=8, min_distance_angstrom=150.0, random=np.random.default_rng(2))


def _closed_form(dataset: Dataset, views: Views, tilt: int) -> np.ndarray:
    """Σ over particles of CTF·Σ beads f(k)·exp(-2πi k·x) on the Fourier grid of the whole image: no box, no map, no interpolation."""
    width, height = dataset.tilt_series[0].image_size
    ky, kx = np.meshgrid(np.fft.fftfreq(height, PIXEL), np.fft.rfftfreq(width, PIXEL), indexing="ij")
    frequency = np.stack([kx, ky], -1).reshape(-1, 2)
    model = _model()
    shape = np.exp(-2 * (np.pi * SIGMA) ** 2 * np.square(frequency).sum(1))
    factor = transfer(views, tilt, torch.from_numpy(frequency)).numpy()
    spectrum = np.zeros(len(frequency), dtype=complex)
    for p, rotation in enumerate(dataset.particles.rotation):
        spot = views.centre_px[p, tilt].numpy() * PIXEL + (views.rotation[tilt].numpy() @ rotation @ BEADS.T).T[:, :2]
        spectrum += factor[p] * shape * (np.exp(-2j * np.pi * frequency @ spot.T) @ model.weight)
    # Density in V summed along z in steps of a pixel
    return np.fft.irfft2(spectrum.reshape(height, -1), s=(height, width)) * VOLTS / PIXEL**3


def test_a_tilt_image_is_the_closed_form(ice, density):
    views = views_of(ice, np.arange(8))
    for tilt, image in enumerate(clean_images(ice, 0, [density])):
        expected = _closed_form(ice, views, tilt)
        error = np.sqrt(np.mean((image - expected) ** 2) / np.mean(expected**2))
        assert error < 0.02, f"tilt {tilt}: {error:.3f}"


@pytest.mark.parametrize("towards", [[60, 0, 0], [-60, 0, 0], [0, 60, 0], [0, -60, 0]])
def test_particles_at_the_edge_are_cut_not_wrapped(ice, density, towards):
    """The image is the middle of a larger one."""
    moved = ice.with_particles(replace(ice.particles, position_angstrom=ice.particles.position_angstrom + PIXEL * np.array(towards)))
    wider = replace(moved, tilt_series=(replace(ice.tilt_series[0], image_size=(400, 384)),))
    image, whole = (next(clean_images(one, 0, [density])) for one in (moved, wider))
    np.testing.assert_allclose(image, whole[120:264, 120:280], atol=1e-6 * np.abs(whole).max())


def test_particles_outside_leave_no_trace(ice, density):
    away = ice.with_particles(replace(ice.particles, position_angstrom=ice.particles.position_angstrom + np.array([PIXEL * 2000, 0, 0])))
    assert (next(clean_images(away, 0, [density])) == 0).all()


def test_signal_variance_is_that_of_fresh_ice(ice, density):
    """Neither dose nor tilt-dependent scale nor a B factor change the definition of the signal-to-noise ratio."""
    series = ice.tilt_series[0]
    worn = replace(series, dose=series.dose + 80, scale=0.5 * series.scale, b_factor=np.full(series.n_tilts, 500.0))
    assert signal_variance(replace(ice, tilt_series=(worn,)), [density], 150.0) == pytest.approx(signal_variance(ice, [density], 150.0))


def test_classes_use_their_own_maps(ice, density):
    second = replace(ice.particles, class_number=np.array([1, 2] * 4))
    mixed = next(clean_images(ice.with_particles(second), 0, [density, replace(density, data=2 * density.data)]))
    alone = next(clean_images(ice, 0, [density]))
    rest = next(clean_images(_subset(ice, slice(1, None, 2)), 0, [density]))
    np.testing.assert_allclose(mixed, alone + rest, atol=1e-4 * np.abs(alone).max())


def _subset(dataset: Dataset, rows: slice) -> Dataset:
    fields = ("name", "tilt_series", "optics", "position_angstrom", "rotation_subtomogram", "rotation_particle", "origin_angstrom")
    fields += ("half", "class_number", "tilt_prior_degrees", "psi_prior_degrees", "rot_prior_degrees")
    return dataset.with_particles(replace(dataset.particles, **{name: getattr(dataset.particles, name)[rows] for name in fields}))


def test_signal_to_noise_ratio_is_what_was_asked_for(ice, density):
    """Measured on the written images of one isolated particle: variance in its disc over the variance of pixels far away."""
    one = _subset(ice, slice(0, 1))
    fresh = replace(one.tilt_series[0], dose=np.zeros(5), scale=np.ones(5))
    one = replace(one, tilt_series=(fresh,))
    simulation = simulate(one, [density], seed=1, snr=40.0, noise=white(), grey_scale="float32")
    image = list(tilt_images(simulation, 0))[2]
    x, y = views_of(one, np.arange(1)).centre_px[0, 2].numpy()
    row, column = np.mgrid[: image.shape[0], : image.shape[1]]
    distance = np.hypot(column - x, row - y) * PIXEL
    noise = image[distance > 400].var()
    signal = image[distance <= particle_diameter_angstrom(density) / 2].var() - noise
    assert noise == pytest.approx(1.0, rel=0.05)
    assert signal / noise == pytest.approx(40.0, rel=0.15)


@pytest.mark.parametrize("grey_scale", ["int8", "int16", "float32"])
def test_written_images_are_dark_and_predicted_by_the_truth(ice, density, grey_scale):
    simulation = simulate(ice, [density], seed=3, snr=1.0, grey_scale=grey_scale)
    written = np.stack(list(tilt_images(simulation, 0)))
    assert written.dtype == grey_scale
    clean = np.stack(list(clean_images(simulation.truth, 0, simulation.maps)))
    slope = (written * clean).sum() / np.square(clean).sum()
    assert slope == pytest.approx(-1, abs=0.05)
    if grey_scale != "float32":
        limits = np.iinfo(grey_scale)
        assert ((written == limits.min) | (written == limits.max)).mean() < 1e-3


def test_the_seed_decides_everything(ice, density):
    first, again, other = (simulate(ice, [density], seed=seed, snr=0.1, motion=Motion(1.0)) for seed in (5, 5, 6))
    images = [np.stack(list(tilt_images(one, 0))) for one in (first, again, other)]
    assert np.array_equal(images[0], images[1])
    assert not np.array_equal(images[0], images[2])


def test_a_series_may_be_empty(ice, density):
    empty_first = replace(ice, tilt_series=(ice.tilt_series[0], ice.tilt_series[0]))
    empty_first = empty_first.with_particles(replace(ice.particles, tilt_series=np.ones(8, dtype=np.int64)))
    simulation = simulate(empty_first, [density], seed=1, snr=1.0, motion=Motion(1.0))
    assert all((image == 0).all() for image in clean_images(simulation.truth, 0, simulation.maps))
    assert series_truth(simulation, 0).motion.shape == (0, 5, 3)


def test_memory_is_told_in_advance(ice, density):
    """Two maps cost one more transform than one; three times finer pixels cost 27 times as much and delocalisation more."""
    one, two = (rendering_bytes(ice, [density] * n) for n in (1, 2))
    transform = from_map(torch.zeros((delocalised_box(ice, density),) * 3)).data
    assert two - one == pytest.approx(transform.numel() * transform.element_size(), rel=0.05)
    finer = replace(density, data=np.zeros((96,) * 3, np.float32), pixel_size_angstrom=PIXEL / 3)
    assert rendering_bytes(ice, [finer]) > 27 * one


def test_truth_arrays_describe_the_images(ice, density):
    simulation = simulate(ice, [density], seed=5, snr=0.1, motion=Motion(1.0))
    truth = series_truth(simulation, 0)
    np.testing.assert_allclose(truth.tilt, [-40, -20, 0, 20, 40], atol=1e-9)
    assert truth.motion.shape == (8, 5, 3) and truth.shifts.shape == (5, 2)
    np.testing.assert_allclose(truth.defocus, simulation.truth.tilt_series[0].defocus_u_angstrom - 100)
    assert simulation.written.motion_angstrom is None

"""Tilt images beside their predictions: same as the forward model, right noise, right grey scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from small_experiment import BOX, OPTICS, PIXEL, particles, phantom, positions, recorded, series
from tomobayes.compute.executors import InProcess
from tomobayes.inference.state import Settings
from tomobayes.maps.masks import sphere_mask
from tomobayes.model import Dataset
from tomobayes.tiltseries.boxes import Cutter, portioned
from tomobayes.tiltseries.comparison import beside, calibrate, compare, cut_for
from tomobayes.tiltseries.own_noise import own_agreement, own_noise
from tomobayes.tiltseries.rebuilding import rebuilt
from tomobayes.tiltseries.references import from_half_maps
from tomobayes.tiltseries.tables import look_up, tables

DIAMETER = 130.0


@pytest.fixture(scope="module")
def density():
    return phantom(sigma=6.0)


@pytest.fixture(scope="module")
def references(density):
    mask = sphere_mask(BOX, DIAMETER / PIXEL)
    return from_half_maps((density.data, density.data), mask, PIXEL, 16)


def _dataset(density, sigma: float) -> Dataset:
    table = particles(positions(4, 42))
    table = replace(table, half=np.arange(len(table)) % 2 + 1)
    return recorded(Dataset((series(216, step=15.0, reach=45.0),), (OPTICS,), table), density, sigma=sigma)


def _compared(dataset, references):
    rows = np.arange(len(dataset.particles))
    return compare(Cutter(dataset), rows, references, cut_for(dataset, rows, references, DIAMETER, None))


def test_noise_free_images_are_as_predicted(density, references):
    one = _compared(_dataset(density, 0.0), references)
    prediction = one.predicted
    inner = (one.shell > 2) & (one.shell < 0.6 * int(one.shell.max()))  # the window takes a little of the lowest frequencies
    error = (one.image - prediction)[..., inner].abs().square().sum() / prediction[..., inner].abs().square().sum()
    assert one.views.visible.all()
    assert error.sqrt() < 0.05


def test_a_particle_beside_its_place_shows_as_a_phase_ramp(density, references):
    dataset = _dataset(density, 0.0)
    shift = np.array([3.0, -2.0])
    shifted = replace(dataset, tilt_series=(replace(dataset.tilt_series[0], shift_angstrom=dataset.tilt_series[0].shift_angstrom - shift),))
    one = _compared(shifted, references)  # the particles are at +shift from where they are now believed to be
    ramp = torch.polar(torch.ones(len(one.frequency)), -2 * torch.pi * (one.frequency @ torch.tensor(shift, dtype=torch.float32)))
    inner = (one.shell > 2) & (one.shell < 0.6 * int(one.shell.max()))
    expected = (one.predicted * ramp)[..., inner]
    assert ((one.image[..., inner] - expected).abs().square().sum() / expected.abs().square().sum()).sqrt() < 0.05


def test_noise_and_grey_scale_are_found(density, references):
    sigma = 2.0
    one = _compared(_dataset(density, sigma), references)
    found = calibrate([one])
    known = found.sigma2[:, 3:]
    assert abs(float(known.mean()) / (sigma**2 / 2) - 1) < 0.05
    strong = found.amplitude[2 : len(found.amplitude) // 2]
    assert torch.all((strong - 1).abs() < 0.1)
    doubled = calibrate([replace(one, slices=one.slices / 2)])
    assert torch.allclose(doubled.amplitude, 2 * found.amplitude, rtol=1e-4)


def test_a_reference_of_the_wrong_contrast_predicts_nothing(density, references):
    one = _compared(_dataset(density, 0.5), references)
    assert not calibrate([replace(one, slices=-one.slices)]).amplitude.any()


def test_portions_hold_every_particle_once():
    rows = np.arange(5, 100)
    split = portioned(rows, 41, 1000, budget_bytes=2e7)
    assert len(split) > 3
    assert np.array_equal(np.concatenate(split), rows)


def test_half_maps_are_cut_where_they_stop_agreeing(density):
    random = np.random.default_rng(3)
    mask = sphere_mask(BOX, DIAMETER / PIXEL)
    noise = density.data.std() * 6
    first, second = (density.data + noise * random.standard_normal(density.data.shape).astype(np.float32) for _ in range(2))
    found = from_half_maps((first, second), mask, PIXEL, 7)
    whole = from_half_maps((density.data, density.data), mask, PIXEL, 7)
    assert found.radius < whole.radius
    assert len(found.fold) == 7
    assert found.finest_frequency == pytest.approx(found.radius / (BOX * PIXEL))


def test_rebuilt_maps_leave_the_own_fold_out(density):
    dataset = _dataset(None, 2.0)
    settings = Settings(BOX, PIXEL, DIAMETER, np.eye(3)[None], sphere_mask(BOX, DIAMETER / PIXEL))
    usable = np.ones(len(dataset.particles), dtype=bool)
    found = rebuilt(Cutter(dataset), usable, settings, 10, None, InProcess())
    assert len(found.volumes[0]) == len(found.volumes[1]) == 4
    agreement = _agreement(dataset, found)
    assert abs(agreement) < 4, "images of pure noise know nothing of a map without them"
    own = replace(found, fold=(found.fold + 1) % 4)
    assert _agreement(dataset, own) > agreement + 4, "but something of a map made of them"


def test_tables_are_freed_of_their_own_noise(density):
    """Images of pure noise beside a map that was made of most of them: where they are cut, they seem to agree with it."""
    dataset = _dataset(None, 2.0)
    settings = Settings(BOX, PIXEL, DIAMETER, np.eye(3)[None], sphere_mask(BOX, DIAMETER / PIXEL))
    found = rebuilt(Cutter(dataset), np.ones(len(dataset.particles), dtype=bool), settings, 10, None, InProcess())
    whole = replace(found, volumes=tuple(folds[:1] for folds in found.volumes), fold=np.zeros_like(found.fold))
    one = _compared(dataset, whole)
    known = calibrate([one])
    own, _ = own_noise([(one, beside(dataset, one, whole.swapped))], known)
    precision, middle = known.precision(one.shell), torch.zeros(*one.slices.shape[:2], 2, dtype=torch.float64)
    noise = float((one.predicted.abs().square() * precision).sum().sqrt())
    freed, biased = (
        float(look_up(tables(one, torch.ones_like(precision), precision, 4.0, 12.0, middle, what), middle)[0].sum()) / noise
        for what in (own_agreement(one, torch.from_numpy(own)), None)
    )
    assert abs(freed) < 4
    assert biased > abs(freed) + 4


def test_every_so_manieth_particle_is_compared_as_among_all(density, references):
    one = _compared(_dataset(density, 1.0), references)
    few = one.every(3)
    assert np.array_equal(few.particles, one.particles[::3])
    torch.testing.assert_close(few.predicted, one.predicted[::3])
    torch.testing.assert_close(few.factor, one.factor[::3])


def _agreement(dataset, references) -> float:
    """ΣRe(X*·prediction) in standard deviations."""
    one = _compared(dataset, references)
    prediction = one.predicted
    return float((one.image.conj() * prediction).real.sum() / (2.0 / 2**0.5 * prediction.abs().square().sum().sqrt()))

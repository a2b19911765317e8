"""Boxes in one tilt image beside their prediction: the same forward model as everywhere, so without noise they are the same image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from small_experiment import BOX, OPTICS, PIXEL, Stacks, particles, phantom, positions, recorded, series
from tomobayes.formats.mrc import read_map
from tomobayes.formats.relion import read_dataset
from tomobayes.imaging.crops import Crop
from tomobayes.imaging.pairs import pairs_in
from tomobayes.imaging.subtomograms import modulated_images, stack
from tomobayes.imaging.views import views_of
from tomobayes.model import Dataset, Map

TILT, DIAMETER = 3, 130.0


def dataset(sigma: float = 0.0, density: Map | None = None) -> Dataset:
    one = replace(series(256), defocus_u_angstrom=np.linspace(19e3, 31e3, 13), defocus_v_angstrom=np.linspace(18e3, 32e3, 13))
    return recorded(Dataset((one,), (OPTICS,), particles(positions(3, 50))), density or phantom(), sigma)


@pytest.mark.parametrize("modulated", [True, False])
@pytest.mark.parametrize("lowpass", [13.0, 30.0])
def test_without_noise_a_box_is_its_prediction(modulated, lowpass):
    found = pairs_in(
        dataset(), np.arange(9), np.full(9, TILT), phantom(), lowpass_angstrom=lowpass, diameter_angstrom=DIAMETER, modulated=modulated
    )
    assert found.recorded.shape == (9, BOX, BOX) and found.pixel_size_angstrom == PIXEL
    assert found.correlation.min() > 0.999
    size = np.linalg.norm(found.recorded, axis=(1, 2)) / np.linalg.norm(found.predicted, axis=(1, 2))
    assert np.all((size > 0.95) & (size < 1.05))


def test_wrong_poses_and_places_agree_less():
    exact = dataset()
    turned = exact.with_particles(replace(exact.particles, rotation_particle=exact.particles.rotation_particle.transpose(0, 2, 1)))
    moved = exact.with_particles(replace(exact.particles, position_angstrom=exact.particles.position_angstrom + np.array([24.0, 0, 0])))
    for wrong in (turned, moved):
        found = pairs_in(wrong, np.arange(9), np.full(9, TILT), phantom(), lowpass_angstrom=13, diameter_angstrom=DIAMETER)
        assert np.median(found.correlation) < 0.7


def test_particles_come_in_the_order_asked_for_and_of_all_optics_groups():
    one = dataset()
    optics = (OPTICS, replace(OPTICS, name="b", spherical_aberration_mm=2.0))
    two = replace(one, optics=optics, particles=replace(one.particles, optics=np.arange(9) % 2))
    rows = np.array([7, 2, 5])
    found = pairs_in(two, rows, np.full(3, TILT), phantom(), lowpass_angstrom=20, diameter_angstrom=DIAMETER)
    for place, row in enumerate(rows):
        alone = pairs_in(two, np.array([row]), np.array([TILT]), phantom(), lowpass_angstrom=20, diameter_angstrom=DIAMETER)
        np.testing.assert_allclose(found.recorded[place], alone.recorded[0], atol=1e-5)
        np.testing.assert_allclose(found.predicted[place], alone.predicted[0], atol=1e-5)


def test_particles_are_shown_in_the_tilt_that_is_asked_for_each():
    one, rows, tilts = dataset(0.05), np.array([0, 3, 8, 3]), np.array([2, 9, 2, 5])
    found = pairs_in(one, rows, tilts, phantom(), lowpass_angstrom=20, diameter_angstrom=DIAMETER)
    for place, (row, tilt) in enumerate(zip(rows, tilts, strict=True)):
        alone = pairs_in(one, np.array([row]), np.array([tilt]), phantom(), lowpass_angstrom=20, diameter_angstrom=DIAMETER)
        np.testing.assert_allclose(found.recorded[place], alone.recorded[0], atol=1e-5)
        np.testing.assert_allclose(found.predicted[place], alone.predicted[0], atol=1e-5)


def test_a_map_on_another_grid_is_brought_to_the_images():
    finer = phantom(2 * BOX, PIXEL / 2)
    found = pairs_in(dataset(), np.arange(9), np.full(9, TILT), finer, lowpass_angstrom=20, diameter_angstrom=DIAMETER)
    assert found.recorded.shape == (9, BOX, BOX) and found.correlation.min() > 0.97


def test_stored_stacks_show_the_same_as_the_tilt_images():
    """Stacks of box 32 as RELION writes them, of the tilts 1 and later."""
    live = dataset(0.02)
    crop, kept = Crop(BOX, BOX * 2, BOX * 2), np.arange(13) > 0
    views = views_of(live, np.arange(9))
    images = live.tilt_series[0].images
    pixels = tuple(stack(modulated_images(images, views, row, crop))[kept] for row in range(9))
    stored = live.with_particles(replace(live.particles, stacks=Stacks(pixels), visible=(kept,) * 9))
    options = {"lowpass_angstrom": 20.0, "diameter_angstrom": DIAMETER}
    there, here = (pairs_in(one, np.arange(9), np.full(9, TILT), phantom(), **options) for one in (stored, live))
    np.testing.assert_allclose(there.predicted, here.predicted, atol=1e-5)
    assert np.abs(there.correlation - here.correlation).max() < 0.05 and there.correlation.min() > 0.8
    absent = pairs_in(stored, np.arange(9), np.full(9, 0), phantom(), **options)
    assert not absent.recorded.any() and not absent.predicted.any() and np.isnan(absent.correlation).all()
    with pytest.raises(ValueError, match="multiplied by the CTF already"):
        pairs_in(stored, np.arange(9), np.full(9, TILT), phantom(), **options, modulated=False)


def test_real_ribosomes_agree_with_their_average_in_one_hand(shared):
    """2D stacks of 40 ribosomes (EMPIAR-10499) at the poses WarpTools gave; the average that ships with them is their mirror image in z."""
    folder = shared / "data" / "real" / "ribosome_70s_12A"
    found = read_dataset(folder / "warptools_test_4-tomos_10-ptcls_box-32_angpix-12_optimisation_set.star", require_images=False)
    mirrored = read_map(folder / "warptools_test_box-32_angpix-12_reconstruct.mrc", 12.0)
    average = Map(np.roll(mirrored.data[::-1], 1, axis=0).copy(), 12.0)
    others = found.with_particles(replace(found.particles, rotation_particle=np.roll(found.particles.rotation_particle, 1, axis=0)))
    right, wrong_hand, wrong_pose = (_agreement(*case) for case in ((found, average), (found, mirrored), (others, average)))
    assert right > 0.05 and max(wrong_hand, wrong_pose) < 0.4 * right, (right, wrong_hand, wrong_pose)


def _agreement(dataset: Dataset, average: Map) -> float:
    """Mean correlation over particles and every sixth tilt."""
    options = {"lowpass_angstrom": 30.0, "diameter_angstrom": 280.0}
    rows = [np.flatnonzero(dataset.particles.tilt_series == index) for index in range(len(dataset.tilt_series))]
    every = [
        pairs_in(dataset, rows[index], np.full(len(rows[index]), tilt), average, **options).correlation
        for index, series in enumerate(dataset.tilt_series)
        for tilt in range(0, series.n_tilts, 6)
    ]
    return float(np.nanmean(np.concatenate(every)))

"""Subtracted images are those that the rest of the particle alone would have made."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from small_experiment import BOX, OPTICS, PIXEL, Recorded, particles, phantom, positions, recorded, series
from tomobayes.imaging.crops import Crop
from tomobayes.imaging.observation import Statistics, from_tilt_images
from tomobayes.imaging.subtomograms import modulated_images, plain_stack
from tomobayes.imaging.subtraction import signal_sums, subtracted_signal
from tomobayes.imaging.views import views_of
from tomobayes.model import Dataset, Map, Subtraction

CROP = Crop(BOX, 48, 48)
RADIUS = 11


def blob(x: float, y: float, z: float, box: int = BOX, pixel: float = PIXEL) -> np.ndarray:
    """A round part of a particle, off its centre, Å."""
    axis = (np.arange(box) - box // 2) * pixel
    zz, yy, xx = (np.exp(-((axis - centre) ** 2) / (2 * 9.0**2)) for centre in (z, y, x))
    return (zz[:, None, None] * yy[:, None] * xx).astype(np.float32)


PART = Map(blob(22, -8, 5), PIXEL)
REST = phantom()
WHOLE = Map(PART.data + REST.data, PIXEL)


def experiment(density: Map, **optics) -> Dataset:
    """Four particles far apart without noise, with origins and motion."""
    table = particles(positions(2, 70), 3)
    table = replace(table, origin_angstrom=np.random.default_rng(2).normal(0, 5, (4, 3)))
    motion = tuple(np.random.default_rng(i).normal(0, 3, (13, 3)) for i in range(4))
    return recorded(Dataset((series(192),), (replace(OPTICS, **optics),), table, motion), density, 0.0)


def subtracting(dataset: Dataset, *maps: Map) -> Dataset:
    """Maps off at the poses that the particles have."""
    table = dataset.particles
    table = replace(table, subtracted_rotation=table.rotation, subtracted_centre_angstrom=table.centre_angstrom)
    return replace(dataset, particles=table, subtraction=Subtraction((maps[0], maps[-1])))


def statistics(dataset: Dataset, crop: Crop = CROP) -> Statistics:
    return from_tilt_images(dataset, np.arange(4), crop, RADIUS)


def left_over(found: torch.Tensor, alone: torch.Tensor, whole: torch.Tensor) -> float:
    """Share of the signal that was to go, in amplitude; trilinear interpolation leaves up to a percent."""
    return float(torch.linalg.vector_norm(found - alone) / torch.linalg.vector_norm(whole - alone))


@pytest.mark.parametrize("optics", [{}, {"magnification": ((1.02, 0.0), (0.01, 0.99)), "odd_zernike": (0.0, 0.0, 300.0)}])
@pytest.mark.parametrize("crop", [CROP, Crop(BOX, BOX, BOX), Crop(BOX, 40, 60)])
def test_images_less_the_rest_are_images_of_the_part(crop, optics):
    found = statistics(subtracting(experiment(WHOLE, **optics), REST), crop)
    alone, whole = statistics(experiment(PART, **optics), crop), statistics(experiment(WHOLE, **optics), crop)
    assert left_over(found.data, alone.data, whole.data) < (0.01 if crop.large > BOX else 0.03)
    torch.testing.assert_close(found.weight, alone.weight)


def test_a_map_of_another_box_and_voxel_is_subtracted_as_well():
    wide = Map(np.pad(REST.data, 8), PIXEL)
    found = statistics(subtracting(experiment(WHOLE), wide))
    assert left_over(found.data, statistics(experiment(PART)).data, statistics(experiment(WHOLE)).data) < 0.01
    coarse = Map(blob(0, 0, 0, 20, 1.6 * PIXEL), 1.6 * PIXEL)
    fine = Map(blob(0, 0, 0), PIXEL)
    data = statistics(subtracting(experiment(fine), coarse)).data
    assert left_over(data, torch.zeros(()), statistics(experiment(fine)).data) < 0.03


def test_each_half_meets_the_map_of_its_own():
    nothing = Map(np.zeros_like(REST.data), PIXEL)
    found = statistics(subtracting(experiment(WHOLE), REST, nothing)).data
    alone, whole = statistics(experiment(PART)).data, statistics(experiment(WHOLE)).data
    assert left_over(found[::2], alone[::2], whole[::2]) < 0.01
    torch.testing.assert_close(found[1::2], whole[1::2])


def test_signal_stays_where_it_was_when_particles_are_moved_and_turned():
    """Around the part, turned: the boxes are those of the part alone at that place, and the map is still seen at the old pose."""
    away = np.array([22.0, -8.0, 5.0])

    def moved(dataset: Dataset) -> Dataset:
        table = dataset.particles
        centre = table.centre_angstrom + table.rotation @ away
        turned = table.rotation_particle @ particles(positions(1, 0), 9).rotation_particle
        still = np.zeros_like(centre)
        return dataset.with_particles(replace(table, position_angstrom=centre, origin_angstrom=still, rotation_particle=turned))

    found = statistics(moved(subtracting(experiment(WHOLE), REST))).data
    assert left_over(found, statistics(moved(experiment(PART))).data, statistics(moved(experiment(WHOLE))).data) < 0.01


@pytest.mark.parametrize("odd", [(), (0.0, 0.0, 300.0)])
def test_extracted_images_have_the_signal_gone(odd):
    def images(dataset: Dataset) -> tuple[torch.Tensor, torch.Tensor]:
        rows = np.array([1])
        views = views_of(dataset, rows, half_width_px=BOX / 2)
        signal = subtracted_signal(dataset, rows, views, CROP)
        source = dataset.tilt_series[0].images
        assert isinstance(source, Recorded)
        return modulated_images(source, views, 0, CROP, signal).data, torch.from_numpy(plain_stack(source, views, 0, CROP, signal))

    whole = experiment(WHOLE, odd_zernike=odd)
    for three in zip(images(subtracting(whole, REST)), images(experiment(PART, odd_zernike=odd)), images(whole), strict=True):
        assert left_over(*three) < 0.01


def test_sums_tell_how_strongly_maps_stand_in_the_images():
    """Maps of half the density are worth twice themselves, in every shell that has signal."""
    faint = Map(0.5 * REST.data, PIXEL)
    found, expected = signal_sums(subtracting(experiment(REST), faint), np.arange(4), CROP)
    np.testing.assert_allclose(found[1:RADIUS] / expected[1:RADIUS], 2, atol=0.03)

"""Tilt series of several pixel sizes and microscopes in one run: one map, as good as if all had been recorded alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from small_experiment import BOX, OPTICS, PIXEL, Recorded, particles, phantom, positions, series
from tomobayes.compute.executors import InProcess
from tomobayes.fourier.volume import Sums
from tomobayes.geometry.rotations import angular_distance_degrees
from tomobayes.imaging.crops import Crop
from tomobayes.imaging.gathering import Gatherer, Source, coarsest_pixel, portions, usable_particles
from tomobayes.imaging.observation import from_tilt_images
from tomobayes.inference.maximisation import solve
from tomobayes.inference.reconstruction import reconstruct_halves, signal_free_noise
from tomobayes.inference.refinement import initial_state, refine
from tomobayes.maps.fsc import fsc
from tomobayes.maps.masks import sphere_mask
from tomobayes.model import Dataset, Particles
from tomobayes.simulation.images import clean_images

OTHER = replace(OPTICS, name="b", voltage_kv=200.0, spherical_aberration_mm=1.4, amplitude_contrast=0.1)
FINE = 4.3
"""Å; 6 Å boxes are no whole multiple of it."""
WIDTH = 1296.0
"""Å, of the images."""


def _dataset(pixels: tuple[float, float], optics: tuple, sigma: float = 0.4) -> Dataset:
    """Two tilt series of 16 particles each, recorded with some pixel sizes and microscopes, and white noise of equal power per Å²."""
    shot = tuple(
        replace(series(round(WIDTH / p), step=15.0, reach=45.0, pixel=p), optics_name=o.name) for p, o in zip(pixels, optics, strict=True)
    )
    both = [particles(positions(4, 42), seed=seed) for seed in (0, 1)]
    joined = {
        name: np.concatenate([getattr(each, name) for each in both])
        for name in vars(both[0])
        if isinstance(getattr(both[0], name), np.ndarray)
    }
    of = np.repeat([0, 1], 16)
    table = Particles(**joined | {"tilt_series": of, "optics": of})
    dataset = Dataset(tuple(replace(one, name=f"TS_{i}") for i, one in enumerate(shot)), optics, table)
    return replace(dataset, tilt_series=tuple(_recorded(dataset, index, sigma) for index in (0, 1)))


def _recorded(dataset: Dataset, index: int, sigma: float):
    """Contrast is what the density adds per Å along the beam: a projection of a map of pixel p counts density per p."""
    one, random = dataset.tilt_series[index], np.random.default_rng(index)
    pixel = one.pixel_size_angstrom
    density = phantom(box=2 * round(BOX * PIXEL / pixel / 2), pixel=pixel, sigma=6.0)
    signal = (pixel / PIXEL) * np.stack(list(clean_images(dataset, index, [density])))
    noise = random.normal(0, sigma * PIXEL / pixel, signal.shape)
    return replace(one, images=Recorded(-(signal + noise).astype(np.float32), pixel))


def _gather(dataset: Dataset) -> Gatherer:
    return Gatherer(dataset, Source("series", BOX, PIXEL / coarsest_pixel(dataset)), BOX // 2 - 1)


def _sums(dataset: Dataset, rows: np.ndarray) -> dict[tuple[int, int], Sums]:
    """Half-maps' sums of some particles at their true poses."""
    parts, gather, table = portions(dataset, rows), _gather(dataset), dataset.particles
    sigma2, _ = signal_free_noise(parts, gather, InProcess())
    turn, centre = torch.from_numpy(table.rotation), torch.from_numpy(table.centre_angstrom)
    group = torch.eye(3, dtype=torch.float64)[None]
    return reconstruct_halves(parts, gather, sigma2, turn, centre, box=BOX, radius=BOX // 2 - 1, group=group, executor=InProcess())[0]


def _map(sums: dict[tuple[int, int], Sums]) -> np.ndarray:
    return solve(sums[1, 0] + sums[2, 0], None).numpy()


@pytest.fixture(scope="module")
def mixed() -> Dataset:
    return _dataset((PIXEL, FINE), (OPTICS, OTHER))


def _truth() -> np.ndarray:
    return phantom(sigma=6.0).data


def test_a_map_of_both_is_as_good_as_of_images_that_are_alike(mixed):
    every = np.ones(32, dtype=bool)
    mask = sphere_mask(BOX, 130.0 / PIXEL)
    of_both, alike = (
        fsc(_map(_sums(dataset, every)) * mask, _truth())[2:10] for dataset in (mixed, _dataset((PIXEL, PIXEL), (OPTICS, OPTICS)))
    )
    of_each = [fsc(_map(_sums(mixed, mixed.particles.tilt_series == index)) * mask, _truth())[2:10] for index in (0, 1)]
    assert of_both.mean() > alike.mean() - 0.01
    assert all(of_both.mean() > one.mean() for one in of_each)


def _grey(found: np.ndarray) -> float:
    """Of a map, relative to the true one, where images say most."""
    ours, theirs = (torch.fft.fftn(torch.from_numpy(each)) for each in (found, _truth()))
    frequency = torch.fft.fftfreq(BOX, 1 / BOX)
    radius = (frequency[:, None, None] ** 2 + frequency[:, None] ** 2 + frequency**2).sqrt()
    seen = (radius > 4.5) & (radius < 7.5)
    return float((ours * theirs.conj()).real[seen].sum() / theirs.abs().square()[seen].sum())


def test_each_kind_gives_the_map_its_size_and_grey_value():
    quiet = _dataset((PIXEL, FINE), (OPTICS, OTHER), sigma=0.1)
    of_each = [_map(_sums(quiet, quiet.particles.tilt_series == index)) * sphere_mask(BOX, 130.0 / PIXEL) for index in (0, 1)]
    assert all(fsc(one, _truth())[2:8].min() > 0.97 for one in of_each)
    assert _grey(of_each[0]) == pytest.approx(1, abs=0.15)
    assert _grey(of_each[1]) == pytest.approx(_grey(of_each[0]), rel=0.05)


def test_pixels_that_are_not_as_asked_are_told_of(mixed):
    """Of a crop whose pixels are larger than the map's, samples lie at lower frequencies than their numbers."""
    crop = Crop(BOX, BOX, 46)
    plain = from_tilt_images(mixed, np.array([16]), crop, 10)
    told = from_tilt_images(mixed, np.array([16]), crop, 10, pixel_size_angstrom=PIXEL)
    stretch = FINE * crop.binning / PIXEL
    assert stretch > 1.02 and told.pixel_size_angstrom == PIXEL and plain.pixel_size_angstrom == pytest.approx(stretch * PIXEL)
    torch.testing.assert_close(told.points * stretch, plain.points)
    assert torch.equal(told.data, plain.data)


def test_boxes_reach_equally_far_at_the_border(mixed):
    table = mixed.particles
    place = table.position_angstrom.copy()
    place[[0, 16], 1] = WIDTH / 2 - BOX * PIXEL / 2 + 40  # both boxes would stick out of untilted images
    moved = mixed.with_particles(replace(table, position_angstrom=place))
    tilts = mixed.tilt_series[0].n_tilts
    usable = usable_particles(moved, Source("series", BOX, 1.0, min_tilts=tilts))
    assert not usable[0] and not usable[16] and usable[[1, 17]].all()


def test_refinement_finds_poses_in_both(mixed, experiment):
    random = np.random.default_rng(7)
    turn = Rotation.from_rotvec(np.deg2rad(random.normal(0, 3, (32, 3)))).as_matrix()
    given = replace(
        mixed.particles, rotation_particle=mixed.particles.rotation_particle @ turn, origin_angstrom=random.normal(0, 4, (32, 3))
    )
    settings = replace(experiment.settings, max_iterations=4, initial_lowpass=40.0)
    reference, parts, gather = torch.from_numpy(_truth()), portions(mixed, np.ones(32, dtype=bool), folds=4), _gather(mixed)
    *_, last = refine(given, parts, gather, initial_state(given, parts, gather, settings, (reference, reference)), settings)
    off = angular_distance_degrees(torch.from_numpy(mixed.particles.rotation), last.rotation).numpy()
    before = angular_distance_degrees(torch.from_numpy(mixed.particles.rotation), torch.from_numpy(given.rotation)).numpy()
    for index in (0, 1):
        mine = mixed.particles.tilt_series == index
        assert np.median(off[mine]) < 0.75 * np.median(before[mine])
        moved = np.linalg.norm(last.centre_angstrom.numpy() - mixed.particles.centre_angstrom, axis=1)
        assert np.median(moved[mine]) < 2.5
    assert all(float(gain.mean()) == pytest.approx(1, abs=0.15) for gain in last.gain.values())

"""Statistics say of any pose what the images themselves say, whichever way the images come."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from small_experiment import BOX, OPTICS, PIXEL, Stacks, Subtomograms, particles, phantom, positions, random_poses, recorded, series
from tomobayes.fourier.grids import half_plane
from tomobayes.fourier.slices import extract_slices
from tomobayes.fourier.volume import from_map
from tomobayes.geometry.rotations import matrix_from_vector
from tomobayes.imaging.crops import Crop, circle_fade, crop_boxes, half_plane_frequency, soften_circle
from tomobayes.imaging.noise import precision, signal_free_sums, spectrum
from tomobayes.imaging.observation import Statistics, from_stacks, from_subtomograms, from_tilt_images, modulate, windowed_variance
from tomobayes.imaging.predict import predict
from tomobayes.imaging.subtomograms import modulated_images, pseudo_subtomogram, stack
from tomobayes.imaging.views import transfer, views_of
from tomobayes.inference.likelihood import log_likelihood, shift_phases
from tomobayes.inference.maximisation import relative_pose
from tomobayes.model import Dataset, Map, Optics

RADIUS = BOX // 2 - 1
EQUAL, WIDE = Crop(BOX, BOX, BOX), Crop(BOX, 60, 60)


def _scores(statistics: Statistics, sigma2: float, density, rotation: torch.Tensor, centre: torch.Tensor) -> torch.Tensor:
    """Log likelihood of poses (K, 3, 3) and (K, 3) of the first particle, in the tomogram."""
    rows = torch.zeros(len(rotation), dtype=torch.int64)
    one = replace(statistics, frame=statistics.frame[rows], anchor_angstrom=statistics.anchor_angstrom[rows])
    turned, shift = relative_pose(one, rotation.double(), centre.double())
    volume = from_map(torch.from_numpy(density.data), RADIUS)
    found = []
    for a, t in zip(turned.float(), shift, strict=True):
        moved = statistics.data[0] * shift_phases(statistics.points, t[None], statistics.box)
        found.append(
            log_likelihood(moved[None] / sigma2, statistics.weight[:1] / sigma2, extract_slices(volume, a[None], statistics.points))
        )
    return torch.cat(found).flatten().double()


def _poses(dataset: Dataset, n: int = 40, spread: float = 0.3, shift: float = 8.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Poses around the first particle's own."""
    random = torch.Generator().manual_seed(1)
    turn = matrix_from_vector(spread * torch.randn(n, 3, generator=random, dtype=torch.float64))
    truth = torch.from_numpy(dataset.particles.rotation[0])
    return truth @ turn, torch.from_numpy(dataset.particles.centre_angstrom[0]) + shift * torch.randn(n, 3, generator=random)


def test_equals_the_gaussian_likelihood_of_the_pixels(noisy, density):
    """-Σ(x - prediction)²/(2v) over pixels, where white noise of variance v has σ² = v/2 per real component."""
    variance = 36.0
    statistics = from_tilt_images(noisy, np.array([4]), EQUAL, RADIUS)
    table, one = noisy.particles, noisy.tilt_series[0]
    views = views_of(noisy, np.array([4]), half_width_px=BOX / 2)
    samples = half_plane(RADIUS)
    rotations = random_poses(2, seed=7).double()
    pixels = []
    for rotation in rotations:
        total = 0.0
        for tilt in np.flatnonzero(views.visible[0]):
            boxes, position = crop_boxes([one.images.read(int(tilt))], views.centre_px[:, tilt], BOX)
            image = soften_circle(boxes, circle_fade(BOX))[0].double()
            offset = (position - BOX / 2)[:, None].expand(1, one.n_tilts, 2)
            clean = predict(from_map(torch.from_numpy(density.data), RADIUS), rotation[None], views, samples, PIXEL, offset)[0, tilt]
            plane = torch.zeros(BOX, BOX, dtype=torch.complex128)
            x, y = samples.T
            plane[y % BOX, x] = clean.to(plane)
            plane[-y % BOX, -x % BOX] = clean.to(plane).conj()
            expected = torch.fft.fftshift(torch.fft.ifft2(plane, norm="ortho").real)
            total -= float((image - expected).square().sum()) / (2 * variance)
        pixels.append(total)
    centre = torch.from_numpy(table.centre_angstrom[[4, 4]])
    got = _scores(statistics, variance / 2, density, rotations, centre)
    assert abs(pixels[0] - pixels[1]) > 5
    assert float(got[0] - got[1]) == pytest.approx(pixels[0] - pixels[1], rel=1e-5)


def _signal(statistics: Statistics, dataset: Dataset, density: Map) -> tuple[torch.Tensor, torch.Tensor]:
    """Re Σ conj(D)·V and Σ W·|V|² of the first particle at its true pose, per shell."""
    table = dataset.particles
    turned, shift = relative_pose(statistics, torch.from_numpy(table.rotation[:1]), torch.from_numpy(table.centre_angstrom[:1]))
    moved = statistics.data[0] * shift_phases(statistics.points, shift, statistics.box)[0]
    slices = extract_slices(from_map(torch.from_numpy(density.data), RADIUS), turned.float(), statistics.points)[0]
    both = torch.stack([(moved.conj() * slices).real, statistics.weight[0] * slices.abs().square()])
    sums = torch.zeros(2, RADIUS + 1).index_add_(1, statistics.shell, both.reshape(2, len(statistics.samples), -1).sum(2))
    return sums[0], sums[1]


def test_a_larger_box_brings_delocalised_signal_home():
    """Defocused by 8 µm, half of the finest signal lies outside the box; the larger box has all of it, and no more helps."""
    sharp, one = phantom(sigma=4.0), series(256, defocus=80000.0, step=30.0)
    still = Dataset((replace(one, dose=0 * one.dose),), (OPTICS,), particles(positions(1, 0)))
    dataset = recorded(still, sharp, sigma=0.0)
    equal, wide, huge = (
        _signal(from_tilt_images(dataset, np.array([0]), Crop(BOX, n, n), RADIUS), dataset, sharp)[0] for n in (BOX, 96, 140)
    )
    assert equal[9:].sum() < 0.5 * huge[9:].sum() and wide[9:].sum() > 0.99 * huge[9:].sum()


@pytest.mark.parametrize("large", [BOX, 64])
def test_weight_is_what_the_signal_was_multiplied_with(large):
    """D = W·V in every shell, also near the origin and the zeros of the CTF, where W is small and its neighbours are not."""
    sharp, one = phantom(sigma=4.0), series(160, step=30.0)
    still = Dataset((replace(one, dose=0 * one.dose),), (OPTICS,), particles(positions(1, 0)))
    dataset = recorded(still, sharp, sigma=0.0)
    cross, power = _signal(from_tilt_images(dataset, np.array([0]), Crop(BOX, large, large), RADIUS), dataset, sharp)
    torch.testing.assert_close((cross / power)[2:12], torch.ones(10), rtol=0, atol=0.03)


def test_noise_of_a_crop_is_known_from_the_window():
    random, crop = torch.Generator().manual_seed(0), Crop(16, 40, 40)
    factor = torch.sin(60 * half_plane_frequency(40, 1.0).square().sum(-1) + 0.1)[None]
    noise = torch.randn(4000, 40, 40, generator=random)
    data, _ = modulate(torch.fft.rfft2(noise, norm="ortho"), factor, crop)
    expected = windowed_variance(torch.fft.irfft2(factor.square(), s=(40, 40)), torch.ones(16, 16))
    ratio = (data.abs().square().mean(0) / expected[0])[1:8, 1:8]
    assert ratio.mean() == pytest.approx(1, abs=0.02) and (ratio - 1).abs().max() < 0.1


def _stacked(dataset: Dataset, crop: Crop) -> Dataset:
    """The same particles as stored 2D stacks."""
    table, images = dataset.particles, dataset.tilt_series[0].images
    views = views_of(dataset, np.arange(len(table)), half_width_px=crop.box / 2)
    stored = tuple(stack(modulated_images(images, views, row, crop)) for row in range(len(table)))
    visible = tuple(views.visible[row].numpy() for row in range(len(table)))
    return dataset.with_particles(replace(table, stacks=Stacks(stored), visible=visible))


def _subtomograms(dataset: Dataset, crop: Crop) -> Dataset:
    """The same particles as stored pseudo-subtomograms."""
    table, images = dataset.particles, dataset.tilt_series[0].images
    views = views_of(dataset, np.arange(len(table)), half_width_px=crop.box / 2)
    stored = tuple(
        pseudo_subtomogram(modulated_images(images, views, row, crop), table.rotation_subtomogram[row]) for row in range(len(table))
    )
    return dataset.with_particles(replace(table, subtomograms=Subtomograms(stored)))


def test_images_that_were_stored_are_read_as_they_are(noisy):
    """D in real space, the particle at n//2, is a stack; what is read is what was written, odd aberrations not removed twice."""
    aberrant = replace(noisy, optics=(Optics("a", 300.0, 2.7, 0.07, odd_zernike=(5.0, -3.0, 200.0)),))
    cut = from_tilt_images(aberrant, np.arange(9), Crop(BOX, 64, 64), RADIUS)
    x, y = cut.samples.T
    plane = torch.zeros(9, cut.n_tilts, BOX, BOX // 2 + 1, dtype=torch.complex64)
    values = cut.data.reshape(9, len(x), -1).mT
    plane[:, :, y % BOX, x] = values
    edge = (x == 0).nonzero()[:, 0]
    plane[:, :, -y[edge] % BOX, 0] = values[:, :, edge].conj()
    stored = torch.fft.fftshift(torch.fft.irfft2(plane, s=(BOX, BOX), norm="ortho"), dim=(-2, -1))
    visible = views_of(aberrant, np.arange(9), half_width_px=BOX / 2).visible.numpy()
    images = Stacks(tuple(one[seen].numpy() for one, seen in zip(stored, visible, strict=True)))
    read = from_stacks(aberrant.with_particles(replace(aberrant.particles, stacks=images, visible=tuple(visible))), np.arange(9), RADIUS)
    assert (read.data - cut.data).abs().max() < 1e-4 * cut.data.abs().max()
    torch.testing.assert_close(read.weight, cut.weight, rtol=0, atol=1e-4)
    torch.testing.assert_close(read.noise_share, cut.noise_share, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("store", "read"), [(_stacked, from_stacks), (_subtomograms, from_subtomograms)])
def test_stored_images_say_what_the_tilt_images_say(store, read, noisy, density):
    """Differences of log likelihood between poses, for every particle alone."""
    rotation, centre = _poses(noisy)
    for row in (0, 4):
        turn = torch.from_numpy(noisy.particles.rotation[row] @ noisy.particles.rotation[0].T)
        step = torch.from_numpy(noisy.particles.centre_angstrom[row] - noisy.particles.centre_angstrom[0])
        cut = _scores(from_tilt_images(noisy, np.array([row]), WIDE, RADIUS), 18.0, density, turn @ rotation, centre + step)
        stored = _scores(read(store(noisy, WIDE), np.array([row]), RADIUS), 18.0, density, turn @ rotation, centre + step)
        assert torch.corrcoef(torch.stack([cut, stored]))[0, 1] > 0.99
        assert cut.std() > 2 and float(stored.std() / cut.std()) == pytest.approx(1, abs=0.1)


def _tilts(dataset: Dataset, rows) -> Statistics:
    return from_tilt_images(dataset, rows, WIDE, RADIUS)


def _equal_tilts(dataset: Dataset, rows) -> Statistics:
    return from_tilt_images(dataset, rows, EQUAL, RADIUS)


@pytest.mark.parametrize(
    ("make", "within"),
    [
        (_tilts, 0.03),
        (_equal_tilts, 0.03),
        (lambda dataset, rows: from_stacks(_stacked(dataset, WIDE), rows, RADIUS), 0.03),
        # The window of a tilt turns with the tilt; one that stands still is taken for all, which costs a few percent in so small a box.
        (lambda dataset, rows: from_subtomograms(_subtomograms(dataset, WIDE), rows, RADIUS), 0.08),
    ],
    ids=["series", "series-equal-box", "stacks", "subtomograms"],
)
def test_variance_of_white_noise_is_found(make, within, white):
    """σ² is half the variance of a pixel, 4/2, with whatever window the images went through."""
    found = spectrum(signal_free_sums(make(white, np.arange(len(white.particles)))))
    shells = found[:, 4:RADIUS]
    assert float(shells.median()) == pytest.approx(2.0, rel=within)
    assert float(shells.mean()) == pytest.approx(2.0, rel=within)


def test_tilts_without_signal_say_nothing(noisy):
    one = noisy.tilt_series[0]
    scale = one.scale.copy()
    scale[3] = 0
    dataset = replace(noisy, tilt_series=(replace(one, scale=scale),))
    statistics = from_tilt_images(dataset, np.arange(9), EQUAL, RADIUS, max_dose=20.0)
    silent = np.flatnonzero((scale == 0) | (one.dose > 20))
    weight = statistics.weight.reshape(9, -1, one.n_tilts)
    assert (weight[..., silent] == 0).all() and (weight[..., one.n_tilts // 2] > 0).any()
    sigma2 = spectrum(signal_free_sums(statistics))
    assert torch.isinf(sigma2[silent]).all() and torch.isfinite(sigma2[one.n_tilts // 2, 1:]).all()
    assert torch.isfinite(precision(statistics, sigma2)).all()


def test_gain_makes_the_signal_stronger(noisy):
    statistics = from_tilt_images(noisy, np.arange(2), EQUAL, RADIUS)
    gain = torch.rand(2, statistics.n_tilts, generator=torch.Generator().manual_seed(0)) + 0.5
    stronger = statistics.with_gain(gain, torch.ones(len(statistics.samples), statistics.n_tilts))
    ratio = (stronger.weight / statistics.weight).reshape(2, -1, statistics.n_tilts)[:, 10]
    torch.testing.assert_close(ratio.nan_to_num(), torch.where(ratio.isnan(), 0, gain.square()), rtol=1e-4, atol=0)
    lead = (stronger.data / statistics.data).real.reshape(2, -1, statistics.n_tilts)[:, 10]
    torch.testing.assert_close(lead.nan_to_num(), torch.where(lead.isnan(), 0, gain), rtol=1e-4, atol=0)


def test_envelope_is_of_frequency_and_tilt(noisy):
    """Each sample gets the envelope of its own frequency in its own tilt: D scales with it, W with its square."""
    plain = from_tilt_images(noisy, np.arange(2), EQUAL, RADIUS)
    tilts, samples = plain.n_tilts, len(plain.samples)
    envelope = torch.rand(samples, tilts, generator=torch.Generator().manual_seed(1)) + 0.5
    faded = plain.with_gain(torch.ones(2, tilts), envelope)
    for frequency, tilt in ((0, 0), (7, 3), (samples - 1, tilts - 1)):
        at = frequency * tilts + tilt
        q = torch.nn.functional.pad(plain.samples[frequency].double(), (0, 1))
        expected_point = torch.from_numpy(noisy.tilt_series[0].rotation[tilt]).T @ q
        torch.testing.assert_close(faded.points[at].double(), expected_point, rtol=0, atol=1e-4)
        torch.testing.assert_close(faded.data[:, at], plain.data[:, at] * envelope[frequency, tilt])
        torch.testing.assert_close(faded.weight[:, at], plain.weight[:, at] * envelope[frequency, tilt].square())


def test_lower_resolution_is_a_prefix(noisy):
    fine, coarse = (from_tilt_images(noisy, np.array([4]), EQUAL, radius) for radius in (RADIUS, 8))
    n = fine.count(8)
    assert n == coarse.data.shape[1]
    assert torch.equal(fine.data[:, :n], coarse.data) and torch.equal(fine.points[:n], coarse.points)


def test_weight_is_the_square_of_the_transfer(noisy):
    statistics = from_tilt_images(noisy, np.array([4]), EQUAL, RADIUS)
    views = views_of(noisy, np.array([4]))
    tilt = statistics.n_tilts // 2
    expected = transfer(views, tilt, statistics.samples.float() / (BOX * PIXEL))[0].square()
    torch.testing.assert_close(statistics.weight.reshape(len(expected), -1)[:, tilt], expected, rtol=1e-4, atol=1e-5)


def test_missing_images_are_named():
    bare = Dataset((series(96),), (Optics("a", 300.0, 2.7, 0.07),), particles(positions(1, 0)))
    for make in (lambda: from_tilt_images(bare, np.array([0]), EQUAL, RADIUS), lambda: from_stacks(bare, np.array([0]), RADIUS)):
        with pytest.raises(ValueError, match=r"has no tilt images|no stored 2D stacks"):
            make()

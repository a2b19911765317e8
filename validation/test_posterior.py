"""The likelihood itself: engines that agree, noise that is recovered, posteriors that mean what they say."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from scipy.stats import chi2

from commands import tomobayes
from tomobayes.formats.mrc import read_map
from tomobayes.formats.relion import read_dataset
from tomobayes.fourier.slices import Accumulator, extract_slices
from tomobayes.fourier.volume import from_map
from tomobayes.geometry.rotations import matrix_from_vector, vector_from_matrix
from tomobayes.imaging.crops import Crop
from tomobayes.imaging.noise import precision, signal_free_sums, spectrum
from tomobayes.imaging.observation import Statistics, from_subtomograms, from_tilt_images
from tomobayes.imaging.subtomograms import modulated_images, pseudo_subtomogram
from tomobayes.imaging.views import views_of
from tomobayes.inference.expectation import expect
from tomobayes.inference.likelihood import log_likelihood, shift_phases
from tomobayes.inference.maximisation import relative_pose
from tomobayes.inference.peak import climb
from tomobayes.inference.priors import PosePrior, log_prior_shift
from tomobayes.inference.sampling import local_plan
from tomobayes.inference.search import posteriors
from tomobayes.inference.task import task_of
from tomobayes.maps.masks import sphere_mask
from tomobayes.maps.resampling import fourier_resample

BOX, RADIUS, PIXEL = 48, 22, 8.0
SHIFT_SIGMA = 10.0


@pytest.fixture(scope="module")
def truth(shared):
    return read_dataset(shared / "data/simulated/ribosome/optimisation_set.star")


@pytest.fixture(scope="module")
def rows():
    return np.arange(64)


@pytest.fixture(scope="module")
def statistics(truth, rows):
    """D and W of the first series, from tilt images, binned twice, cut where the particles truly are."""
    return from_tilt_images(truth, rows, Crop(BOX, 64, 128), RADIUS)


@pytest.fixture(scope="module")
def true_map(shared, truth, rows, statistics):
    """The true map on the images' grey scale, which its own correlation with them tells."""
    volume = torch.from_numpy(fourier_resample(read_map(shared / "data/simulated/ribosome/truth_class1.mrc").data, BOX))
    volume = volume * torch.from_numpy(sphere_mask(BOX, 290 / PIXEL))
    transform = from_map(volume, RADIUS)
    rotation = torch.from_numpy(truth.particles.rotation[rows]).float()
    slices = torch.cat([extract_slices(transform, one[None], statistics.points) for one in rotation])
    scale = (statistics.data.conj() * slices).real.sum() / (statistics.weight * slices.abs().square()).sum()
    return volume * scale


def _prior(statistics: Statistics) -> PosePrior:
    count = len(statistics.particles)
    return PosePrior(
        rotation=torch.eye(3, dtype=torch.float64).expand(count, 3, 3),
        sigma_rotation=float("inf"),
        subtomogram=statistics.frame,
        tilt=torch.full((count,), torch.nan),
        sigma_tilt=float("inf"),
        centre_angstrom=statistics.anchor_angstrom,
        sigma_shift_angstrom=SHIFT_SIGMA,
    )


def _poses(truth, rows):
    return torch.from_numpy(truth.particles.rotation[rows]), torch.from_numpy(truth.particles.centre_angstrom[rows])


def _plan():
    """Spacings of about 1.8 standard deviations (0.26° and 0.41 Å), as refinement chooses them."""
    return local_plan(0.9, 0.45, 2.1, 0.18, 0.09, 0.42, RADIUS)


def _noise(data, rows, statistics, volume):
    """The noise that is left when the true map explains the images, and the poses it was found at."""
    rotation, centre = _poses(data, rows)
    first = precision(statistics, spectrum(signal_free_sums(statistics)))
    accumulator = Accumulator(BOX, RADIUS)
    _, residual, *_ = expect(
        statistics, first, from_map(volume, RADIUS), _prior(statistics), _plan(), rotation, centre, [accumulator] * len(rotation)
    )
    return spectrum(residual)


def _likelier_than_the_truth(data, rows, statistics, volume):
    """Per particle, how much of the posterior lies at poses likelier than the true one: uniform where posteriors are calibrated."""
    weight, transform, prior = precision(statistics, _noise(data, rows, statistics, volume)), from_map(volume, RADIUS), _prior(statistics)
    rotation, centre = _poses(data, rows)
    generator = torch.Generator().manual_seed(0)
    start = rotation @ matrix_from_vector(torch.deg2rad(0.3 * torch.randn(len(rows), 3, generator=generator, dtype=torch.float64)))
    moved = centre + 0.5 * torch.randn(len(rows), 3, generator=generator, dtype=torch.float64)
    frame_rotation, shift = relative_pose(statistics, rotation, centre)
    likelier = []
    for posterior in posteriors(statistics, weight, transform, prior, _plan(), start, moved):
        row = posterior.row
        slices = extract_slices(transform, frame_rotation[row : row + 1].float(), statistics.points)
        at_origin = statistics.data[row] * weight * shift_phases(statistics.points, shift[row : row + 1], BOX)
        here = log_likelihood(at_origin[None], (statistics.weight[row] * weight)[None], slices)[0, 0, 0]
        here = here + log_prior_shift((centre - prior.centre_angstrom)[row : row + 1], SHIFT_SIGMA)[0]
        likelier.append(float(posterior.probability[posterior.log_density > here].sum()))
    return likelier


def _isolated(folder, snr, n_series=4):
    """Particles 700 Å apart in white noise, and the map they show."""
    tomobayes(
        *("simulate", "--model", "builtin:ribosome", "--box", BOX, "--angpix", PIXEL, "--image-size-px", 640, 640),
        *("--n-series", n_series, "--n-particles", 20, "--min-distance", 700, "--thickness", 300),
        *("--snr", snr, "--noise", "white", "--data-type", "float32", "--seed", 3, "--o", folder),
    )
    data = read_dataset(particles=folder / "particles_truth.star", tomograms=folder / "tomograms.star")
    return data, torch.from_numpy(read_map(folder / "truth_class1.mrc").data)


def _by_series(data):
    for series in range(len(data.tilt_series)):
        rows = np.flatnonzero(data.particles.tilt_series == series)
        yield rows, from_tilt_images(data, rows, Crop(BOX, 64, 64), RADIUS)


def test_credible_sets_are_calibrated(tmp_path, claims):
    """How often the true pose lies in the smallest set of poses that holds 90 % of the posterior; particles 700 Å apart in white noise."""
    data, volume = _isolated(tmp_path / "set", 0.05)
    likelier = [one for rows, statistics in _by_series(data) for one in _likelier_than_the_truth(data, rows, statistics, volume)]
    share = {level: float(np.mean(np.array(likelier) < level)) for level in (0.5, 0.9)}
    claims.measured("true pose inside the 90 % credible set, share of particles", share[0.9], at_least=0.85, at_most=0.95, oracle=0.9)
    claims.measured("inside the 50 % credible set", share[0.5], oracle=0.5)


@dataclass(frozen=True)
class Peaks:
    """Errors of P peaks from the true poses, (P, 6) radians and box pixels, and the covariances claimed for them, (P, 6, 6)."""

    error: np.ndarray
    covariance: np.ndarray

    @property
    def surprise(self):
        """(P,) squared length of the errors in standard deviations: chi-square with six degrees of freedom where widths are right."""
        return np.einsum("pi,pij,pj->p", self.error, np.linalg.inv(self.covariance), self.error)


def _peaks(data, rows, statistics, volume, weight):
    """Climbs that begin at the true poses end at the peaks."""
    rotation, centre = _poses(data, rows)
    task = task_of(statistics, weight, from_map(volume, RADIUS), _prior(statistics), rotation, centre, RADIUS)
    peaks = [climb(task, row, task.rotation[row], task.shift_px[row]) for row in range(len(rows))]
    turn = [vector_from_matrix(task.rotation[row].double().T @ peak.rotation.double()) for row, peak in enumerate(peaks)]
    moved = [peak.shift_px - task.shift_px[row] for row, peak in enumerate(peaks)]
    error = torch.cat([torch.stack(turn), torch.stack(moved).double()], 1)
    return Peaks(error.numpy(), torch.stack([peak.covariance for peak in peaks]).numpy())


@pytest.mark.parametrize("snr", [0.01, 0.03, 0.1])
def test_peaks_are_as_far_from_the_truth_as_they_say(tmp_path, snr, claims):
    """The share of true poses inside the 90 % ellipsoid of Laplace's approximation."""
    data, volume = _isolated(tmp_path / "set", snr)
    found = []
    for rows, statistics in _by_series(data):
        weight = precision(statistics, spectrum(signal_free_sums(statistics)))
        found.append(_peaks(data, rows, statistics, volume, weight).surprise)
    inside = float(np.mean(np.concatenate(found) < chi2.ppf(0.9, 6)))
    claims.measured(f"SNR {snr}: true pose inside the 90 % ellipsoid, share of particles", inside, at_least=0.85, at_most=0.95, oracle=0.9)


@dataclass(frozen=True)
class _Noisy:
    """Images with white noise of their own, anew for each seed."""

    images: object
    sigma: float
    seed: int

    @property
    def shape(self):
        return self.images.shape

    @property
    def pixel_size_angstrom(self):
        return self.images.pixel_size_angstrom

    def read(self, tilt):
        noise = np.random.default_rng((self.seed, tilt)).standard_normal(self.shape[1:], dtype=np.float32)
        return self.images.read(tilt) + np.float32(self.sigma) * noise


@pytest.mark.parametrize("sigma", [1.0, 3.0])
def test_widths_are_the_scatter_over_noise(tmp_path, sigma, claims):
    """Twelve noises over the same images: the scatter of the peaks against the widths claimed, turns and shifts apart.

    The unit of ``sigma`` is the noise of a signal-to-noise ratio of 0.1.
    """
    data, volume = _isolated(tmp_path / "set", 1e6, n_series=1)
    noise = sigma * _signal_sigma(data, volume) / np.sqrt(0.1)
    runs = []
    for seed in range(12):
        series = replace(data.tilt_series[0], images=_Noisy(data.tilt_series[0].images, noise, seed))
        noisy = replace(data, tilt_series=(series,))
        ((rows, statistics),) = _by_series(noisy)
        weight = precision(statistics, spectrum(signal_free_sums(statistics)))
        runs.append(_peaks(noisy, rows, statistics, volume, weight))
    errors, claimed = np.stack([run.error for run in runs]), np.stack([run.covariance.diagonal(axis1=1, axis2=2) for run in runs])
    for what, axes in (("turns", slice(0, 3)), ("shifts", slice(3, 6))):
        scatter = float(np.sqrt(errors.var(0, ddof=1)[:, axes].mean()))
        ratio = float(np.sqrt(claimed[..., axes].mean())) / scatter
        claims.measured(f"noise x {sigma:g}: claimed width of {what} over their scatter", ratio, at_least=0.8, at_most=1.2, oracle=1.0)


def _signal_sigma(data, volume):
    """Standard deviation of an untilted projection inside the particle."""
    projection = volume.sum(0).numpy()
    return float(projection[np.abs(projection) > 0.05 * np.abs(projection).max()].std())


def test_crowded_particles_are_not_overconfident(truth, rows, statistics, true_map, claims):
    """Neighbours in the same images count as noise and widen the posterior: more than 90 % lie inside, never fewer."""
    likelier = _likelier_than_the_truth(truth, rows, statistics, true_map)
    claims.measured("crowded: true pose inside the 90 % credible set", float(np.mean(np.array(likelier) < 0.9)), at_least=0.85, oracle=0.9)


@pytest.fixture(scope="module")
def noise(truth, rows, statistics, true_map):
    return _noise(truth, rows, statistics, true_map)


@pytest.fixture(scope="module")
def cubes(truth, rows, tmp_path_factory):
    """Pseudo-subtomograms of the same particles, in memory."""

    class Cubes:
        box, pixel_size_angstrom = BOX, PIXEL

        def read(self, particle):
            views = views_of(truth, np.array([particle]), half_width_px=BOX)
            images = modulated_images(truth.tilt_series[0].images, views, 0, Crop(BOX, 64, 128))
            return pseudo_subtomogram(images, np.eye(3))

    return replace(truth, particles=replace(truth.particles, subtomograms=Cubes(), rotation_subtomogram=np.tile(np.eye(3), (128, 1, 1))))


def test_engines_agree(truth, cubes, statistics, true_map, noise, claims):
    """Differences of log likelihood between poses, from tilt images and from pseudo-subtomograms of the same particles."""
    some = np.arange(12)
    from_cubes = from_subtomograms(cubes, some, RADIUS)
    images = replace(
        statistics,
        particles=some,
        data=statistics.data[some],
        weight=statistics.weight[some],
        frame=statistics.frame[some],
        anchor_angstrom=statistics.anchor_angstrom[some],
    )
    volume = from_map(true_map, RADIUS)
    turns = torch.from_numpy(Rotation.from_rotvec(np.radians(4) * np.random.default_rng(1).normal(size=(200, 3))).as_matrix())
    gains = {"images": precision(images, noise), "cubes": precision(from_cubes, spectrum(signal_free_sums(from_cubes)))}
    grey = 2**0.5  # RELION's scale of D follows the binning
    correlations = []
    for row in range(len(some)):
        tried = (torch.from_numpy(truth.particles.rotation[row]) @ turns).float()
        scores = {}
        for name, one, factor in (("images", images, 1.0), ("cubes", from_cubes, grey)):
            slices = factor * extract_slices(volume, tried, one.points)
            data, weight = one.data[row] * gains[name], one.weight[row] * gains[name]
            scores[name] = log_likelihood(data[None, None], weight[None], slices)[0, 0].numpy()
        correlations.append(np.corrcoef(scores["images"], scores["cubes"])[0, 1])
    claims.measured("correlation of log likelihoods over poses, median", float(np.median(correlations)), at_least=0.99)
    claims.measured("the same, worst of 12 particles", float(np.min(correlations)))


def test_noise_is_recovered(truth, rows, claims):
    """σ² on images of white noise alone, as a ratio to the truth, the worst shell that has at least 2,000 samples."""

    class Noise:
        shape, pixel_size_angstrom = (41, 512, 512), 4.0

        def read(self, tilt):
            return np.random.default_rng(tilt).normal(scale=20.0, size=(512, 512)).astype(np.float32)

    blank = replace(truth, tilt_series=(replace(truth.tilt_series[0], images=Noise()), *truth.tilt_series[1:]))
    found = from_tilt_images(blank, rows, Crop(BOX, 64, 128), RADIUS)
    sums = signal_free_sums(found)
    ratio = (sums.power.sum(0) / sums.weight.sum(0) / (20.0**2 / 2 / 2**4)).numpy()
    enough = sums.count.sum(0).numpy() > 2000
    claims.measured("σ² over truth, largest deviation", float(np.abs(ratio[enough] - 1).max()), at_most=0.03)


def test_insertion_is_the_adjoint_of_extraction(claims):
    """<y, extract(v)> = <insert(y), v> for random maps and slices."""
    generator = torch.Generator().manual_seed(3)
    volume = from_map(torch.randn(BOX, BOX, BOX, generator=generator), RADIUS)
    rotations = torch.from_numpy(Rotation.random(50, random_state=1).as_matrix()).float()
    points = (
        torch.nn.functional.normalize(torch.randn(2000, 3, generator=generator), dim=-1) * RADIUS * torch.rand(2000, 1, generator=generator)
    )
    slices = extract_slices(volume, rotations, points)
    other = torch.randn(slices.shape, dtype=torch.complex64, generator=generator)
    accumulator = Accumulator(BOX, RADIUS)
    accumulator.insert(rotations, points, other, other.real.contiguous())
    inserted = accumulator.sums().data
    plane = torch.ones(inserted.shape[-1])
    plane[0] = 0.5  # the plane x = 0 holds each Friedel pair twice
    left = (other.conj().to(torch.complex128) * slices).real.sum()
    right = ((inserted.conj().to(torch.complex128) * volume.data).real * plane).sum()
    claims.measured("relative difference of the two inner products", abs(float((left - right) / left)), at_most=1e-5)

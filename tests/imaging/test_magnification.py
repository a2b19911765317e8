"""Anisotropic magnification and deformation of images, against images that are resampled in real space."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import affine_transform, map_coordinates

from small_experiment import BOX, OPTICS, PIXEL, particles, phantom, positions, recorded, series
from tomobayes.fourier.grids import half_plane
from tomobayes.fourier.slices import extract_slices
from tomobayes.fourier.volume import from_map
from tomobayes.geometry.deformation import displacement
from tomobayes.imaging.crops import Crop
from tomobayes.imaging.observation import from_tilt_images
from tomobayes.imaging.predict import predict
from tomobayes.imaging.subtomograms import modulated_images, pseudo_subtomogram
from tomobayes.imaging.views import elongation, slice_rotation, views_of
from tomobayes.model import Dataset, Deformation
from tomobayes.simulation.images import clean_images

M = np.array([[1.03, 0.01], [0.02, 0.98]])
WIDE = 96


def magnified(matrix) -> Dataset:
    optics = replace(OPTICS, magnification=tuple(map(tuple, np.asarray(matrix).tolist())), odd_zernike=(0.0, 0.0, 500.0))
    table = particles(positions(1, 0))
    return Dataset((series(160),), (optics,), table)


def images(dataset: Dataset) -> np.ndarray:
    """The predicted images of the only particle, (F, n, n), centre at n//2."""
    views = views_of(dataset, np.array([0]))
    density = np.pad(phantom().data, (WIDE - BOX) // 2)
    samples = half_plane(WIDE // 2 - 1)
    rotation = torch.from_numpy(dataset.particles.rotation)
    values = predict(from_map(torch.from_numpy(density)), rotation, views, samples, PIXEL)[0]
    plane = torch.zeros(len(values), WIDE, WIDE // 2 + 1, dtype=values.dtype)
    x, y = samples.T
    plane[:, y % WIDE, x] = values
    edge = y[(x == 0) & (y > 0)]
    plane[:, -edge % WIDE, 0] = plane[:, edge, 0].conj()
    return torch.fft.fftshift(torch.fft.irfft2(plane, s=(WIDE, WIDE)), dim=(-2, -1)).numpy()


def error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def test_a_magnified_image_is_the_image_resampled():
    """Projection, CTF, dose and aberrations at M·k: in real space the whole image at inverse(Mᵀ)·x, divided by |det M|."""
    found, plain = images(magnified(M)), images(magnified(np.eye(2)))

    def resampled(matrix):
        place = np.linalg.inv(matrix.T)[::-1, ::-1]  # (y, x) order
        centre = np.full(2, WIDE // 2)
        return np.stack([affine_transform(one, place, centre - place @ centre, order=5) for one in plain]) / np.linalg.det(matrix)

    assert error(found, resampled(M)) < 0.005
    assert error(found, plain) > 0.05 and error(found, resampled(M.T)) > 0.015 and error(found, resampled(np.linalg.inv(M))) > 0.1


def test_gradient_in_the_magnification():
    views = views_of(magnified(M), np.array([0]))
    volume = from_map(torch.randn(8, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
    rotation, samples = torch.from_numpy(particles(positions(1, 0)).rotation), half_plane(3)

    def image(matrix):
        return predict(volume, rotation, replace(views, magnification=matrix), samples[:9], PIXEL)

    assert torch.autograd.gradcheck(image, views.magnification.clone().requires_grad_())


def test_no_magnification_changes_nothing_to_the_last_bit():
    views = views_of(magnified(np.eye(2)), np.array([0]))
    assert elongation(views) == 1
    assert torch.equal(slice_rotation(views), views.rotation)


def residual(dataset: Dataset, matrix) -> tuple[float, float]:
    """What is left of D after W·V, and how much nearer to the origin the samples in use are than the transform of the map reaches."""
    known = replace(dataset, optics=(replace(dataset.optics[0], magnification=tuple(map(tuple, np.asarray(matrix).tolist()))),))
    radius = 12
    statistics = from_tilt_images(known, np.array([0]), Crop(BOX, WIDE, WIDE), radius)
    n = statistics.count(radius)
    points = statistics.points[:n]
    rotation = torch.from_numpy(dataset.particles.rotation).float()
    slices = extract_slices(from_map(torch.from_numpy(phantom().data), radius), rotation, points)
    weight = statistics.weight[:, :n]
    left = statistics.data[:, :n] - weight * slices
    return float(left.norm() / statistics.data[:, :n].norm()), radius - float(points.norm(dim=-1).max())


def test_magnified_images_are_read_as_such():
    """Noise-free images of a magnified particle are CTF·V at the points where the statistics say that they are."""
    dataset = recorded(magnified(M), phantom(), sigma=0)
    right, margin = residual(dataset, M)
    assert right < 0.06 and -1e-3 < margin < 0.5
    assert residual(dataset, np.eye(2))[0] > 2 * right


def test_pseudo_subtomograms_of_magnified_images():
    """D is W·V of the map itself."""
    dataset = recorded(magnified(M), phantom(), sigma=0)
    frame = dataset.particles.rotation_subtomogram[0]

    def spectra(matrix):
        known = replace(dataset, optics=(replace(dataset.optics[0], magnification=tuple(map(tuple, np.asarray(matrix).tolist()))),))
        modulated = modulated_images(dataset.tilt_series[0].images, views_of(known, np.array([0])), 0, Crop(BOX, WIDE, WIDE))
        return pseudo_subtomogram(modulated, frame)

    def misfit(matrix):
        one = spectra(matrix)
        data = torch.fft.rfftn(torch.fft.ifftshift(torch.from_numpy(one.data)), norm="ortho")
        at = torch.nonzero(torch.from_numpy(one.multiplicity) > 0.5).float()
        at = torch.where(at > BOX // 2, at - BOX, at)[:, [2, 1, 0]]
        at = at[(at.norm(dim=-1) < 10) & (at.norm(dim=-1) > 1)]
        x, y, z = at.long().T
        rotation = torch.from_numpy(dataset.particles.rotation_particle).float()
        model = extract_slices(from_map(torch.from_numpy(phantom().data)), rotation, at)[0] * torch.from_numpy(one.weight)[z, y, x]
        found = data[z, y, x]
        return 1 - float((found.conj() * model).real.sum() / (found.norm() * model.norm()))

    assert misfit(M) < 0.7 * misfit(np.eye(2))


@pytest.mark.parametrize(("kind", "grid"), [("affine", (1, 1)), ("spline", (3, 3)), ("fourier", (3, 3))])
def test_a_deformed_tilt_image_is_the_image_resampled(kind, grid):
    """Particles stand where the deformation puts them: I(p + d(p)) shows what the plain image shows at p."""
    random = np.random.default_rng(2)
    count = {"affine": 3, "spline": 72, "fourier": 12}[kind]
    coefficients = random.normal(size=(13, count)) * {"affine": 0.02, "spline": 1.0, "fourier": 0.6}[kind]
    plain = Dataset((series(160),), (OPTICS,), particles(positions(3, 36)))
    one = plain.tilt_series[0]
    bent = replace(plain, tilt_series=(replace(one, deformation=Deformation(kind, coefficients, grid)),))
    y, x = np.mgrid[:160, :160].astype(float)
    points = torch.from_numpy(np.stack([x, y], -1))
    for tilt, (before, after) in enumerate(zip(clean_images(plain, 0, [phantom()]), clean_images(bent, 0, [phantom()]), strict=True)):
        if tilt % 4:
            continue
        shift = displacement(kind, torch.from_numpy(coefficients[tilt]), points, (160, 160), grid).numpy()
        for _ in range(3):  # where p + d(p) = (x, y)
            back = displacement(
                kind, torch.from_numpy(coefficients[tilt]), torch.from_numpy(np.stack([x, y], -1) - shift), (160, 160), grid
            )
            shift = back.numpy()
        expected = map_coordinates(before, [y - shift[..., 1], x - shift[..., 0]], order=3)
        assert error(after, expected) < 0.25 * error(before, expected)

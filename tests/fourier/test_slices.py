"""Slices: the fast kernels against the readable ones, adjointness, and against transforms known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from tomobayes.fourier import reference
from tomobayes.fourier.grids import half_plane, half_space
from tomobayes.fourier.slices import Accumulator, extract_slices, with_friedel_mates
from tomobayes.fourier.volume import PADDING, from_map, gridding_correction, half_extent, to_map

BOX = 24
PLANE = torch.nn.functional.pad(half_plane(BOX // 2 - 1).float(), (0, 1))


def _rotations(n: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(Rotation.random(n, random_state=seed).as_matrix()).float()


def _map(box: int = BOX) -> torch.Tensor:
    return torch.randn(box, box, box, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def samples() -> torch.Tensor:
    """Samples of a plane, of three tilts of it, and of the ball."""
    tilts = torch.from_numpy(Rotation.from_euler("y", [[-50], [0], [50]], degrees=True).as_matrix()).float()
    return torch.cat([torch.einsum("fji,qj->fqi", tilts, PLANE).reshape(-1, 3), half_space(5).float()])


def test_fast_extraction_is_the_reference(samples):
    volume, rotations = from_map(_map()), _rotations(5)
    fast, slow = extract_slices(volume, rotations, samples), reference.extract(volume.data, rotations, samples, PADDING)
    assert (fast - slow).abs().max() < 1e-5 * slow.abs().max()


def test_fast_insertion_is_the_reference(samples):
    rotations = _rotations(5)
    values = torch.randn(5, len(samples), dtype=torch.complex64, generator=torch.Generator().manual_seed(2))
    weights = values.abs()
    accumulator = Accumulator(BOX, BOX // 2 - 1)
    accumulator.insert(rotations, samples, values, weights)
    got = accumulator.sums()
    data, weight = reference.insert(values, weights, rotations, samples, PADDING, half_extent(BOX // 2 - 1))
    data[..., 0] += data[..., 0].flip(0, 1).conj()
    weight[..., 0] += weight[..., 0].flip(0, 1)
    assert (got.data - data).abs().max() < 1e-5 * data.abs().max()
    assert (got.weight - weight).abs().max() < 1e-5 * weight.max()


def test_insertion_is_the_adjoint_of_extraction(samples):
    """Σ_q Re(y*·extract(V)) = Σ_voxels Re(insert(y)*·V) for any V and y."""
    volume, rotations = from_map(_map()), _rotations(7, seed=3)
    values = torch.randn(7, len(samples), dtype=torch.complex64, generator=torch.Generator().manual_seed(4))
    data, _ = reference.insert(values, values.real, rotations, samples, PADDING, half_extent(volume.radius))
    left = (values.conj() * extract_slices(volume, rotations, samples)).real.double().sum()
    right = (data.conj() * volume.data).real.double().sum()
    scale = values.abs().square().sum().sqrt() * extract_slices(volume, rotations, samples).abs().square().sum().sqrt()
    assert abs(left - right) < 1e-5 * scale


def test_central_slice_is_the_orthonormal_transform_of_the_projection():
    """On the grid nothing is interpolated, so the slice is exactly that of the map as from_map corrected it."""
    volume = _map()
    slices = extract_slices(from_map(volume), torch.eye(3)[None], PLANE)[0]
    corrected = volume / gridding_correction(BOX, PADDING)
    image = torch.fft.fft2(torch.fft.ifftshift(corrected.sum(0)), norm="ortho")
    x, y = half_plane(BOX // 2 - 1).T
    assert (slices - image[y, x]).abs().max() < 1e-5 * image.abs().max()


def _blobs(box: int, points: np.ndarray, sigma: float) -> torch.Tensor:
    axis = np.arange(box) - box // 2
    density = np.zeros((box, box, box))
    for x, y, z in points:
        line = [np.exp(-((axis - c) ** 2) / (2 * sigma**2)) for c in (x, y, z)]
        density += line[2][:, None, None] * line[1][:, None] * line[0]
    return torch.from_numpy(density.astype(np.float32))


@pytest.mark.parametrize("box", [32, 33])
def test_a_rotation_carries_points_of_the_map_to_their_places_in_the_image(box):
    """The slice at A is the transform of the blobs at A·x, known in closed form; the transpose of A is far from it."""
    points = np.array([[3.0, 0.5, -2.0], [-2.0, 3.0, 1.0], [0.0, -4.0, 2.0]])
    sigma, rotation = 1.5, _rotations(1, seed=5)
    plane = torch.nn.functional.pad(half_plane(8).float(), (0, 1))
    got = extract_slices(from_map(_blobs(box, points, sigma)), rotation, plane)[0]

    def expected(matrix: np.ndarray) -> torch.Tensor:
        phase = -2j * math.pi / box * plane.numpy()[:, :2] @ (points @ matrix.T)[:, :2].T
        shape = (2 * math.pi * sigma**2) ** 1.5 * np.exp(-2 * (math.pi * sigma / box) ** 2 * (plane.numpy() ** 2).sum(1))
        return torch.from_numpy(np.exp(phase).sum(1) * shape / box)

    scale = got.abs().max()
    assert (got - expected(rotation[0].numpy())).abs().max() < 0.015 * scale
    assert (got - expected(rotation[0].numpy().T)).abs().max() > 0.3 * scale


@pytest.mark.parametrize("box", [24, 25])
def test_round_trip_gives_a_band_limited_map_back(box):
    """Each way corrects for one interpolation, from_map for the extraction to come and to_map for the insertion that was."""
    volume = _blobs(box, np.array([[1.0, -2.0, 3.0], [-3.0, 0.0, 1.0]]), 1.6)
    back = to_map(from_map(volume).data, box) * gridding_correction(box, PADDING) ** 2
    assert (back - volume).abs().max() < 1e-3 * volume.max()


def test_samples_beyond_the_transform_are_refused():
    with pytest.raises(ValueError, match="reach"):
        extract_slices(from_map(_map(), radius=5), _rotations(1), PLANE)


def test_gradient_in_map_and_rotation():
    volume = _map(8).double().requires_grad_()
    rotations = _rotations(1, seed=6).double().requires_grad_()
    points = torch.nn.functional.pad(half_plane(2).double(), (0, 1))
    assert torch.autograd.gradcheck(lambda v, r: extract_slices(from_map(v), r, points), (volume, rotations), fast_mode=True)


def test_accumulated_half_volume_is_adjoint_over_the_whole_of_space(samples):
    """With both mates counted, Σ_q Re(y*·V) over both halves is Σ Re(insert(y)*·V) with the plane x = 0 once and the rest twice."""
    volume, rotations = from_map(_map()), _rotations(7, seed=3)
    values = torch.randn(7, len(samples), dtype=torch.complex64, generator=torch.Generator().manual_seed(4))
    accumulator = Accumulator(BOX, volume.radius)
    accumulator.insert(rotations, samples, values, values.abs())
    data = accumulator.sums().data
    slices = extract_slices(volume, rotations, samples)
    once = torch.ones(data.shape[-1]).double() * 2
    once[0] = 1
    left = 2 * (values.conj() * slices).real.double().sum()
    right = ((data.conj() * volume.data).real.double() * once).sum()
    assert abs(left - right) < 1e-5 * values.abs().square().sum().sqrt() * slices.abs().square().sum().sqrt()


def test_friedel_mates_meet_on_the_plane_between_the_halves():
    cells = torch.randn(5, 5, 3, 4, generator=torch.Generator().manual_seed(6))
    data, weight = with_friedel_mates(cells)
    torch.testing.assert_close(data[..., 0], data[..., 0].flip(0, 1).conj())
    torch.testing.assert_close(weight[..., 0], cells[..., 0, 2] + cells[..., 0, 2].flip(0, 1))
    torch.testing.assert_close(torch.view_as_real(data[..., 1:]), cells[..., 1:, :2])

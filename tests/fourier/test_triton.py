"""The kernels for CUDA against the readable ones: on a GPU where there is one, else on the CPU in Triton's interpreter."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch
from scipy.spatial.transform import Rotation

from pretended_device import DEVICE
from tomobayes.fourier import reference
from tomobayes.fourier.grids import half_plane, half_space
from tomobayes.fourier.slices import Accumulator, extract_slices, with_friedel_mates
from tomobayes.fourier.volume import PADDING, FourierVolume, from_map, half_extent, normal_equations, to_map

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="Triton, which writes the kernels for CUDA, is for Linux only")

BOX, RADIUS = 16, 7


@pytest.fixture(scope="module")
def points() -> torch.Tensor:
    """Samples of two tilts of a plane and of the ball, more than one block of them."""
    plane = torch.nn.functional.pad(half_plane(RADIUS).double(), (0, 1))
    tilts = torch.from_numpy(Rotation.from_euler("y", [[-50], [0]], degrees=True).as_matrix())
    return torch.cat([torch.einsum("fji,qj->fqi", tilts, plane).reshape(-1, 3), half_space(4).double()])


def _rotations(n: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(Rotation.random(n, random_state=seed).as_matrix())


def _volume(dtype: torch.dtype) -> FourierVolume:
    return from_map(torch.randn(BOX, BOX, BOX, dtype=dtype, generator=torch.Generator().manual_seed(1)))


def _values(n: int, points: torch.Tensor, dtype: torch.dtype = torch.complex64) -> torch.Tensor:
    return torch.randn(n, len(points), dtype=dtype, generator=torch.Generator().manual_seed(2))


def _moved(volume: FourierVolume) -> FourierVolume:
    return FourierVolume(volume.data.to(DEVICE), volume.box, volume.radius)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_extraction_is_the_reference(points, dtype, tolerance):
    volume, rotations, at = _volume(dtype), _rotations(3).to(dtype), points.to(dtype)
    expected = reference.extract(volume.data, rotations, at, PADDING)
    got = extract_slices(_moved(volume), rotations.to(DEVICE), at.to(DEVICE))
    assert got.device.type == DEVICE.type
    assert (got.cpu() - expected).abs().max() < tolerance * expected.abs().max()


def test_insertion_is_the_reference(points):
    rotations, values, at = _rotations(3).float(), _values(3, points), points.float()
    data, weight = reference.insert(values, values.abs(), rotations, at, PADDING, half_extent(RADIUS))
    data, weight = with_friedel_mates(torch.cat([torch.view_as_real(data), weight[..., None], torch.zeros_like(weight)[..., None]], -1))
    accumulator = Accumulator(BOX, RADIUS, DEVICE)
    for one in range(3):
        accumulator.insert(*(part.to(DEVICE) for part in (rotations[one, None], at, values[one, None], values[one, None].abs())))
    got = accumulator.sums()
    assert (got.data.cpu() - data).abs().max() < 1e-5 * data.abs().max()
    assert (got.weight.cpu() - weight).abs().max() < 1e-5 * weight.max()


def test_insertion_is_the_adjoint_of_extraction(points):
    """Σ_q Re(y*·extract(V)) = Σ_voxels Re(insert(y)*·V), insertion being what autograd takes for the backward of extraction."""
    volume, rotations, at = _moved(_volume(torch.float32)), _rotations(4, seed=3).float().to(DEVICE), points.float().to(DEVICE)
    free = FourierVolume(volume.data.clone().requires_grad_(), BOX, RADIUS)
    slices, values = extract_slices(free, rotations, at), _values(4, points).to(DEVICE)
    (inserted,) = torch.autograd.grad(slices, free.data, values)
    left = (values.conj() * slices).real.double().sum()
    right = (inserted.conj() * volume.data).real.double().sum()
    assert abs(left - right) < 1e-5 * values.abs().square().sum().sqrt() * slices.abs().square().sum().sqrt()


def test_gradients_are_those_of_the_reference(points):
    volume, rotations, values = _volume(torch.float64), _rotations(3), _values(3, points, torch.complex128)

    def gradients(place: torch.device) -> list[torch.Tensor]:
        free = [part.to(place).requires_grad_() for part in (volume.data, rotations)]
        at, outer = points.to(place), values.to(place)
        if place.type == "cpu":
            slices = reference.extract(free[0], free[1], at, PADDING)
        else:
            slices = extract_slices(FourierVolume(free[0], BOX, RADIUS), free[1], at)
        return [one.cpu() for one in torch.autograd.grad(slices, free, outer)]

    for got, expected in zip(gradients(DEVICE), gradients(torch.device("cpu")), strict=True):
        assert (got - expected).abs().max() < 1e-12 * expected.abs().max()


def test_gradient_is_that_of_finite_differences():
    volume, rotations = _volume(torch.float64), _rotations(1, seed=6)
    at = torch.nn.functional.pad(half_plane(2).double(), (0, 1)).to(DEVICE)
    values = _values(1, at, torch.complex128).to(DEVICE)

    def agreement(turned: torch.Tensor) -> torch.Tensor:
        return (values.conj() * extract_slices(_moved(volume), turned, at)).real.sum()

    free = rotations.to(DEVICE).requires_grad_()
    (gradient,) = torch.autograd.grad(agreement(free), free)
    direction = _rotations(1, seed=7)
    step = 1e-6 * direction
    slope = float(agreement((rotations + step).to(DEVICE)) - agreement((rotations - step).to(DEVICE))) / 2e-6
    assert slope == pytest.approx(float((gradient.cpu() * direction).sum()), rel=1e-6)


def test_samples_outside_the_transform_are_zero_and_add_nothing(points):
    """A matrix that stretches takes samples beyond the grid; the kernels neither read nor write there."""
    volume, stretch, at = _volume(torch.float32), 3 * torch.eye(3)[None], points.float()
    slices = extract_slices(_moved(volume), stretch.to(DEVICE), at.to(DEVICE)).cpu()
    far = (PADDING * 3 * at.abs() >= half_extent(RADIUS)).any(-1)
    assert torch.equal(slices[0] == 0, far)
    accumulator = Accumulator(BOX, RADIUS, DEVICE)
    accumulator.insert(stretch.to(DEVICE), at.to(DEVICE), torch.zeros_like(slices).to(DEVICE), far[None].float().to(DEVICE))
    assert float(accumulator.sums().weight.abs().max()) == 0


def test_a_map_comes_back_from_the_device(points):
    """Transform, slices, sums and map on the device are those of the CPU, and no step mixes the two."""
    rotations, at = _rotations(4).float(), points.float()

    def solved(place: torch.device) -> tuple[torch.Tensor, ...]:
        volume = from_map(torch.randn(BOX, BOX, BOX, generator=torch.Generator().manual_seed(1)).to(place))
        accumulator = Accumulator(BOX, RADIUS, place)
        slices = extract_slices(volume, rotations.to(place), at.to(place))
        accumulator.insert(rotations.to(place), at.to(place), slices, torch.ones_like(slices.real))
        sums = accumulator.sums()
        return tuple(one.cpu() for one in (to_map(sums.data, BOX), *normal_equations(sums + sums)))

    for got, expected in zip(solved(DEVICE), solved(torch.device("cpu")), strict=True):
        assert (got - expected).abs().max() < 1e-5 * expected.abs().max()


COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from tomobayes.fourier import triton_kernels as kernels

for real in ("fp32", "fp64"):
    for kernel in (kernels._extract, kernels._insert, kernels._rotation_gradient):
        numbers = {"count": "i32", "padding": "i32", "extent": "i32", "BLOCK": "constexpr"}
        signature = {name: numbers.get(name, "*" + real) for name in kernel.arg_names}
        compiled = triton.compile(ASTSource(kernel, signature, {"BLOCK": kernels.BLOCK}), target=GPUTarget("cuda", 80, 32))
        assert compiled.asm["cubin"]
"""


def test_kernels_compile_to_machine_code(tmp_path):
    """For compute capability 8.0; a compiler needs no GPU."""
    done = subprocess.run(
        [sys.executable, "-c", COMPILE], env={"TRITON_CACHE_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr

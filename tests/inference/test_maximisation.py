"""Maps from sums: what is inserted comes back, what is believed holds it down, and symmetry is as good as more particles."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from small_experiment import BOX, phantom, random_poses
from tomobayes.fourier.grids import half_plane, half_space
from tomobayes.fourier.slices import Accumulator, extract_slices
from tomobayes.fourier.volume import Sums, box_radii, from_map, radii, shell_mean
from tomobayes.inference.maximisation import solve, ssnr_from_fsc, symmetrised

RADIUS = BOX // 2 - 1
PLANE = torch.nn.functional.pad(half_plane(RADIUS).float(), (0, 1))
Z_TURN = torch.from_numpy(Rotation.from_euler("z", [[0], [180]], degrees=True).as_matrix())


def _compared(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """FSC of two maps, and how much of b is in a, per shell."""
    shell = box_radii(BOX).round().long()
    one, two = (torch.fft.rfftn(torch.fft.ifftshift(x)) for x in (a, b))
    cross, first, second = (shell_mean(v, shell) for v in ((one * two.conj()).real, one.abs().square(), two.abs().square()))
    return cross / (first * second).sqrt(), cross / second


def _white_ball() -> torch.Tensor:
    """Noise inside a sphere: as much signal in the last shell as in the first."""
    axis = torch.arange(BOX) - BOX // 2
    ball = (axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2).sqrt() < 0.3 * BOX
    return torch.randn(BOX, BOX, BOX, generator=torch.Generator().manual_seed(0)) * ball


def _inserted(truth: torch.Tensor, rotations: torch.Tensor, ctf: float = 0.0, radius: int = RADIUS) -> Sums:
    """Noise-free images at known poses, with a CTF that oscillates ``ctf`` times up to the last shell, differently in each image."""
    accumulator, plane = Accumulator(BOX, radius), PLANE[PLANE.norm(dim=-1) <= radius]
    for i, rotation in enumerate(rotations):
        factor = torch.sin(math.pi * ctf * (1 + 0.02 * i) * plane.square().sum(-1) / RADIUS**2 + 0.3) if ctf else torch.ones(len(plane))
        image = factor * extract_slices(from_map(truth), rotation[None], plane)
        accumulator.insert(rotation[None], plane, factor * image, factor.square()[None])
    return accumulator.sums()


@pytest.mark.parametrize("ctf", [0.0, 4.0])
def test_noise_free_images_give_the_map_back(ctf):
    truth = _white_ball()
    fsc, scale = _compared(solve(_inserted(truth, random_poses(1000), ctf), None), truth)
    assert (fsc[1:RADIUS] > 0.99).all()
    torch.testing.assert_close(scale[4 : RADIUS - 1], torch.ones(RADIUS - 5), rtol=0.0, atol=0.04)


def test_prior_shrinks_each_shell_by_its_signal_to_noise():
    """With weight spread evenly, V·w/(w + 1/τ²) is V·ssnr/(1 + ssnr)."""
    accumulator = Accumulator(BOX, RADIUS)
    truth, ball = _white_ball(), half_space(RADIUS).float()
    slices = extract_slices(from_map(truth), torch.eye(3)[None], ball)
    accumulator.insert(torch.eye(3)[None], ball, slices, torch.ones(1, len(ball)))
    sums, ssnr = accumulator.sums(), torch.linspace(5.0, 0.2, RADIUS + 1)
    plain, held = (torch.fft.rfftn(torch.fft.ifftshift(solve(sums, s))) for s in (None, ssnr))
    shell = box_radii(BOX).round().long()
    share = (shell_mean(held.abs().square(), shell) / shell_mean(plain.abs().square(), shell)).sqrt()
    torch.testing.assert_close(share[2 : RADIUS - 1], (ssnr / (1 + ssnr))[2 : RADIUS - 1], rtol=0.02, atol=0.0)


def test_unfiltered_maps_keep_their_amplitude_and_hold_back_what_few_images_saw():
    """Tilts of one axis only: directions near the missing wedge are seen by few, and the mean of a shell stays what the images say."""
    truth, ssnr = _white_ball(), torch.full((RADIUS + 1,), 0.2)
    tilts = torch.from_numpy(Rotation.from_euler("y", np.linspace(-60, 60, 15)[:, None], degrees=True).as_matrix()).float()
    sums = _inserted(truth, torch.cat([random_poses(60), tilts]))
    plain, kept, held = solve(sums, None), solve(sums, ssnr, filtered=False), solve(sums, ssnr)
    signal = slice(4, RADIUS - 1)
    torch.testing.assert_close(_compared(kept, truth)[1][signal], torch.ones(RADIUS - 5), rtol=0.0, atol=0.1)
    assert _compared(held, truth)[1][signal].max() < 0.3
    torch.testing.assert_close(_compared(kept, held)[0][signal], torch.ones(RADIUS - 5), rtol=0.0, atol=1e-5)
    assert _compared(kept, plain)[0][signal].min() < 0.999


def test_where_the_ctf_leaves_a_gap_neighbours_speak():
    """Contrast that vanishes toward the origin and comes back twice: the quotient of averages is too dark where the CTF is near zero."""
    truth, ssnr = _white_ball(), torch.full((RADIUS + 1,), 1e3)
    accumulator = Accumulator(BOX, RADIUS)
    for rotation in random_poses(1000):
        factor = torch.sin(2.2 * math.pi * PLANE.square().sum(-1) / RADIUS**2)
        image = factor * extract_slices(from_map(truth), rotation[None], PLANE)
        accumulator.insert(rotation[None], PLANE, factor * image, factor.square()[None])
    quotient, solved = (_compared(solve(accumulator.sums(), s), truth) for s in (None, ssnr))
    assert (solved[0][1:RADIUS] > quotient[0][1:RADIUS] - 1e-3).all()
    assert solved[0][2:RADIUS].min() > 0.95 and quotient[0][2:RADIUS].min() < 0.5
    assert solved[1][2 : RADIUS - 1].min() > 0.6 and quotient[1][2 : RADIUS - 1].min() < 0.2


@pytest.mark.parametrize("radius", [RADIUS, 8])
def test_a_map_of_less_resolution_is_the_same_map(radius):
    """A coarser grid of the same box is solved on where the radius allows it."""
    truth = _white_ball()
    sums = _inserted(truth, random_poses(300), 2.0, radius)
    fsc, scale = _compared(solve(sums, torch.full((radius + 1,), 1e3)), truth)
    assert (fsc[1:radius] > 0.98).all()
    torch.testing.assert_close(scale[2 : radius - 1], torch.ones(radius - 3), rtol=0.0, atol=0.06)


def test_signal_to_noise_of_a_half_map():
    found = ssnr_from_fsc(torch.tensor([-0.5, 0.5, 1.0, 0.8]), tau2_fudge=2.0)
    torch.testing.assert_close(found, torch.tensor([2e-3 / 0.999, 2.0, 1998.0, 8.0]), rtol=1e-3, atol=0.0)


def test_a_shell_that_nobody_saw_is_empty():
    few = Accumulator(BOX, RADIUS)
    inside = PLANE[PLANE.norm(dim=-1) < 6]
    few.insert(torch.eye(3)[None], inside, torch.ones(1, len(inside), dtype=torch.complex64), torch.ones(1, len(inside)))
    solved = solve(few.sums(), ssnr_from_fsc(torch.zeros(RADIUS + 1)))
    assert torch.isfinite(solved).all() and solved.abs().max() > 0
    assert torch.equal(solve(Accumulator(BOX, RADIUS).sums(), None), torch.zeros(BOX, BOX, BOX))


def test_symmetrised_sums_are_those_of_all_mates():
    """For a two-fold along z the mates of grid points are grid points, so nothing is interpolated."""
    truth, rotations = torch.from_numpy(phantom().data), random_poses(5)
    one = symmetrised(_inserted(truth, rotations), Z_TURN)
    accumulator = Accumulator(BOX, RADIUS)
    slices = extract_slices(from_map(truth), rotations, PLANE)
    for turn in Z_TURN.float():
        accumulator.insert(rotations @ turn, PLANE, slices, torch.ones(slices.shape))
    two = accumulator.sums()
    inside = radii(one.data.shape[-1] - 1) <= RADIUS
    assert (one.data - two.data)[inside].abs().max() < 1e-5 * two.data.abs().max()
    assert (one.weight - two.weight)[inside].abs().max() < 1e-5 * two.weight.max()


def test_symmetrised_map_is_the_mean_of_its_turned_copies():
    turns = torch.from_numpy(Rotation.from_rotvec(2 * np.pi / 3 * np.arange(3)[:, None] * np.ones(3) / 3**0.5).as_matrix())
    truth = torch.from_numpy(phantom().data)
    got = solve(symmetrised(_inserted(truth, random_poses(300)), turns), None)
    copies = sum(truth.permute(order) for order in ((0, 1, 2), (1, 2, 0), (2, 0, 1))) / 3
    signal = slice(1, 8)
    assert _compared(got, copies)[0][signal].min() > 0.97
    assert _compared(got, truth)[0][signal].min() < 0.7

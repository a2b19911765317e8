"""Maps of two halves: what they share below the resolution of a join, and that what is compared never is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from small_experiment import BOX, PIXEL, phantom, random_poses
from tomobayes.fourier.grids import half_plane
from tomobayes.fourier.slices import Accumulator, extract_slices
from tomobayes.fourier.volume import Sums, box_radii, from_map
from tomobayes.inference.halves import regularised
from tomobayes.maps.masks import sphere_mask

RADIUS = BOX // 2 - 1
PLANE = torch.nn.functional.pad(half_plane(RADIUS).float(), (0, 1))
SHARED = 6


def _noisy(seed: int, truth: NDArray[np.float32] | None = None) -> Sums:
    generator = torch.Generator().manual_seed(seed)
    accumulator, map_ = Accumulator(BOX, RADIUS), from_map(torch.from_numpy(phantom().data if truth is None else truth))
    for rotation in random_poses(40):
        image = extract_slices(map_, rotation[None], PLANE)
        image = image + torch.randn(image.shape, dtype=image.dtype, generator=generator)
        accumulator.insert(rotation[None], PLANE, image, torch.ones(image.shape))
    return accumulator.sums()


def _difference(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Relative difference of two maps at every voxel's shell, (shells,)."""
    one, two = (torch.fft.rfftn(x) for x in (a, b))
    shell = box_radii(BOX).round().long().flatten()
    power = [torch.bincount(shell, x.abs().square().flatten()) for x in (one - two, one)]
    return (power[0] / power[1]).sqrt()


def test_references_are_one_below_the_join_and_two_beyond(experiment):
    sums = ([_noisy(1), _noisy(2)], [_noisy(3), _noisy(4)])
    apart, curves = regularised(sums, experiment.settings)
    settings = replace(experiment.settings, join_resolution=BOX * PIXEL / SHARED)
    maps, joined_curves = regularised(sums, settings)
    assert (_difference(*apart.references)[1:SHARED] > 0.02).all()
    assert (_difference(*maps.references)[1 : SHARED - 1] < 0.25 * _difference(*apart.references)[1 : SHARED - 1]).all()
    beyond = slice(SHARED + 2, RADIUS)
    assert (_difference(*maps.references)[beyond] > 0.5 * _difference(*apart.references)[beyond]).all()
    for one, other in zip(maps.half_maps, apart.half_maps, strict=True):
        assert torch.equal(one, other)
    assert (joined_curves.corrected == curves.corrected).all()


def test_no_fold_is_in_its_own_reference(experiment):
    """Also through the join: what a fold's images say changes the references of the other folds only."""
    settings = replace(experiment.settings, join_resolution=BOX * PIXEL / SHARED)
    common = ([_noisy(1), _noisy(2)], [_noisy(3), _noisy(4)])
    changed = ([_noisy(5), common[0][1]], common[1])
    (before, _), (after, _) = regularised(common, settings), regularised(changed, settings)
    without, within = (float((a - b).norm()) for a, b in zip(before.fold_references[0], after.fold_references[0], strict=True))
    assert without < 0.1 * within  # the FSC, and with it the filter, is of all


def test_the_map_of_all_images_is_nearer_the_truth_than_what_its_halves_expect(experiment):
    """Nearer in the particle, where twice as many images speak; and outside, where the mean of the halves' has their noise."""
    sums = ([_noisy(1), _noisy(2)], [_noisy(3), _noisy(4)])
    settings = replace(experiment.settings, particle_diameter=0.5 * BOX * PIXEL)
    maps, _ = regularised(sums, settings)
    truth, inside = torch.from_numpy(phantom().data), torch.from_numpy(sphere_mask(BOX, 0.5 * BOX, 2)) > 0.5
    mean = (maps.references[0] + maps.references[1]) / 2
    error = [(one - truth).square() for one in (maps.merged, mean)]
    assert float(error[0][inside].mean()) < 0.7 * float(error[1][inside].mean())
    assert float(error[0][~inside].mean()) < 0.5 * float(error[1][~inside].mean())


def test_density_inside_the_mask_is_expected_beyond_the_sphere(experiment):
    """An arm that the mask holds keeps its strength; nobody having told of it, it is taken for less."""
    x, y, z = np.meshgrid(*[np.arange(BOX) - BOX // 2] * 3, indexing="ij")
    arm = np.exp(-((x - 12) ** 2 + y**2 + z**2) / 8).astype(np.float32) * float(phantom().data.max())
    sums = tuple([_noisy(seed, phantom().data + arm) for seed in seeds] for seeds in ((1, 2), (3, 4)))
    settings = replace(experiment.settings, particle_diameter=0.4 * BOX * PIXEL)
    strength = {
        name: float((regularised(sums, replace(settings, mask=mask))[0].merged.numpy() * arm).sum() / np.square(arm).sum())
        for name, mask in (
            ("sphere", sphere_mask(BOX, 0.4 * BOX)),
            ("mask", np.maximum(sphere_mask(BOX, 0.4 * BOX), arm > 0.1 * arm.max())),
        )
    }
    assert abs(strength["mask"] - 1) < 0.1
    assert strength["sphere"] < strength["mask"] - 0.1

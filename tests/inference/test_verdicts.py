"""What images say of conventions: they tell the right one from the wrong one, and nothing where there is nothing to tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from small_experiment import BOX, OPTICS, PIXEL, Recorded, particles, phantom, positions, recorded, series
from tomobayes.fourier.volume import Sums, from_map, half_extent
from tomobayes.imaging.gathering import Source, usable_particles
from tomobayes.inference.verdicts.common_signal import common_ssnr
from tomobayes.inference.verdicts.contrast import contrast
from tomobayes.inference.verdicts.defocus_hand import defocus_hand, flipped_hand
from tomobayes.inference.verdicts.map_hand import map_hand
from tomobayes.inference.verdicts.references import mirrored, reference_hand
from tomobayes.inference.verdicts.verdict import SURE, verdict
from tomobayes.maps.masks import sphere_mask
from tomobayes.model import Dataset, Map

DIAMETER = 110.0
C1 = np.eye(3)[None]


@pytest.fixture(scope="module")
def scene() -> Dataset:
    """36 particles at various depths of a thick slab, in 7 images with little noise."""
    random = np.random.default_rng(4)
    place = positions(6, 32)
    place[:, 2] = random.uniform(-3000, 3000, len(place))
    one = replace(series(300, step=20.0), tomogram_size=(300, 300, 1040))
    return recorded(Dataset((one,), (OPTICS,), particles(place)), phantom(sigma=5.0), sigma=0.5)


def answer(dataset: Dataset) -> str:
    source = Source("series", BOX, 1.0)
    usable = usable_particles(dataset, source)
    assert usable.sum() >= 30
    return defocus_hand(dataset, source, usable, sphere_mask(BOX, DIAMETER / PIXEL), C1).verdict.answer


def test_defocus_hand_is_told_from_its_opposite(scene: Dataset) -> None:
    assert answer(scene) == "right"
    assert answer(flipped_hand(scene)) == "wrong"


def test_particles_at_one_depth_of_untilted_images_do_not_tell_the_hand(scene: Dataset) -> None:
    table = scene.particles
    flat = scene.with_particles(replace(table, position_angstrom=table.position_angstrom * [1, 1, 0]))
    level = replace(flat.tilt_series[0], rotation=np.tile(np.eye(3), (7, 1, 1)))
    assert answer(recorded(replace(flat, tilt_series=(level,)), phantom(sigma=5.0), sigma=0.5)) == "undecided"


def test_noise_does_not_tell_the_hand(scene: Dataset) -> None:
    assert answer(recorded(scene, None, sigma=4.0)) == "undecided"


def test_contrast_and_its_opposite(scene: Dataset) -> None:
    source = Source("series", 2 * BOX, 1.0)
    inverted = -scene.tilt_series[0].images.values
    negative = replace(scene, tilt_series=(replace(scene.tilt_series[0], images=Recorded(inverted)),))
    found = [contrast(one, source, usable_particles(one, source), DIAMETER).answer for one in (scene, negative)]
    assert found == ["right", "wrong"]


def test_reference_and_its_mirror_image(scene: Dataset) -> None:
    """Whatever frame the reference is in; and a reference that is its own mirror image says nothing."""
    source = Source("series", 20, 1.6)
    usable = usable_particles(scene, source) & (np.arange(36) < 24)
    coarse = torch.from_numpy(phantom(20, 1.6 * PIXEL, 5.0).data)
    turned = coarse.transpose(0, 1)  # exchanging two axes is a mirror and a turn, exchanging all three in a cycle a turn alone
    symmetric = coarse + mirrored(coarse)
    found = [reference_hand(scene, source, usable, one, DIAMETER, C1, 5.0).answer for one in (coarse, turned, symmetric)]
    assert found == ["right", "wrong", "undecided"]


def test_map_beside_a_model() -> None:
    model, random = phantom(24, 8.0), np.random.default_rng(0)
    noisy = model.data + model.data.std() * random.normal(size=model.data.shape).astype(np.float32)
    turned, mirror = noisy.transpose(1, 2, 0), noisy.transpose(1, 0, 2)
    found = [map_hand(Map(np.ascontiguousarray(one), 8.0), model, 130.0).answer for one in (turned, mirror)]
    assert found == ["right", "wrong"]


def test_mirror_image_keeps_the_centre() -> None:
    for n in (6, 7):
        density = torch.zeros(n, n, n)
        density[n // 2, n // 2, n // 2], density[n // 2 + 1, n // 2, n // 2] = 2.0, 1.0
        other = mirrored(density)
        assert other[n // 2, n // 2, n // 2] == 2 and other[n // 2 - 1, n // 2, n // 2] == 1
        assert torch.equal(mirrored(other), density)


def test_verdicts_of_noise_are_rarely_sure() -> None:
    """However much nats one witness claims: not beyond the promised share of sets (20 of 20000; 40 would be 4.5 standard deviations)."""
    random = np.random.default_rng(1)
    sets = random.normal(size=(20_000, 50)) * 100
    assert sum(verdict(one).answer != "undecided" for one in sets) < 2 * (1 - SURE) * len(sets) + 40


def test_witnesses_who_judge_each_other_are_not_counted_twice() -> None:
    """What each pair has in common is noise here, and is in the ratios of both (8 of 4000 sets; 13 more would be 4.5 deviations)."""
    random = np.random.default_rng(2)
    pairs = random.normal(size=(4000, 50, 50)).astype(np.float32) * 100
    sets = (pairs + pairs.transpose(0, 2, 1)).sum(2)
    sure = [sum(verdict(one, mutual=mutual).answer != "undecided" for one in sets) for mutual in (True, False)]
    assert sure[0] < 2 * (1 - SURE) * len(sets) + 13 < sure[1]


def test_signal_that_two_sets_share_is_told_from_their_noise() -> None:
    box, radius = 24, 11
    shape = (2 * half_extent(radius) + 1, 2 * half_extent(radius) + 1, half_extent(radius) + 1)
    random = torch.Generator().manual_seed(0)
    signal = from_map(torch.from_numpy(sphere_mask(box, 16.0)) * torch.randn((box,) * 3, generator=random), radius).data
    weight = 1 + torch.rand(shape, generator=random)

    def sums(level: float) -> Sums:
        noise = torch.randn((*shape, 2), generator=random)
        return Sums(level * weight * signal + torch.view_as_complex(noise) * weight.sqrt(), weight, box, radius)

    loud, faint = (common_ssnr(sums(level), sums(level))[3:].mean() for level in (1.0, 0.5))
    assert 3 < loud / faint < 5, "power goes with the square"
    assert common_ssnr(sums(0.0), sums(0.0))[3:].mean() < 0.05 * faint


def test_verdicts_need_nats_and_agreement() -> None:
    assert verdict(np.full(50, 1e-3)).answer == "undecided"  # all agree, but say next to nothing
    assert verdict(np.array([500.0] + [-1.0] * 49)).answer == "undecided"  # one against all
    assert verdict(np.random.default_rng(0).normal(2, 1, 50)).answer == "right"
    assert verdict(-np.random.default_rng(0).normal(2, 1, 50)).answer == "wrong"
    assert verdict(np.zeros(0)).probability == 0.5

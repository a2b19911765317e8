"""What images say of hands and contrast: the wrong ones are found, the right ones are never doubted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tomobayes.formats.atomic_model import builtin_model
from tomobayes.fourier.volume import from_map
from tomobayes.imaging.gathering import Source, gather, usable_particles
from tomobayes.imaging.noise import precision, signal_free_sums, spectrum
from tomobayes.inference.verdicts.agreement import agreement, held_out_likelihood
from tomobayes.inference.verdicts.contrast import contrast
from tomobayes.inference.verdicts.defocus_hand import defocus_hand, flipped_hand
from tomobayes.inference.verdicts.map_hand import map_hand
from tomobayes.inference.verdicts.references import mirrored, reference_hand
from tomobayes.inference.verdicts.verdict import verdict
from tomobayes.maps.masks import sphere_mask
from tomobayes.model import Dataset, Map
from tomobayes.simulation.acquisition import Acquisition
from tomobayes.simulation.density import density_map
from tomobayes.simulation.scattering import centred
from tomobayes.simulation.scene import scene
from tomobayes.simulation.simulation import simulate, tilt_images

SETS, PARTICLES = 20, 50
PIXEL, DIAMETER = 5.0, 280.0
FINE, COARSE, WIDE = Source("series", 72, 1.0), Source("series", 30, 2.6), Source("series", 48, 3.0)
"""Boxes of about the size that ``check`` chooses for a 70S ribosome."""
C1 = np.eye(3)[None]
SIGNAL, NOISE = 0.05, 1e-9


@dataclass(frozen=True)
class Recorded:
    """Tilt images in memory."""

    values: NDArray[np.generic]
    pixel_size_angstrom: float = PIXEL

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.values.shape

    def read(self, tilt: int) -> NDArray[np.generic]:
        return self.values[tilt]


def experiment(seed: int, snr: float) -> Dataset:
    """50 ribosomes in 150 nm of ice, 41 tilts of 800² pixels; the hand is -1 or +1 in turn."""
    acquisition = Acquisition(PIXEL, (800, 800), thickness_angstrom=1500.0, hand=float(2 * (seed % 2) - 1))
    place = scene(acquisition, 1, PARTICLES, 270.0, np.random.default_rng(seed))
    model = density_map(centred(builtin_model("ribosome")), 72, PIXEL)
    simulation = simulate(place, [model], seed=seed, snr=snr, grey_scale="int16")
    images = Recorded(np.stack(list(tilt_images(simulation, 0))))
    written = replace(simulation.written, tilt_series=(replace(simulation.written.tilt_series[0], images=images),))
    return written.with_particles(replace(written.particles, half=1 + np.arange(PARTICLES) % 2))


def count(answers: list[str], answer: str) -> int:
    return sum(one == answer for one in answers)


def _defocus(dataset: Dataset) -> str:
    return defocus_hand(dataset, FINE, usable_particles(dataset, FINE), sphere_mask(FINE.box, DIAMETER / PIXEL), C1).verdict.answer


@pytest.mark.long
def test_hand_of_the_defocus(claims) -> None:
    """Of 20 simulated sets of 50 particles: in how many the wrong hand is found, and in how many the right one is called wrong.

    The oracle is the same comparison with the true map in place of those that the other particles make.
    """
    right, wrong, best, empty = [], [], [], []
    for seed in range(SETS):
        data = experiment(seed, SIGNAL)
        right.append(_defocus(data))
        wrong.append(_defocus(flipped_hand(data)))
        best.append(_beside_the_truth(flipped_hand(data)))
        empty.append(_defocus(experiment(seed, NOISE)))
        print(f"set {seed}: {right[-1]}, {wrong[-1]}, with the true map {best[-1]}, noise alone {empty[-1]}", flush=True)
    null, oracle = SETS - count(empty, "undecided"), count(best, "wrong")
    claims.measured("sets of 20 whose wrong defocus hand is found", count(wrong, "wrong"), at_least=19, oracle=oracle, null=null)
    claims.measured("sets of 20 whose right defocus hand is called wrong", count(right, "wrong"), at_most=0)
    claims.measured("sets of 20 whose right defocus hand is confirmed", count(right, "right"), null=null)


def _beside_the_truth(dataset: Dataset) -> str:
    """What a true map tells of the hand."""
    volume = from_map(torch.from_numpy(density_map(centred(builtin_model("ribosome")), FINE.box, PIXEL).data))
    table, usable = dataset.particles, usable_particles(dataset, FINE)
    told = []
    for one in (dataset, flipped_hand(dataset)):
        statistics = gather(one, np.flatnonzero(usable), FINE, volume.radius)
        pose = torch.from_numpy(table.rotation[usable]), torch.from_numpy(table.centre_angstrom[usable])
        weight = precision(statistics, spectrum(signal_free_sums(statistics)))
        told.append(held_out_likelihood(agreement(statistics, weight, volume, *pose, volume.radius)).numpy())
    return verdict(told[0] - told[1]).answer


def _coarse(density: Map) -> torch.Tensor:
    return torch.from_numpy(density.data * sphere_mask(density.box, DIAMETER / density.pixel_size_angstrom))


@pytest.mark.long
def test_mirrored_reference(claims) -> None:
    """Of 20 simulated sets of 50 particles: in how many a mirrored reference is found, and in how many the right one is called mirrored."""
    pixel = PIXEL * COARSE.binning
    reference = _coarse(density_map(centred(builtin_model("ribosome")), COARSE.box, pixel, 32 * pixel**2))
    right, wrong = [], []
    for seed in range(SETS):
        data = experiment(seed, SIGNAL)
        usable = usable_particles(data, COARSE)
        kinds = (reference, mirrored(reference))
        for answers, one in zip((right, wrong), kinds, strict=True):
            answers.append(reference_hand(data, COARSE, usable, one, DIAMETER, C1, 5.0).answer)
        print(seed, right[-1], wrong[-1], flush=True)
    data = experiment(0, NOISE)
    null = int(reference_hand(data, COARSE, usable_particles(data, COARSE), reference, DIAMETER, C1, 5.0).answer != "undecided")
    claims.measured("sets of 20 whose mirrored reference is found", count(wrong, "wrong"), at_least=19, null=null)
    claims.measured("sets of 20 whose right reference is called mirrored", count(right, "wrong"), at_most=0)


@pytest.mark.long
def test_contrast(claims) -> None:
    """Of 10 simulated sets of 50 particles: in how many inverted contrast is found, and in how many the right one is called inverted."""
    right, wrong = [], []
    for seed in range(10):
        data = experiment(seed, SIGNAL)
        right.append(_contrast(data, 1))
        wrong.append(_contrast(data, -1))
    null = int(_contrast(experiment(0, NOISE), 1) != "undecided")
    claims.measured("sets of 10 whose inverted contrast is found", count(wrong, "wrong"), at_least=9, null=null)
    claims.measured("sets of 10 whose right contrast is called inverted", count(right, "wrong"), at_most=0)


def _contrast(data: Dataset, sign: int) -> str:
    (one,) = data.tilt_series
    data = replace(data, tilt_series=(replace(one, images=Recorded(sign * one.images.values)),))
    return contrast(data, WIDE, usable_particles(data, WIDE), DIAMETER).answer


def test_map_beside_an_atomic_model(claims) -> None:
    """Of 6 turned, shifted and noisy maps and their mirror images: how many are told apart, and how many of mere noise are."""
    model, random = centred(builtin_model("ribosome")), np.random.default_rng(0)
    known = density_map(model, 40, 10.0, 32 * 100)
    noise = known.data.std() * np.random.default_rng(1).normal(size=known.data.shape).astype(np.float32)
    found = []
    for turn in range(6):
        axes = np.linalg.qr(random.normal(size=(3, 3)))[0]
        axes *= np.sign(np.linalg.det(axes))
        moved = replace(model, position_angstrom=model.position_angstrom @ axes.T + random.uniform(-15, 15, 3))
        data = density_map(moved, 40, 10.0).data + 2 * np.roll(noise, 5 * turn)
        for answer, one in (("right", data), ("wrong", mirrored(torch.from_numpy(data)).numpy())):
            found.append(map_hand(Map(np.ascontiguousarray(one), 10.0), known, DIAMETER).answer == answer)
    null = int(map_hand(Map(noise, 10.0), known, DIAMETER).answer != "undecided")
    claims.measured("maps and mirror images, of 12, whose hand is told", sum(found), at_least=12, null=null)

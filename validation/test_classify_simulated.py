"""``classify`` as a user runs it, on simulated tilt series of particles that lack a part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from class_oracle import told_by_true_maps
from commands import tomobayes
from test_classify import agreement
from tomobayes.formats.mrc import read_map, write_map
from tomobayes.formats.relion import read_dataset
from tomobayes.imaging.gathering import Source
from tomobayes.model import Map

PIXEL, DIAMETER = 12.0, 280
PARTS = [((5, 0, 0), 6.0), ((-5, 2, 0), 6.0), ((0, -5, -4), 6.0)]
"""Centres (x, y, z) and radii, in voxels, of a quarter, a quarter and a fifth of the mass."""
FACTOR = ((5, 0, 0), 3.0)
"""A twentieth of the mass."""


def _ball(box: int, centre: tuple[int, int, int], radius: float) -> np.ndarray:
    axis = np.arange(box) - box // 2
    x, y, z = (axis - middle for middle in centre)
    distance = np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2)
    return 1 / (1 + np.exp((distance - radius) / 0.5))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A 70S ribosome of 32 voxels."""
    folder = tmp_path_factory.mktemp("whole")
    words = ["--angpix", PIXEL, "--box", 32, "--n-series", 1, "--n-particles", 1, "--image-size-px", 100, 100, "--tilt-step", 30]
    tomobayes("simulate", *words, "--o", folder / "sim")
    return folder / "sim/truth_class1.mrc"


def _without(whole: Path, folder: Path, name: str, part: tuple[tuple[int, int, int], float]) -> Path:
    data = read_map(whole).data
    write_map(folder / name, Map((data * (1 - _ball(len(data), *part))).astype(np.float32), PIXEL))
    return folder / name


def _simulate(folder: Path, models: list[Path], n_series: int, snr: float, *more: object) -> Path:
    words = ["--angpix", PIXEL, "--n-series", n_series, "--n-particles", 50, "--image-size-px", 240, 240, "--snr", snr]
    tomobayes("simulate", "--model", *models, *words, "--min-distance", 290, "--data-type", "float32", *more, "--o", folder / "sim")
    return folder / "sim"


def _classify(sim: Path, out: Path, n_classes: int, *more: object) -> np.ndarray:
    """Class of each particle, from 0; 41 tilts of ±60° at the true poses."""
    where = more if "--i" in more else ("--i", sim, "--p", sim / "particles_truth.star", "--box", 32, *more)
    words = ["--k", n_classes, "--particle-diameter", DIAMETER, "--max-iter", 8, "--j", 1, "--o", out]
    tomobayes("classify", *where, *words)
    return read_dataset(out).particles.class_number - 1


def _oracle(sim: Path, models: list[Path]) -> float:
    """Accuracy of the true maps at the true poses."""
    data = read_dataset(sim, particles=sim / "particles_truth.star")
    told = told_by_true_maps(data, Source("series", 32, 1.0), [read_map(one).data for one in models])
    return float((told == _truth(sim)).mean())


def _truth(sim: Path) -> np.ndarray:
    return read_dataset(sim, particles=sim / "particles_truth.star").particles.class_number - 1


def test_four_states(whole, tmp_path, claims):
    """1000 particles at SNR 0.05, 40, 30, 20 and 10 % of them in four states that lack another fifth or quarter each."""
    models = [whole, *(_without(whole, tmp_path, f"part{k}.mrc", part) for k, part in enumerate(PARTS))]
    sim = _simulate(tmp_path, models, 20, 0.05, "--populations", 4, 3, 2, 1)
    truth, found = _truth(sim), _classify(sim, tmp_path / "cls", 4)
    shuffled = np.random.default_rng(0).permutation(truth)
    claims.measured("accuracy", agreement(found, truth), at_least=0.95, oracle=_oracle(sim, models), null=agreement(shuffled, truth))
    size, expected = (np.sort(np.bincount(labels, minlength=4)) / len(truth) for labels in (found, truth))
    claims.measured("largest error of a population", float(np.abs(size - expected).max()), at_most=0.02, null=float(expected.max() - 0.25))


def test_focus(whole, tmp_path, claims):
    """A factor of a twentieth of the mass in half of 400 particles at SNR 0.1, looked for around its place or everywhere."""
    models = [whole, _without(whole, tmp_path, "less.mrc", FACTOR)]
    sim = _simulate(tmp_path, models, 8, 0.1)
    focus = tmp_path / "focus.mrc"
    write_map(focus, Map(_ball(32, FACTOR[0], 5.0).astype(np.float32), PIXEL))
    truth = _truth(sim)
    with_mask = agreement(_classify(sim, tmp_path / "focused", 2, "--focus-mask", focus), truth)
    without = agreement(_classify(sim, tmp_path / "everywhere", 2), truth)
    claims.measured("accuracy with the mask", with_mask, at_least=0.90, oracle=_oracle(sim, models), null=0.5)
    claims.measured("gain over no mask", with_mask - without, at_least=0.05)


def test_engines_agree(whole, tmp_path, monkeypatch, claims):
    """Labels of 100 particles from tilt images, from their 2D stacks and from their pseudo-subtomograms."""
    monkeypatch.chdir(tmp_path)
    sim = _simulate(tmp_path, [whole, _without(whole, tmp_path, "less.mrc", PARTS[0])], 2, 0.2)
    truth, series = _truth(sim), _classify(sim, tmp_path / "series", 2)
    given = ["--i", sim, "--p", sim / "particles_truth.star", "--box", 32]
    for name, kind in (("stacks", ["--stack2d"]), ("subtomograms", [])):
        tomobayes("extract", *given, *kind, "--o", tmp_path / f"extracted_{name}")
        found = _classify(sim, tmp_path / name, 2, "--i", tmp_path / f"extracted_{name}")
        right = agreement(found, truth)
        claims.measured(f"labels from {name} as from tilt images", agreement(found, series), at_least=0.99, oracle=right, null=0.5)

"""``classify`` where poses are off: classes and poses summed together, or climbed to; as a user runs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from commands import read_json, tomobayes
from test_classify import agreement
from tomobayes.formats.mrc import read_map, write_map
from tomobayes.formats.relion import read_dataset
from tomobayes.formats.star import read_star
from tomobayes.model import Map

PIXEL, DIAMETER, BOX = 12.0, 280, 32
WORDS = ("--box", BOX, "--k", 2, "--particle-diameter", DIAMETER, "--j", 1)
FINE, COARSE = ("--angpix", PIXEL, "--tilt-step", 6), ("--angpix", 16, "--box", 24, "--tilt-step", 12)
SIDE = ((5, 0, 0), 6.0)
"""Centre (x, y, z) and radius, in voxels, of the quarter of the mass that half of the particles lack."""


@pytest.fixture(scope="module")
def states(tmp_path_factory) -> list[Path]:
    """A 70S ribosome of 32 voxels, and one that lacks a quarter."""
    folder = tmp_path_factory.mktemp("states")
    words = ["--angpix", PIXEL, "--box", BOX, "--n-series", 1, "--n-particles", 1, "--image-size-px", 100, 100, "--tilt-step", 30]
    tomobayes("simulate", *words, "--o", folder / "sim")
    whole = folder / "sim/truth_class1.mrc"
    write_map(folder / "less.mrc", Map((read_map(whole).data * (1 - ball(*SIDE))).astype(np.float32), PIXEL))
    return [whole, folder / "less.mrc"]


def ball(centre: tuple[int, int, int], radius: float) -> np.ndarray:
    """A soft ball in the box."""
    axis = np.arange(BOX) - BOX // 2
    x, y, z = (axis - middle for middle in centre)
    distance = np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2)
    return 1 / (1 + np.exp((distance - radius) / 0.5))


def _simulate(states: list[Path], out: Path, particles: int, snr: float, *more: object) -> Path:
    words = ["--n-series", 2, "--n-particles", particles // 2, "--image-size-px", 240, 240, "--snr", snr]
    words += ["--min-distance", 290, "--data-type", "float32"]
    tomobayes("simulate", "--model", *states, *words, *more, "--o", out)
    return out


def _labels(job: Path) -> np.ndarray:
    return read_dataset(job).particles.class_number - 1


def _truth(sim: Path) -> np.ndarray:
    return read_dataset(sim, particles=sim / "particles_truth.star").particles.class_number - 1


def _error(check, particles: Path, sim: Path) -> float:
    """Median angle (degrees) to the true orientations."""
    return read_json(check("pose_error.py", particles, sim / "particles_truth.star", "--json"))["angle_median"]


@pytest.mark.long
def test_jittered_poses(states, tmp_path, check, claims):
    """100 particles at SNR 0.2, orientations off by 3° and places by a pixel in each component: classified as they are or aligned."""
    sim = _simulate(states, tmp_path / "sim", 100, 0.2, *FINE, "--pose-error", 3, "--position-error", PIXEL)
    truth, words = _truth(sim), (*WORDS, "--max-iter", 4)
    local = ("--align", "local", "--sigma-ang", 3, "--offset-sigma", PIXEL)
    tomobayes("classify", "--i", sim, *words, "--o", tmp_path / "given")
    tomobayes("classify", "--i", sim, *words, *local, "--o", tmp_path / "aligned")
    tomobayes("classify", "--i", sim, "--p", sim / "particles_truth.star", *words, "--o", tmp_path / "oracle")
    given, aligned, oracle = (agreement(_labels(tmp_path / name), truth) for name in ("given", "aligned", "oracle"))
    claims.measured("accuracy, poses searched locally", aligned, at_least=0.90, oracle=oracle, null=0.5)
    claims.measured("gain over poses as given", aligned - given, at_least=0.001, oracle=oracle - given)
    before, after = (_error(check, path, sim) for path in (sim / "particles.star", tmp_path / "aligned/run_data.star"))
    claims.measured("orientation error left (of what was given)", after / before, at_most=0.9, oracle=0, null=1)


@pytest.mark.long
def test_climbing(states, tmp_path, check, claims):
    """60 particles at SNR 0.3, orientations off by 10° in each component: three runs of hill climbing against a local search."""
    sim = _simulate(states, tmp_path / "sim", 60, 0.3, *COARSE, "--pose-error", 10, "--position-error", 8)
    truth, words = _truth(sim), ("--box", 24, "--k", 2, "--particle-diameter", DIAMETER, "--j", 1, "--max-iter", 2)
    words += ("--align", "local", "--sigma-ang", 10, "--offset-sigma", 8, "--offset-range", 32)
    tomobayes("classify", "--i", sim, *words, "--start", "random", "--restarts", 1, "--o", tmp_path / "local")
    tomobayes("classify", "--i", sim, *words, "--start", "climb", "--restarts", 3, "--climb-iter", 8, "--o", tmp_path / "climbed")
    local, found = (_labels(tmp_path / name) for name in ("local", "climbed"))
    table = read_star(tmp_path / "climbed/run_data.star")["particles"].columns
    sure = table["tomobayesClassConsistency"].astype(float) > 0.99
    claims.measured("accuracy beyond a local search's from random labels", agreement(found, truth) - agreement(local, truth), at_least=0.0)
    claims.measured("accuracy", agreement(found, truth), null=0.5)
    claims.measured("accuracy of these", agreement(found[sure], truth[sure]), at_least=0.98, oracle=1, null=0.5)
    before, after = (_error(check, path, sim) for path in (sim / "particles.star", tmp_path / "climbed/run_data.star"))
    claims.measured("orientation error left (of what was given)", after / before, at_most=0.9, oracle=0, null=1)
    claims.measured("share of the particles that all runs agree about", float(sure.mean()), at_least=0.6, oracle=1, null=0.25)

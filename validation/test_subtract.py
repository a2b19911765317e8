"""Signal subtraction: what is left of ribosomes when all but a tenth of them is taken off their tilt images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from commands import tomobayes
from tomobayes.formats.mrc import read_map, write_map
from tomobayes.formats.relion import read_dataset, write_dataset
from tomobayes.maps.fsc import fsc
from tomobayes.maps.masks import centre_of_mass
from tomobayes.model import Map

PIXEL, BOX, PART_BOX, DIAMETER = 5.0, 68, 36, 280
CENTRE, RADIUS = (0, -12, 0), 9.0
"""Of the part, (x, y, z) in pixels from the middle of the map: 11 % of its mass."""
SHELLS = np.arange(1, round(PART_BOX * PIXEL / 15) + 1)
"""Of the part's box, to 15 Å."""


def part_mask() -> np.ndarray:
    axis = np.arange(BOX) - BOX // 2
    x, y, z = (axis - middle for middle in CENTRE)
    distance = np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2)
    return np.asarray(1 / (1 + np.exp((distance - RADIUS) / 0.7)), dtype=np.float32)


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Path:
    """120 ribosomes at SNR 0.2 refined from poses that are 3° and 3 Å off, on their half-maps; mask.mrc is that of the part."""
    folder = tmp_path_factory.mktemp("subtract")
    words = ["--angpix", PIXEL, "--box", BOX, "--n-series", 2, "--n-particles", 60, "--image-size-px", 400, 400, "--min-distance", 290]
    more = ["--snr", 0.2, "--data-type", "float32", "--position-error", 3, "--pose-error", 3]
    tomobayes("simulate", *words, *more, "--o", folder / "sim")
    write_map(folder / "mask.mrc", Map(part_mask(), PIXEL))
    tomobayes("reconstruct", "--i", folder / "sim", "--particle-diameter", DIAMETER, "--box", BOX, "--j", 1, "--o", folder / "start")
    local = ["--ref", folder / "start/merged.mrc", "--ini-high", 30, "--sigma-ang", 2, "--max-iter", 2]
    tomobayes("refine", "--i", folder / "start", *local, "--particle-diameter", DIAMETER, "--j", 1, "--o", folder / "refined")
    return folder


def curve_of_the_part(source: Path, out: Path, truth: Path) -> np.ndarray:
    """FSC of what particles show around the part with the true part alone, no mask on either."""
    tomobayes("reconstruct", "--i", source, "--box", PART_BOX, "--bin", 1, "--particle-diameter", 120, "--j", 1, "--o", out)
    middle = np.round(centre_of_mass(part_mask())).astype(int) + BOX // 2
    x, y, z = (slice(place - PART_BOX // 2, place + PART_BOX // 2) for place in middle.tolist())
    part = (read_map(truth).data * part_mask())[z, y, x]
    return fsc(read_map(out / "merged.mrc").data, part)


def recentred(source: Path, out: Path) -> Path:
    """The same particles around the part, with nothing subtracted."""
    dataset = read_dataset(source)
    table = dataset.particles
    away = table.rotation @ (np.array(centre_of_mass(part_mask())) * PIXEL)
    here = replace(table, position_angstrom=table.centre_angstrom + away, origin_angstrom=np.zeros_like(table.origin_angstrom))
    return write_dataset(out, dataset.with_particles(here))


def test_what_is_left_is_the_part(scene, claims):
    """Lowest FSC down to 15 Å; oracle: true map and poses; null: nothing subtracted."""
    truth, common = scene / "sim/truth_class1.mrc", ["--mask", scene / "mask.mrc", "--particle-diameter", DIAMETER, "--recentre"]
    tomobayes("subtract", "--i", scene / "refined", *common, "--o", scene / "left")
    found = curve_of_the_part(scene / "left", scene / "part", truth)[SHELLS]
    true_poses = ["--i", scene / "sim", "--p", scene / "sim/particles_truth.star", "--ref", truth]
    tomobayes("subtract", *true_poses, *common, "--o", scene / "left_true")
    oracle = curve_of_the_part(scene / "left_true", scene / "part_true", truth)[SHELLS]
    null = curve_of_the_part(recentred(scene / "refined", scene / "moved"), scene / "part_null", truth)[SHELLS]
    for name, curve in (("found", found), ("oracle", oracle), ("null", null)):
        print(name, np.round(curve, 2).tolist())
    claims.measured("FSC of what is left with the true part, at 15 Å", found[-1], at_least=0.5, oracle=oracle[-1], null=null[-1])
    claims.measured("the same, lowest down to 15 Å", found.min(), oracle=oracle.min(), null=null.min())
    claims.measured("the same, mean down to 15 Å", found.mean(), oracle=oracle.mean(), null=null.mean())

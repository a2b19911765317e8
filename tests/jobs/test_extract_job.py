"""``extract``: stored images are the same experiment as the tilt images they were cut from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tomobayes.cli import main
from tomobayes.formats.mrc import read_map
from tomobayes.formats.relion import read_dataset
from tomobayes.formats.star import read_star, write_star
from tomobayes.maps.fsc import fsc

TRUE = ["extract", "--i", "sim", "--p", "sim/particles_truth.star", "--j", "1"]
KINDS = {"stacks": ["--stack2d"], "subtomograms": []}


@pytest.mark.parametrize("kind", KINDS)
def test_reconstruction_from_stored_images_is_that_from_tilt_images(kind, tiny):
    """Beyond the first shell: RELION subtracts the mean around the particle from stored images, and so do we."""
    assert main([*TRUE, "--box", "36", "--crop", "24", *KINDS[kind], "--o", "out"]) == 0
    stored = getattr(read_dataset("out").particles, kind)
    assert stored is not None and stored.box == 24
    for name, images in (("direct", "series"), ("stored", kind)):
        words = ["reconstruct", "--i", "out", "--images", images, "--particle-diameter", "250", "--j", "1", "--o", name]
        assert main([*words, "--box", "24"]) == 0
    direct, indirect = (read_map(f"{name}/merged.mrc") for name in ("direct", "stored"))
    assert indirect.pixel_size_angstrom == pytest.approx(16)
    assert fsc(direct.data, indirect.data)[2:9].min() > 0.8


@pytest.mark.parametrize(("likelihood", "kind"), [("relion4", "subtomograms"), ("exact", "subtomograms"), ("exact", "stacks")])
def test_refinement_works_from_stored_images(kind, likelihood, tiny):
    assert main([*TRUE, "--box", "24", *KINDS[kind], "--o", "out"]) == 0
    words = ["refine", "--i", "out", "--particle-diameter", "250", "--sigma-ang", "3", "--max-iter", "1", "--j", "1", "--o", "ref"]
    assert main([*words, "--likelihood", likelihood]) == 0
    assert fsc(read_map("ref/run_class001.mrc").data, read_map("sim/truth_class1.mrc").data)[2:5].min() > 0.7


@pytest.mark.parametrize("words", [[], ["--apply-orientations"]])
def test_poses_stay_where_they_are(words, tiny):
    tables = read_star(tiny / "particles_truth.star")
    count = len(tables["particles"].columns["rlnTomoName"])
    shifts = np.random.default_rng(1).normal(0, 10, (3, count))
    tables["particles"].columns.update({f"rlnOrigin{axis}Angst": shifts[i].astype(str) for i, axis in enumerate("XYZ")})
    write_star(tiny / "particles_truth.star", tables.values())
    assert main([*TRUE, "--box", "24", "--stack2d", *words, "--o", "out"]) == 0
    before, after = read_dataset("sim", particles=tiny / "particles_truth.star").particles, read_dataset("out").particles
    np.testing.assert_allclose(after.rotation, before.rotation, atol=1e-5)
    np.testing.assert_allclose(after.centre_angstrom, before.centre_angstrom, atol=1e-3)
    np.testing.assert_allclose(after.origin_angstrom, 0, atol=1e-9)
    assert np.allclose(after.rotation_particle, np.eye(3)) == bool(words)


def test_half_precision_halves_the_files(tiny):
    for name, words in (("full", []), ("half", ["--float16"])):
        assert main([*TRUE, "--box", "24", "--stack2d", *words, "--o", name]) == 0
    full, half = (next(Path(name).rglob("*_stack2d.mrcs")) for name in ("full", "half"))
    assert half.stat().st_size - 1024 == (full.stat().st_size - 1024) // 2
    images = [read_dataset(name).particles.stacks.read(0) for name in ("full", "half")]
    np.testing.assert_allclose(images[1], images[0], atol=2e-3 * np.abs(images[0]).max())


def test_particles_seen_too_seldom_are_left_out(tiny):
    tables = read_star(tiny / "particles.star")
    tables["particles"].columns["rlnCenteredCoordinateXAngst"][3] = "740"
    tables["particles"].columns["rlnTomoParticleName"] = np.array([str(i) for i in range(16)])
    write_star(tiny / "particles.star", tables.values())
    assert main(["extract", "--i", "sim", "--box", "24", "--max-dose", "15", "--stack2d", "--j", "1", "--o", "out"]) == 0
    particles = read_dataset("out").particles
    names = particles.name.tolist()
    assert "TS_01/3" not in names and {"TS_01/0", "TS_02/8"} <= set(names)
    assert particles.visible is not None and max(seen.sum() for seen in particles.visible) == 6
    assert f"{16 - len(names)} of 16 particles were left out" in json.loads(Path("out/report.json").read_text())["findings"][0]["text"]

"""``align``: tilt series, particles and motion for the next job and for RELION, and a page about them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tomobayes as tb
from tomobayes.cli import main
from tomobayes.formats.relion import read_dataset, read_optimisation_set, write_dataset
from tomobayes.imaging.views import views_of
from tomobayes.jobs import series_plan
from tomobayes.model import Dataset
from tomobayes.tiltseries import boxes

TRUE = ["--i", "sim", "--p", "sim/particles_truth.star", "--j", "1"]


@pytest.fixture
def start(tiny) -> Path:
    """Half-maps of true poses, and shifts of the first tilt series 9 Å off."""
    assert main(["reconstruct", *TRUE, "--box", "24", "--particle-diameter", "250", "--o", "rec"]) == 0
    path = Path("sim/tilt_series/TS_01.star")
    dataset = read_dataset("rec")
    label = [line.split()[0] for line in path.read_text().splitlines() if line.startswith("_rln")].index("_rlnTomoYShiftAngst")
    lines = []
    for line in path.read_text().splitlines():
        cells = line.split()
        if len(cells) > label and not line.startswith(("_", "#", "data_", "loop_")):
            cells[label] = f"{float(cells[label]) + 9:.4f}"
            line = " ".join(cells)
        lines.append(line)
    path.write_text("\n".join(lines) + "\n")
    assert not np.allclose(read_dataset("rec").tilt_series[0].shift_angstrom, dataset.tilt_series[0].shift_angstrom)
    return Path("rec")


def test_what_was_planted_is_taken_out_again(start):
    before = read_dataset("rec")
    assert main(["align", "--i", "rec", "--particle-diameter", "250", "--r", "30", "--rounds", "1", "--j", "1", "--o", "out"]) == 0
    after = read_dataset("out")
    change = after.tilt_series[0].shift_angstrom[:, 1] - before.tilt_series[0].shift_angstrom[:, 1]
    rows = np.flatnonzero(before.particles.tilt_series == 0)
    moved = 16 * (views_of(after, rows).centre_px - views_of(before, rows).centre_px)[..., 1]
    assert float(moved.mean()) == pytest.approx(-9, abs=1.5)
    assert np.abs(change).max() < 30
    other = np.flatnonzero(before.particles.tilt_series == 1)
    still = 16 * (views_of(after, other).centre_px - views_of(before, other).centre_px)
    assert float(still.square().mean().sqrt()) < 2
    members = read_optimisation_set("out")
    assert members.reference.half1 is not None and members.trajectories is None
    report = json.loads(Path("out/report.json").read_text())
    titles = [section["title"] for section in report["sections"]]
    assert titles == ["TS_01", "TS_02", "All tilt series", "References"]
    text = Path("out/run.log").read_text()
    assert "Round 1, TS_01" in text and "tilts changed" in text


def _distance(one: Dataset, other: Dataset) -> float:
    """Å rms between where particles of the second tilt series are seen, its images being where they should be."""
    rows = np.flatnonzero(one.particles.tilt_series == 1)
    places = [views_of(dataset, rows).centre_px for dataset in (one, other)]
    return 16 * float((places[0] - places[1]).square().mean().sqrt())


@pytest.mark.parametrize("more", [(), ("--deformation", "--def-model", "affine")], ids=["motion", "motion and deformation"])
def test_motion_that_is_not_there_is_taken_out_again(start, more):
    """By the last tilt it leads farther than half a wave of the map's finest detail."""
    true = read_dataset("rec")
    walk = tuple(np.outer(true.tilt_series[index].dose, [0.0, 0.0, 2.0]) for index in true.particles.tilt_series.tolist())
    write_dataset("wrong", replace(true, motion_angstrom=walk))
    options = ("--motion", "--s-vel", "2", "--s-div", "2000", *more)
    assert main(["align", "--i", "wrong", "--particle-diameter", "250", "--r", "60", *options, "--j", "1", "--o", "out"]) == 0
    before, after = (_distance(read_dataset(folder), true) for folder in ("wrong", "out"))
    assert before > 10
    assert after < 0.5 * before
    assert main(["reconstruct", "--i", "out", "--box", "24", "--j", "1", "--o", "again"]) == 0
    report = json.loads(Path("out/report.json").read_text())
    charts = {item.get("title") for section in report["sections"] for item in section["items"]}
    assert {"Motion along x and y", "Motion along x and z", "Motion along y and z"} <= charts


def test_only_shifts_change_where_only_shifts_are_asked_for(start):
    before = read_dataset("rec")
    for option in ("--shift-only", "--shift-only-by-particles"):
        assert main(["align", "--i", "rec", "--particle-diameter", "250", "--r", "30", option, "--j", "1", "--o", option[2:]]) == 0
        after = read_dataset(option[2:])
        for one, two in zip(before.tilt_series, after.tilt_series, strict=True):
            np.testing.assert_allclose(one.rotation, two.rotation, atol=1e-9)
        np.testing.assert_allclose(after.particles.centre_angstrom, before.particles.centre_angstrom, atol=1e-3)
        shifted = after.tilt_series[0].shift_angstrom - before.tilt_series[0].shift_angstrom
        assert np.median(shifted[:, 1]) == pytest.approx(-9, abs=2)


def test_options_that_contradict_each_other_are_refused(start, capsys):
    for options, words in (
        (["--shift-only", "--motion"], "leave out --motion"),
        (["--s-vel", "0.3"], "--s-vel say more about --motion"),
        (["--const-p", "--const-a", "--const-s"], "everything is kept"),
        (["--min-frame", "5", "--max-frame", "2"], "--max-frame must be at least"),
    ):
        assert main(["align", "--i", "rec", "--particle-diameter", "250", *options, "--o", "out"]) == 2
        assert words in " ".join(capsys.readouterr().err.split())
    assert not Path("out").exists()


def test_half_maps_must_be_known(start, capsys):
    assert main(["align", *TRUE, "--particle-diameter", "250", "--o", "out"]) == 2
    assert "--ref1 and --ref2" in " ".join(capsys.readouterr().err.split())
    done = tb.align(tb.Align(i="rec", particle_diameter=250, rounds=1, const_a=True, j=1, o="done"))
    for one, two in zip(read_dataset("rec").tilt_series, read_dataset(done).tilt_series, strict=True):
        np.testing.assert_allclose(one.rotation, two.rotation, atol=1e-9)


WORDS = {
    "align": ["--motion", "--rounds", "2"],
    "refine-ctf": ["--do-defocus", "--references", "rebuilt", "--kmin", "80"],
}


@pytest.mark.parametrize("verb", WORDS)
def test_workers_find_the_same(start, verb):
    common = [verb, "--i", "rec", "--particle-diameter", "250", *WORDS[verb], "--j", "1"]
    assert main([*common, "--o", "alone"]) == 0
    assert main([*common, "--workers", "2", "--o", "together"]) == 0
    alone, together = read_dataset("alone"), read_dataset("together")
    for one, other in zip(alone.tilt_series, together.tilt_series, strict=True):
        for name in ("rotation", "shift_angstrom", "defocus_u_angstrom", "defocus_v_angstrom"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-4)
    np.testing.assert_allclose(alone.particles.centre_angstrom, together.particles.centre_angstrom, atol=1e-4)
    assert "2 workers of 1 threads" in Path("together/run.log").read_text()
    assert not list(Path("together").glob("shared_*"))


def test_maps_too_coarse_for_defoci_are_refused(start, capsys):
    assert main(["refine-ctf", "--i", "rec", "--particle-diameter", "250", "--do-defocus", "--j", "1", "--o", "out"]) == 2
    assert "--kmin: 30 Å is finer than the half-maps" in " ".join(capsys.readouterr().err.split())
    assert not Path("out").exists()


@pytest.mark.parametrize("verb", WORDS)
def test_what_does_not_fit_is_refused(start, verb, monkeypatch, capsys):
    common = [verb, "--i", "rec", "--particle-diameter", "250", *WORDS[verb], "--j", "1", "--o", "out"]
    assert main([*common, "--plan"]) == 0
    assert "memory: about" in capsys.readouterr().out
    monkeypatch.setattr(series_plan, "available_bytes", lambda: 9e7)
    assert main(common) == 2
    assert "of memory, and 90 MB are available" in " ".join(capsys.readouterr().err.split())
    assert not Path("out").exists()


def test_a_tilt_series_that_cannot_be_read_stays_as_it_was(start, monkeypatch):
    whole = boxes._cut

    def cut(dataset, rows, *rest):
        if dataset.particles.tilt_series[rows[0]] == 0:
            raise OSError(5, "Input/output error", "TS_01.mrcs")
        return whole(dataset, rows, *rest)

    monkeypatch.setattr(boxes, "_cut", cut)
    before = read_dataset("rec").tilt_series[0]
    assert main(["align", "--i", "rec", "--particle-diameter", "250", "--r", "30", "--rounds", "1", "--j", "1", "--o", "out"]) == 0
    after = read_dataset("out").tilt_series[0]
    np.testing.assert_allclose(after.shift_angstrom, before.shift_angstrom, atol=1e-6)
    assert "tilt series TS_01 failed three times and stays as it was: OSError: [Errno 5]" in Path("out/run.log").read_text()

"""``classify``: from poses to classes in RELION's files; stopped and continued to the same bytes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tomobayes.cli import main
from tomobayes.formats.mrc import read_map, write_map
from tomobayes.formats.relion import read_dataset
from tomobayes.formats.star import read_star
from tomobayes.inference.classification.state import ClassRecord
from tomobayes.jobs.classify_report import doubt_of_classes
from tomobayes.jobs.frame import Context
from tomobayes.model import Map

WORDS = ["classify", "--box", "24", "--particle-diameter", "250", "--k", "2", "--j", "1"]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory) -> Path:
    """Two tiny tilt series of whole ribosomes and of ones that lack a third."""
    folder = tmp_path_factory.mktemp("mixed")
    words = ["simulate", "--angpix", "16", "--box", "24", "--n-series", "1", "--n-particles", "1", "--image-size-px", "60", "60"]
    assert main([*words, "--tilt-step", "40", "--o", str(folder / "one")]) == 0
    whole = read_map(folder / "one/truth_class1.mrc")
    write_map(folder / "part.mrc", Map(np.array(whole.data * (np.arange(24) < 13), dtype=np.float32), 16.0))
    words = ["simulate", "--model", str(folder / "one/truth_class1.mrc"), str(folder / "part.mrc"), "--angpix", "16", "--box", "24"]
    words += ["--n-series", "2", "--n-particles", "16", "--image-size-px", "120", "120", "--tilt-min", "-40", "--tilt-max", "40"]
    words += ["--tilt-step", "10", "--thickness", "400", "--min-distance", "250", "--snr", "0.5", "--data-type", "float32"]
    assert main([*words, "--o", str(folder / "sim")]) == 0
    return folder / "sim"


def _input(mixed: Path) -> list[str]:
    return ["--i", str(mixed), "--p", str(mixed / "particles_truth.star")]


@pytest.fixture(scope="module")
def classified(mixed, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("classified") / "cls"
    assert main([*WORDS, *_input(mixed), "--max-iter", "4", "--o", str(folder)]) == 0
    return folder


def test_classes_are_found(classified, mixed):
    truth = read_dataset(mixed, particles=mixed / "particles_truth.star").particles.class_number
    found = read_dataset(classified).particles.class_number
    right = (found == truth).mean()
    assert max(right, 1 - right) > 0.95


def test_classes_that_explain_nothing_are_not_to_be_believed(classified):
    """Said of those that images held out speak against, and neither of true ones nor of a single map."""
    two = ClassRecord(9, -1e4, -600.0, (0.9, 0.1), (20.0, 30.0), 0.0, 1.0, 8)
    assert "600 nats worse" in str(doubt_of_classes(two))
    assert doubt_of_classes(replace(two, gain=3.0)) is None
    assert doubt_of_classes(replace(two, gain=0.0, occupancy=(1.0,))) is None
    assert "not to be believed" not in (classified / "report.json").read_text()


def test_files_are_those_of_relion(classified):
    for name in ("run_it001_class001.mrc", "run_it001_data.star", "run_class002.mrc", "run_half1_class001_unfil.mrc", "run_model.star"):
        assert (classified / name).exists(), name
    rows = read_star(classified / "run_data.star")["particles"].columns
    shares = np.stack([rows[f"tomobayesClassProbability{k}"].astype(float) for k in (1, 2)])
    np.testing.assert_allclose(shares.sum(0), 1, atol=1e-5)
    np.testing.assert_array_equal(shares.argmax(0) + 1, rows["rlnClassNumber"].astype(int))
    model = read_star(classified / "run_model.star")["model_classes"].columns
    assert model["rlnClassDistribution"].astype(float).sum() == pytest.approx(1, abs=1e-4)


def test_report_tells_of_classes(classified):
    report = json.loads((classified / "report.json").read_text())
    titles = [section["title"] for section in report["sections"]]
    assert titles[:4] == ["Maps", "Resolution", "Particles", "Convergence"]
    assert any("in which particles differ" in finding["text"] for finding in report["findings"])


def test_continued_ends_as_if_never_stopped(classified, mixed, tmp_path):
    words = [*WORDS, *_input(mixed), "--o", str(tmp_path / "cls")]
    assert main([*words, "--max-iter", "2"]) == 0
    stopped = json.loads((tmp_path / "cls/report.json").read_text())
    assert main(["classify", "--o", str(tmp_path / "cls"), "--continue", "--from-iteration", "1", "--max-iter", "4"]) == 0
    assert stopped["title"] == "Classification"
    one, two = (read_map(folder / "run_class001.mrc").data for folder in (classified, tmp_path / "cls"))
    np.testing.assert_array_equal(one, two)


def test_runs_that_were_stopped_go_on_where_they_were(mixed, tmp_path, monkeypatch):
    """In the middle of the second run: one map of all particles, eight steps of the first run and three of the second are on disk."""
    words = [*WORDS, *_input(mixed), "--start", "random", "--restarts", "2", "--max-iter", "1"]
    assert main([*words, "--o", str(tmp_path / "whole")]) == 0
    save, saved = Context.save, []

    def saving(self, number, state, *more):
        path = save(self, number, state, *more)
        saved.append(state)
        if len(saved) == 12:
            raise MemoryError
        return path

    monkeypatch.setattr(Context, "save", saving)
    assert main([*words, "--o", str(tmp_path / "cls")]) == 1
    assert (len(saved[-1].trials.gains), saved[-1].trials.steps) == (1, 3)
    assert main(["classify", "--o", str(tmp_path / "cls"), "--continue"]) == 0
    assert len(saved) == 12 + 5 + 2  # the rest of the second run; the first classes and one iteration
    for name in ("run_class001.mrc", "run_class002.mrc"):
        np.testing.assert_array_equal(read_map(tmp_path / "whole" / name).data, read_map(tmp_path / "cls" / name).data)


def test_poses_and_runs_are_told(mixed, tmp_path):
    """Classes climbed to twice together with poses: what both runs say of each particle, and how well its pose is known."""
    words = [*WORDS, *_input(mixed), "--align", "local", "--sigma-ang", "3", "--offset-range", "16", "--max-iter", "1"]
    climb = ["--start", "climb", "--restarts", "2", "--climb-iter", "2"]
    assert main([*words, *climb, "--o", str(tmp_path / "cls")]) == 0
    rows = read_star(tmp_path / "cls/run_data.star")["particles"].columns
    assert set(rows["tomobayesClassConsistency"].astype(float).tolist()) <= {0.5, 1.0}
    assert (rows["tomobayesSigmaAngle"].astype(float) > 0).all()
    before, after = read_dataset(mixed, particles=mixed / "particles_truth.star"), read_dataset(tmp_path / "cls")
    turned = np.abs(before.particles.rotation - after.particles.rotation).max((1, 2))
    assert (turned > 1e-6).all()
    assert turned.max() < 0.3


def test_options_that_would_change_nothing_are_refused(mixed, tmp_path, capsys):
    assert main([*WORDS, *_input(mixed), "--sigma-ang", "3", "--o", str(tmp_path / "out")]) == 2
    assert main([*WORDS, *_input(mixed), "--temperature", "0.3", "--o", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert "--align local" in told
    assert "--start climb" in told


def test_particles_without_angles_are_refused(mixed, tmp_path, capsys):
    table = (mixed / "particles_truth.star").read_text()
    bare = tmp_path / "bare.star"
    rows = read_star(mixed / "particles_truth.star")["particles"].columns
    assert "rlnAngleRot" in rows
    lines = table.splitlines()
    labels = [line.split()[0] for line in lines if line.startswith("_rlnAngle")]
    assert labels
    bare.write_text(table.replace("_rlnAngle", "_rlnOther"))
    assert main([*WORDS, "--i", str(mixed), "--p", str(bare), "--o", str(tmp_path / "out")]) == 2
    assert "no angles" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

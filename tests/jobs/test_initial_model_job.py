"""``initial-model``: from positions to maps in RELION's files; stopped and continued to the same bytes."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from tomobayes.cli import main
from tomobayes.formats.mrc import read_map
from tomobayes.formats.relion import read_dataset
from tomobayes.formats.star import read_star
from tomobayes.jobs import initial_model

WORDS = ["initial-model", "--box", "24", "--particle-diameter", "270", "--iter", "2", "--j", "1", "--batch", "8"]


def test_a_symmetric_map_is_found_and_refined_from(tiny, project):
    assert main([*WORDS, "--i", str(tiny), "--starts", "2", "--sym", "C2", "--o", "ini"]) == 0
    folder = Path("ini")
    for name in ("run_it008_class001.mrc", "run_class001.mrc", "run_data.star", "optimisation_set.star", "report.html"):
        assert (folder / name).exists(), name
    volume = read_map(folder / "run_class001.mrc").data
    turned = volume[:, 1:, 1:][:, ::-1, ::-1]  # a half turn about z keeps the centre n//2
    assert np.corrcoef(volume[:, 1:, 1:].ravel(), turned.ravel())[0, 1] > 0.99
    report = json.loads((folder / "report.json").read_text())
    assert any("Log evidence of the starts" in finding["text"] for finding in report["findings"])
    assert (read_dataset(folder).particles.class_number == 1).all()


def test_classes_share_every_particle(tiny, project):
    assert main([*WORDS, "--i", str(tiny), "--starts", "1", "--classes", "2", "--o", "ini"]) == 0
    rows = read_star(Path("ini/run_data.star"))["particles"].columns
    shares = np.stack([rows[f"tomobayesClassProbability{k}"].astype(float) for k in (1, 2)])
    np.testing.assert_allclose(shares.sum(0), 1, atol=1e-5)
    np.testing.assert_array_equal(shares.argmax(0) + 1, rows["rlnClassNumber"].astype(int))
    one, two = (read_map(Path(f"ini/run_class00{k}.mrc")).data for k in (1, 2))
    assert not np.array_equal(one, two)


def test_continued_ends_as_if_never_stopped(tiny, project, monkeypatch):
    words = [*WORDS, "--i", str(tiny), "--starts", "2"]
    assert main([*words, "--o", "whole"]) == 0
    whole = initial_model.ab_initio
    monkeypatch.setattr(initial_model, "ab_initio", lambda *given: islice(whole(*given), 3))
    assert main([*words, "--o", "stopped"]) == 1
    monkeypatch.setattr(initial_model, "ab_initio", whole)
    assert main(["initial-model", "--o", "stopped", "--continue"]) == 0
    one, two = (read_map(Path(name) / "run_class001.mrc").data for name in ("whole", "stopped"))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    ("words", "told"), [(["--sigma-tilt", "10"], "rlnAngleTiltPrior"), (["--sym", "Q3"], "not a point group"), (["--bin", "9"], "--box")]
)
def test_what_cannot_be_is_refused_before_anything_is_written(tiny, project, capsys, words, told):
    assert main([*WORDS, "--i", str(tiny), *words, "--o", "ini"]) == 2
    assert told in " ".join(capsys.readouterr().err.split())
    assert not Path("ini").exists()


def test_the_plan_is_told_and_nothing_written(tiny, project, capsys):
    assert main([*WORDS, "--i", str(tiny), "--plan"]) == 0
    assert "4 starts of 2 steps" in capsys.readouterr().out
    assert not Path("InitialModel").exists()

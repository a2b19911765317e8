"""``reconstruct``: the poses of the particles become half-maps that the next job can take."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tomobayes as tb
from tomobayes.cli import main
from tomobayes.formats.mrc import read_map
from tomobayes.formats.relion import read_dataset, read_optimisation_set
from tomobayes.maps.fsc import fsc
from tomobayes.maps.masks import sphere_mask

TRUE = ["reconstruct", "--i", "sim", "--p", "sim/particles_truth.star", "--box", "24", "--particle-diameter", "250", "--j", "1"]


@pytest.fixture
def done(tiny) -> Path:
    assert main([*TRUE, "--o", "rec"]) == 0
    return Path("rec")


def test_true_poses_give_the_true_map(done):
    truth = read_map("sim/truth_class1.mrc").data
    merged, half1, half2 = (read_map(done / f"{name}.mrc") for name in ("merged", "half1", "half2"))
    assert merged.pixel_size_angstrom == pytest.approx(16)
    inside = sphere_mask(24, 18, 4)
    assert fsc(merged.data * inside, truth * inside)[1:8].min() > 0.85
    assert np.abs(half1.data - half2.data).max() > 0
    assert fsc(half1.data * inside, half2.data * inside)[1:6].min() > 0.4


def test_false_poses_do_not(tiny):
    assert main([*TRUE[:3], "--box", "24", "--particle-diameter", "250", "--j", "1", "--o", "rec"]) == 0
    assert fsc(read_map("rec/merged.mrc").data, read_map("sim/truth_class1.mrc").data)[4:8].mean() < 0.5


def test_halves_are_dealt_once_and_handed_on(done):
    members = read_optimisation_set(done)
    assert members.reference.half1 is not None and members.reference.half1.samefile(done / "half1.mrc")
    dealt = read_dataset(done).particles.half
    assert sorted(np.bincount(dealt, minlength=3).tolist()) == [0, 8, 8]
    assert main(["reconstruct", "--i", "rec", "--box", "24", "--random-seed", "5", "--j", "1", "--o", "again"]) == 0
    np.testing.assert_array_equal(read_dataset("again").particles.half, dealt)
    np.testing.assert_array_equal(read_map("again/half1.mrc").data, read_map("rec/half1.mrc").data)
    assert main(["postprocess", "--i", "rec", "--o", "post"]) == 0


def test_report_shows_what_was_made(done):
    report = json.loads((done / "report.json").read_text())
    assert [section["title"] for section in report["sections"]] == ["Resolution", "Map", "Poses", "Data"]
    assert any("dealt to two" in finding["text"] for finding in report["findings"])


def test_binning_and_dose_change_what_is_read(tiny):
    folder = tb.reconstruct(tb.Reconstruct(i=tiny, p=tiny / "particles_truth.star", box=12, bin=2, max_dose=12, particle_diameter=250, j=1))
    assert read_map(folder / "merged.mrc").pixel_size_angstrom == pytest.approx(32)
    assert main(["reconstruct", "--i", "sim", "--box", "12", "--bin", "2", "--min-frames", "10", "--particle-diameter", "250"]) == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--box", "24"], "no half-sets (rlnRandomSubset)"),
        ([], "--box: is needed where there is no reference"),
        (["--box", "25"], "--box should be a multiple of 2, not '25'"),
        (["--box", "24", "--sym", "Q"], "--sym"),
        (["--box", "24", "--extract-box", "20"], "--extract-box must be at least --box (24), not 20"),
        (["--box", "24", "--images", "stacks"], "asks for stored stacks, but the particles name none"),
    ],
)
def test_impossible_wishes_are_refused(words, sentence, tiny, capsys):
    assert main(["reconstruct", "--i", "sim", *words, "--o", "rec"]) == 2
    assert sentence in capsys.readouterr().err
    assert not Path("rec").exists()

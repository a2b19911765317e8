"""``cycle``: steps in turn, each judged by the map it makes; nothing done twice, nothing made worse."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tomobayes.cli import main
from tomobayes.formats.relion import read_dataset, write_dataset
from tomobayes.jobs import verbs
from tomobayes.jobs.cycle_report import changes
from tomobayes.model import Dataset
from tomobayes.project import Ending
from tomobayes.project.markers import mark

COMMAND = [
    "cycle",
    "--i",
    "given",
    "--box",
    "24",
    "--particle-diameter",
    "250",
    "--steps",
    "refine-ctf",
    "align",
    "--j",
    "1",
    "--o",
    "done",
]


@pytest.fixture
def truth(tiny) -> Dataset:
    """True poses, and given/ with shifts that are up to two pixels off."""
    dataset = read_dataset(tiny, tiny / "particles_truth.star")
    write_dataset("given", _shifted(dataset, 25.0))
    return dataset


def _shifted(dataset: Dataset, angstrom: float) -> Dataset:
    random = np.random.default_rng(2)
    series = [
        replace(one, shift_angstrom=one.shift_angstrom + random.normal(0, angstrom, one.shift_angstrom.shape))
        for one in dataset.tilt_series
    ]
    return replace(dataset, tilt_series=tuple(series))


class Steps:
    """Stands in for a verb: writes what a function makes of the data set it is given, and counts how often it was asked."""

    def __init__(self, make: Callable[[Dataset], Dataset]) -> None:
        self.make, self.asked = make, 0

    def __call__(self, parameters) -> Path:
        self.asked += 1
        dataset = self.make(read_dataset(parameters.i))
        write_dataset(parameters.o, dataset, what=("tomograms", "particles"))
        mark(parameters.o, Ending.SUCCESS)
        return parameters.o


@pytest.fixture
def nothing(monkeypatch) -> Steps:
    """A refine-ctf that finds nothing."""
    step = Steps(lambda dataset: dataset)
    monkeypatch.setattr(verbs, "refine_ctf", step)
    return step


def _steps_of(folder: str) -> list[list[str]]:
    """Name of each step, and whether it was built on."""
    report = json.loads((Path(folder) / "report.json").read_text())
    (table,) = (item for section in report["sections"] for item in section["items"] if "columns" in item)
    return [[row[0], row[-1]] for row in table["rows"]]


def test_steps_are_taken_until_nothing_improves(truth, nothing, monkeypatch):
    align = Steps(lambda dataset: replace(dataset, tilt_series=truth.tilt_series))
    monkeypatch.setattr(verbs, "align", align)
    assert main(COMMAND) == 0
    assert _steps_of("done") == [["start", "yes"], *[[f"{n}: {step}", "yes"] for n in (1, 2) for step in ("refine-ctf", "align")]]
    assert align.asked == nothing.asked == 2
    found = read_dataset("done")
    for one, true in zip(found.tilt_series, truth.tilt_series, strict=True):
        np.testing.assert_allclose(one.shift_angstrom, true.shift_angstrom, atol=1e-5)
    assert found.reference.half1 is not None and found.reference.half1.samefile("done/half1.mrc")
    assert main(["postprocess", "--i", "done", "--o", "post"]) == 0


def test_a_step_that_makes_the_map_worse_is_not_built_on(truth, nothing, monkeypatch):
    write_dataset("given", truth)
    monkeypatch.setattr(verbs, "align", Steps(lambda dataset: _shifted(dataset, 40.0)))
    assert main(COMMAND) == 0
    assert _steps_of("done") == [["start", "yes"], ["1: refine-ctf", "yes"], ["1: align", "no"]]
    found = read_dataset("done")
    np.testing.assert_allclose(found.tilt_series[0].shift_angstrom, truth.tilt_series[0].shift_angstrom, atol=1e-5)
    assert "start from before it" in (Path("done") / "report.html").read_text()


def test_a_stopped_cycle_repeats_no_step(truth, nothing, monkeypatch):
    def fail(dataset: Dataset) -> Dataset:
        raise RuntimeError("the power went out")

    monkeypatch.setattr(verbs, "align", Steps(fail))
    assert main(COMMAND) == 1
    align = Steps(lambda dataset: replace(dataset, tilt_series=truth.tilt_series))
    monkeypatch.setattr(verbs, "align", align)
    assert main(["cycle", "--o", "done", "--continue"]) == 0
    assert nothing.asked == align.asked == 2
    assert len(_steps_of("done")) == 5


def test_changes_tell_what_changed(truth):
    after = _shifted(truth, 3.0)
    found = changes(truth, after)
    expected = np.concatenate([b.shift_angstrom - a.shift_angstrom for a, b in zip(truth.tilt_series, after.tilt_series, strict=True)])
    assert found["tilt shifts (Å)"] == pytest.approx(np.sqrt(np.square(expected).mean()))
    assert all(value == 0 for name, value in found.items() if name != "tilt shifts (Å)")
    moved = tuple(np.full((one.n_tilts, 3), 2.0) for index in truth.particles.tilt_series for one in [truth.tilt_series[index]])
    assert changes(truth, replace(truth, motion_angstrom=moved))["motion (Å)"] == pytest.approx(2)


def test_stored_images_are_refused(capsys):
    assert main([*COMMAND, "--images", "stacks"]) == 2
    assert "tilt images" in capsys.readouterr().err

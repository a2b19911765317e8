"""``info`` and ``import`` on projects of other programs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tomobayes as tb
from tomobayes.cli import main
from tomobayes.formats.relion import read_dataset
from tomobayes.jobs.dose_scheme import dose_scheme

TILTS = np.arange(-60.0, 61.0, 3.0)
ORDERS = {
    "dose-symmetric": np.argsort(np.argsort(np.abs(TILTS) - 0.1 * (TILTS > 0))),
    "bidirectional": np.where(TILTS >= 0, TILTS / 3, 20 - TILTS / 3),
    "unidirectional": np.arange(len(TILTS)),
    "no dose": np.zeros(len(TILTS)),
    "other": np.random.default_rng(0).permutation(len(TILTS)),
}


@pytest.mark.parametrize("name", ORDERS)
def test_order_of_acquisition_is_recognised(name):
    shuffled = np.random.default_rng(1).permutation(len(TILTS))
    assert dose_scheme(TILTS[shuffled] + 0.3, 3.0 * ORDERS[name][shuffled]) == name


def test_info_says_what_was_understood(shared, capsys):
    assert main(["info", "--i", str(shared / "data/simulated/ribosome/optimisation_set_picked.star")]) == 0
    shown = capsys.readouterr().out
    for part in ("128 (64 per tilt series)", "TS_01", "dose-symmetric", "−60 to 60", "not assigned yet", "no orientations yet"):
        assert part in shown
    assert not list(Path().iterdir())


def test_info_reads_a_project_without_images(shared, capsys):
    folder = shared / "data/empiar10164"
    words = ["info", "--t", str(folder / "CtfRefine/job067/tomograms.star"), "--p", str(folder / "Refine3D/job074/run_data.star")]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "9 053" in shown.replace("\u202f", " ") or "9053" in shown
    assert "TS_54" in shown


def test_import_loses_nothing_and_its_folder_is_the_next_input(shared):
    source = shared / "data/simulated/ribosome/optimisation_set.star"
    assert tb.import_project(tb.ImportProject(i=source)) == Path("Import/job001")
    before, after = read_dataset(source), read_dataset(Path("Import/job001"))
    for name in ("position_angstrom", "rotation", "origin_angstrom", "half"):
        np.testing.assert_allclose(getattr(after.particles, name), getattr(before.particles, name), atol=1e-4)
    np.testing.assert_array_equal(after.tilt_series[1].images.read(7), before.tilt_series[1].images.read(7))
    assert main(["info", "--i", "Import/job001"]) == 0


def test_missing_member_is_refused(capsys):
    Path("set.star").write_text("data_\n_rlnTomoParticlesFile none.star\n_rlnTomoTomogramsFile none_either.star\n")
    assert main(["import", "--i", "set.star"]) == 2
    error = capsys.readouterr().err
    assert "none.star" in error and "none_either.star" in error
    assert not Path("Import").exists()

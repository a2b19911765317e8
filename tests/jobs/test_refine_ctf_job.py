"""``refine-ctf``: files in, better files out, and nothing written that was not asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tomobayes.cli import main
from tomobayes.formats.relion import read_dataset, read_optimisation_set, write_dataset

ALL = ["--do-defocus", "--do-scale", "--do-even-aberrations", "--do-odd-aberrations", "--do-magnification", "--split-by-time", "2"]


@pytest.fixture
def reconstructed(tiny) -> Path:
    """Half-maps from true poses, and defoci that are wrong."""
    true = ["reconstruct", "--i", "sim", "--p", "sim/particles_truth.star", "--box", "24", "--particle-diameter", "250", "--j", "1"]
    assert main([*true, "--o", "rec"]) == 0
    dataset = read_dataset("rec")
    wrong = [
        replace(one, defocus_u_angstrom=one.defocus_u_angstrom + 1500, defocus_v_angstrom=one.defocus_v_angstrom + 1500)
        for one in dataset.tilt_series
    ]
    write_dataset("wrong", replace(dataset, tilt_series=tuple(wrong)), members=read_optimisation_set("rec"))
    return Path("wrong")


def command(*more: str) -> list[str]:
    return ["refine-ctf", "--i", "wrong", "--particle-diameter", "250", "--kmin", "200", "--j", "1", "--o", "ctf", *more]


def test_everything_is_written_as_relion_has_it(reconstructed):
    assert main(command(*ALL)) == 0
    before, after = read_dataset("wrong"), read_dataset("ctf")
    members = read_optimisation_set("ctf")
    assert members.tomograms is not None and members.tomograms.samefile("ctf/tomograms.star")
    assert members.particles is not None and members.particles.samefile("ctf/particles.star")
    assert members.reference.half1 is not None and members.reference.half1.samefile("rec/half1.mrc")
    assert len(after.optics) == 2 * len(before.optics) or len(after.optics) == len(before.tilt_series)
    for old, new in zip(before.tilt_series, after.tilt_series, strict=True):
        np.testing.assert_array_equal(new.rotation, old.rotation)
        np.testing.assert_array_equal(new.dose, old.dose)
        assert np.isfinite(new.defocus_u_angstrom).all()
    report = json.loads(Path("ctf/report.json").read_text())
    assert any("held out" in finding["text"] for finding in report["findings"])
    assert {"Aberrations", "Magnification"} <= {section["title"] for section in report["sections"]}


def test_what_was_not_asked_for_stays(reconstructed):
    assert main(command("--do-scale", "--per-frame-scale", "--references", "given")) == 0
    before, after = read_dataset("wrong"), read_dataset("ctf")
    for old, new in zip(before.tilt_series, after.tilt_series, strict=True):
        np.testing.assert_array_equal(new.defocus_u_angstrom, old.defocus_u_angstrom)
    assert not Path("ctf/particles.star").exists()
    assert after.optics == before.optics


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ([], "say what to refine"),
        (["--per-frame-scale", "--do-defocus"], "--do-scale"),
        (["--do-defocus", "--d0", "100"], "either side of zero"),
        (["--do-odd-aberrations", "--no", "4"], "odd number"),
        (["--do-defocus", "--ref1", "rec/half1.mrc"], "belong together"),
    ],
)
def test_options_that_make_no_sense_are_refused(reconstructed, capsys, options, word):
    assert main(command(*options)) == 2
    assert word in " ".join(capsys.readouterr().err.split())
    assert not Path("ctf").exists()


def test_without_half_maps_there_is_nothing_to_compare_with(tiny, capsys):
    assert main(["refine-ctf", "--i", "sim", "--particle-diameter", "250", "--do-defocus", "--o", "ctf"]) == 2
    assert "--ref1" in capsys.readouterr().err

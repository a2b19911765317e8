"""Tilt series of two microscopes and pixel sizes, from files to one map."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tomobayes.cli import main
from tomobayes.formats.mrc import read_map
from tomobayes.formats.relion import read_dataset
from tomobayes.formats.relion_write import write_dataset
from tomobayes.maps.fsc import fsc
from tomobayes.particles.joining import joined

FINER = {
    "--angpix": ("12",), "--box": ("32",), "--image-size-px": ("128", "108"), "--kv": ("200",), "--cs": ("1.4",), "--seed": ("2",),
    "--tilt-axis": ("20",),
}  # fmt: skip
COMMON = [
    "--model", "builtin:ribosome", "--n-series", "1", "--n-particles", "8", "--tilt-min", "-40", "--tilt-max", "40", "--tilt-step", "10",
    "--thickness", "400", "--min-distance", "250", "--snr", "1", "--data-type", "float32", "--position-error", "4", "--pose-error", "4",
]  # fmt: skip
COARSER = ["--angpix", "16", "--box", "24", "--image-size-px", "96", "80"]


@pytest.fixture
def mixed(project) -> Path:
    """Eight ribosomes at 16 Å and 300 kV, eight others at 12 Å and 200 kV."""
    finer = [word for option, values in FINER.items() for word in (option, *values)]
    assert main(["simulate", *COMMON, *COARSER, "--o", "coarse"]) == 0
    assert main(["simulate", *COMMON, *finer, "--o", "fine"]) == 0
    coarse, fine = read_dataset("coarse"), read_dataset("fine")
    names = np.array([name.replace("TS_01", "TS_02") for name in fine.particles.name.tolist()])
    series = (replace(fine.tilt_series[0], name="TS_02", optics_name="fine"),)
    columns = {**fine.particles.columns, "rlnTomoName": np.full(len(names), "TS_02")}
    fine = replace(fine, tilt_series=series, optics=(replace(fine.optics[0], name="fine"),)).with_particles(
        replace(fine.particles, name=names, columns=columns)
    )
    write_dataset("both", joined({"coarse": coarse, "fine": fine}).dataset)
    return project / "both"


def test_refines_to_one_map(mixed):
    found = read_dataset(mixed)
    assert [series.pixel_size_angstrom for series in found.tilt_series] == [16, 12] and len(found.optics) == 2
    assert {optics.voltage_kv for optics in found.optics} == {300, 200}
    assert main(["info", "--i", str(mixed)]) == 0
    words = ["--ref", "coarse/truth_class1.mrc", "--particle-diameter", "250", "--sigma-ang", "4", "--offset-range", "16"]
    assert main(["refine", "--i", str(mixed), *words, "--ini-high", "60", "--max-iter", "3", "--j", "1", "--o", "ref"]) == 0
    map_ = read_map("ref/run_class001.mrc")
    assert map_.pixel_size_angstrom == 16 and map_.box == 24
    assert fsc(map_.data, read_map("coarse/truth_class1.mrc").data)[1:8].mean() > 0.8
    facts = {fact["label"]: fact["value"] for fact in json.loads(Path("ref/report.json").read_text())["facts"]}
    assert facts["Particles"] == "16"


def test_reconstructs_at_the_coarsest_pixels_and_no_finer(mixed, capsys):
    assert main(["reconstruct", "--i", str(mixed), "--box", "24", "--particle-diameter", "250", "--o", "rec"]) == 0
    assert read_map("rec/merged.mrc").pixel_size_angstrom == 16
    assert main(["reconstruct", "--i", str(mixed), "--box", "24", "--bin", "1.5", "--particle-diameter", "250", "--o", "rec2"]) == 0
    assert read_map("rec2/merged.mrc").pixel_size_angstrom == 24
    assert main(["refine", "--i", str(mixed), "--ref", "fine/truth_class1.mrc", "--particle-diameter", "250", "--o", "ref"]) == 2
    assert "finer than the pixels of the coarsest tilt images (16 Å)" in capsys.readouterr().err


def test_one_binning_extracts_no_two_pixel_sizes(mixed, capsys):
    assert main(["extract", "--i", str(mixed), "--box", "24", "--o", "ext"]) == 2
    told = capsys.readouterr().err
    assert "12 Å differs from the 16 Å of TS_01" in told and "One binning would give boxes of several" in told

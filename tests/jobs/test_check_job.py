"""``check``: what is odd is told with its place and remedy, and the report shows what was understood."""

from __future__ import annotations

import json
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from test_faults import PARTICLES, STACK, TILTS, TOMOGRAMS, cell, columns, pixels

import tomobayes as tb
from tomobayes.cli import main
from tomobayes.formats.relion import read_dataset
from tomobayes.jobs.doubts import doubts

SERIES = "TS_01"


def every(file: str, table: str, label: str, value: str):
    return columns(file, table, lambda cells: cells.__setitem__(label, np.full(len(next(iter(cells.values()))), value)))


def near_first(cells: dict[str, np.ndarray]) -> None:
    """The second particle of the first tilt series moves on top of the first."""
    for axis in "XYZ":
        cells[f"rlnCenteredCoordinate{axis}Angst"][1] = cells[f"rlnCenteredCoordinate{axis}Angst"][0]


ODD = {
    "no dose": (every(TILTS, SERIES, "rlnMicrographPreExposure", "0"), [SERIES, "no dose is given", "write the dose"]),
    "same dose twice": (cell(TILTS, SERIES, "rlnMicrographPreExposure", 2, "3.0"), ["several images have the same dose", "mdoc"]),
    "hybrid": (
        cell(TILTS, SERIES, "rlnMicrographPreExposure", 0, "90.0"),
        ["one exposure is more than 5 times the usual", "hybrid scheme"],
    ),
    "same angle twice": (
        columns(TILTS, SERIES, lambda cells: cells["rlnTomoYTilt"].__setitem__(3, cells["rlnTomoYTilt"][4])),
        ["several images have the same tilt angle", "listed twice"],
    ),
    "defocus in µm": (
        columns(TILTS, SERIES, lambda cells: [cells.update({f"rlnDefocus{axis}": np.full(9, "3.1")}) for axis in "UV"]),
        ["all defoci are below 50 Å", "in µm"],
    ),
    "overfocus": (cell(TILTS, SERIES, "rlnDefocusU", 3, "-500"), ["no or negative underfocus"]),
    "defocus too large": (cell(TILTS, SERIES, "rlnDefocusU", 3, "400000"), ["more than 15 µm of underfocus"]),
    "hands differ": (cell(TOMOGRAMS, "global", "rlnTomoHand", 1, "1"), ["TS_02", "has rlnTomoHand +1, the others -1"]),
    "amplitude contrast in percent": (
        lambda: (every(PARTICLES, "optics", "rlnAmplitudeContrast", "7")(), every(TOMOGRAMS, "global", "rlnAmplitudeContrast", "7")()),
        ["the amplitude contrast is 7", "CTFs are computed from it"],
    ),
    "on top of each other": (columns(PARTICLES, "particles", near_first), ["1 particles lie within 1 Å of another", "rows 2", "dedupe"]),
    "outside": (
        cell(PARTICLES, "particles", "rlnCenteredCoordinateZAngst", 5, "9000"),
        ["1 of 16 particles lie outside their tomogram", "rows 6", "rlnTomoSize"],
    ),
    "off the images": (
        cell(PARTICLES, "particles", "rlnCenteredCoordinateYAngst", 7, "5000"),
        ["particles lie inside fewer than 5 tilt images", "rows 8"],
    ),
    "half a half-set": (
        columns(PARTICLES, "particles", lambda cells: cells.update(rlnRandomSubset=np.array(["1", "2"] * 7 + ["0", "0"]))),
        ["2 of 16 particles belong to no half-set", "rows 15, 16, column rlnRandomSubset", "split-halves"],
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_is_told_with_its_place_and_remedy(name, tiny) -> None:
    assert doubts(read_dataset(tiny)) == ()
    edit, parts = ODD[name]
    edit()
    found = doubts(read_dataset(tiny))
    assert all(one.severity == "warning" and one.remedy and one.why for one in found)
    assert any(all(part.lower() in str(one).lower() for part in parts) for one in found), "\n".join(map(str, found))


def test_warnings_are_told_by_every_job_that_looks_at_images(tiny, capsys) -> None:
    ODD["overfocus"][0]()
    assert main(["reconstruct", "--i", "sim", "--box", "24", "--particle-diameter", "250", "--j", "1", "--o", "out"]) == 0
    assert "no or negative underfocus" in Path("out/run.log").read_text()


def test_report_shows_what_was_understood(tiny, capsys) -> None:
    assert main(["check", "--i", "sim", "--o", "out", "--j", "1"]) == 0
    shown = capsys.readouterr().out
    for part in ("TS_02", "96 x 80", "16.0000", "9 of float32", "48, 40, ", "dose-symmetric"):
        assert part in shown, shown
    report = json.loads(Path("out/report.json").read_text())
    titles = [item["title"] for section in report["sections"] for item in section["items"] if "title" in item]
    assert {"Images and tomograms", "Dose before each image", "Tilt series"} <= set(titles)
    assert Path("out/report.html").exists()


def test_errors_come_all_at_once_with_the_warnings(tiny, capsys) -> None:
    ODD["overfocus"][0]()
    pixels(lambda data: data[3].__setitem__((4, 5), np.nan))()
    assert main(["check", "--i", "sim", "--o", "out", "--j", "1"]) == 2
    told = capsys.readouterr().err
    assert f"tomobayes: {Path(STACK).resolve()}, image 4" in told and "tomobayes: warning: TS_01, rlnDefocusU" in told
    assert not Path("out").exists()


def test_depth_of_the_look(tiny, capsys) -> None:
    """Tables do without images, headers without pixels."""
    pixels(lambda data: data[3].__setitem__((4, 5), np.nan))()
    assert main(["check", "--i", "sim", "--depth", "headers", "--o", "headers", "--j", "1"]) == 0
    Path(STACK).unlink()
    assert main(["check", "--i", "sim", "--depth", "headers", "--o", "none", "--j", "1"]) == 2
    assert main(["check", "--i", "sim", "--depth", "tables", "--o", "tables", "--j", "1"]) == 0
    assert "no images are here" in Path("tables/run.log").read_text()


def test_inverted_contrast_is_told(tiny, capsys) -> None:
    words = ["check", "--i", "sim", "--particle-diameter", "250", "--j", "1"]
    assert main([*words, "--o", "right"]) == 0
    assert "Contrast of the tilt images: dark particles" in Path("right/run.log").read_text()
    for number in (1, 2):
        with mrcfile.mmap(f"sim/TS_0{number}.mrcs", "r+") as stream:
            stream.data[:] = -stream.data
    tb.check(tb.Check(i=Path("sim"), particle_diameter=250, j=1, o=Path("wrong")))
    assert "told as dark particles, but the images say otherwise" in Path("wrong/run.log").read_text()


def test_questions_need_a_diameter(tiny, capsys) -> None:
    assert main(["check", "--i", "sim", "--ref", "sim/truth_class1.mrc"]) == 2
    assert "--ref and --model need the --particle-diameter" in capsys.readouterr().err

"""The verb local-resolution: files, figures, pictures and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from phantoms import ball
from PIL import Image

import tomobayes as tb
from tomobayes.cli import main
from tomobayes.formats.mrc import read_map, write_map
from tomobayes.formats.relion import read_optimisation_set
from tomobayes.model import Map


@pytest.fixture
def mask(halves) -> Path:
    main(["mask", "--sphere-diameter", "64", "--box", "24", "--angpix", "4", "--width-soft-edge-px", "3", "--o", "mask.mrc"])
    return Path("mask.mrc")


def facts(folder: str) -> dict[str, str]:
    return {fact["label"]: fact["value"] for fact in json.loads(Path(folder, "report.json").read_text())["facts"]}


def test_writes_resolution_map_filtered_map_and_report(halves, mask, capsys):
    assert main(["local-resolution", "--i", ".", "--mask", str(mask)]) == 0
    folder = Path(capsys.readouterr().out.splitlines()[-1])
    assert folder == Path("LocalRes/job001")
    resolution, filtered = read_map(folder / "locres.mrc"), read_map(folder / "locres_filtered.mrc")
    assert resolution.pixel_size_angstrom == filtered.pixel_size_angstrom == 4
    assert resolution.data.min() >= 8 and resolution.data.max() <= 50
    assert "DensityMap.mrc" in (folder / "RELION_OUTPUT_NODES.star").read_text()
    shown = facts(folder)
    median = np.median(resolution.data[read_map(mask).data > 0.5])
    assert float(shown["Local resolution, median"].removesuffix(" Å")) == pytest.approx(median, abs=0.06)
    assert "memory: about" in (folder / "run.log").read_text()


def test_pictures_are_coloured_and_explained(halves):
    assert main(["local-resolution", "--i", ".", "--o", "here"]) == 0
    content = json.loads(Path("here/report.json").read_text())
    drawn = [item for section in content["sections"] for item in section["items"] if item["kind"] == "slices"]
    assert [item["title"] for item in drawn] == ["Surface", "Central slices"]
    for item in drawn:
        assert item["colour_bar"]["low"] < item["colour_bar"]["high"]
        for name in item["images"].values():
            image = np.asarray(Image.open(Path("here/report", name)))
            assert image.ndim == 3 and image.max() > 100
    assert any("No mask was given" in finding["text"] for finding in content["findings"])
    assert any("not sharpened" in finding["text"] for finding in content["findings"]) and facts("here")["B factor"] == "0 Å²"


def test_python_is_the_command_line(halves):
    assert tb.local_resolution(tb.LocalResolution(i=Path("half1.mrc"), window=3)) == Path("LocalRes/job001")


def test_options_do_what_they_say(halves):
    for name, words in (
        ("plain", []),
        ("strict", ["--fsc-threshold", "0.5"]),
        ("narrow", ["--window", "2"]),
        ("coarse", ["--locres-minres", "20"]),
        ("blurred", ["--adhoc-bfac", "400"]),
    ):
        assert main(["local-resolution", "--i", ".", *words, "--o", name]) == 0
    maps = {name: read_map(f"{name}/locres.mrc").data for name in ("plain", "strict", "narrow", "coarse")}
    assert (maps["strict"] >= maps["plain"] - 1e-3).all() and maps["strict"].mean() > maps["plain"].mean()
    assert maps["narrow"].std() != pytest.approx(maps["plain"].std(), rel=1e-3)
    assert maps["coarse"].max() <= 20.001 < maps["plain"].max()
    rough, smooth = (np.abs(np.fft.rfftn(read_map(f"{name}/locres_filtered.mrc").data)) for name in ("plain", "blurred"))
    assert smooth[6, 0, 0] / smooth[1, 0, 0] < 0.8 * rough[6, 0, 0] / rough[1, 0, 0]
    assert facts("blurred")["B factor"].startswith("400")


def test_noise_is_called_noise(halves):
    random = np.random.default_rng(4)
    for path in halves:
        write_map(path, Map(random.normal(size=(24, 24, 24)).astype(np.float32), 4.0))
    assert main(["local-resolution", "--i", ".", "--o", "here"]) == 0
    assert "agree at no resolution finer than 50 Å" in Path("here/report.html").read_text()
    assert (read_map("here/locres.mrc").data > 49.9).mean() > 0.95


def test_hands_the_optimisation_set_on(tiny, halves):
    for path in halves:
        path.rename(tiny / path.name)
    assert main(["local-resolution", "--i", "sim", "--o", "here"]) == 0
    members = read_optimisation_set(Path("here"))
    assert members.particles == Path("sim/particles.star").resolve() and members.reference.half1 == Path("sim/half1.mrc").resolve()


def problem(words: list[str], capsys) -> str:
    assert main(["local-resolution", *words]) == 2
    assert not Path("LocalRes").exists()
    return capsys.readouterr().err


def test_what_cannot_be_is_refused(halves, capsys):
    write_map("density.mrc", Map(ball() * 3, 4.0))
    assert "give a job's folder with --i" in problem([], capsys)
    assert "is the same map" in problem(["--half1", "half1.mrc", "--half2", "half1.mrc"], capsys)
    assert "from 0 to 3" in problem(["--i", ".", "--mask", "density.mrc"], capsys)
    assert "--locres-minres: 10 Å leaves nothing" in problem(["--i", ".", "--locres-minres", "10"], capsys)
    assert "--window" in problem(["--i", ".", "--window", "1"], capsys)


def test_a_job_without_room_does_not_start(halves, monkeypatch, capsys):
    import tomobayes.jobs.local_resolution as job

    monkeypatch.setattr(job, "available_bytes", lambda: 1e8)
    assert "of memory, and 0.1 GB are available" in problem(["--i", "."], capsys)

"""``map-back``: the average is where the particles are, and what it says."""

from __future__ import annotations

import json
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from tomobayes.cli import main
from tomobayes.formats.mrc import read_map, write_map
from tomobayes.formats.relion import read_dataset
from tomobayes.formats.star import read_star
from tomobayes.model import Map

TRUE = ["map-back", "--i", "sim", "--p", "sim/particles_truth.star", "--ref", "sim/truth_class1.mrc"]


def tomogram(name: str = "TS_01", folder: str = "out") -> tuple[np.ndarray, float]:
    with mrcfile.open(Path(folder) / f"{name}_mapback.mrc") as file:
        return file.data.copy(), float(file.voxel_size.x)


def told(folder: str = "out") -> dict[str, str]:
    return {fact["label"]: fact["value"] for fact in json.loads((Path(folder) / "report.json").read_text())["facts"]}


def test_a_copy_is_at_every_particle_turned_as_it_is(tiny):
    """Around each particle the tomogram is the map turned by splines; turned as another particle, or mirrored, it is not."""
    assert main([*TRUE, "--tomogram-bin", "1", "--lowpass", "40", "--o", "out"]) == 0
    found, voxel = tomogram()
    dataset, source = read_dataset("sim", particles="sim/particles_truth.star"), read_map("sim/truth_class1.mrc")
    assert voxel == source.pixel_size_angstrom == 16 and found.shape == dataset.tilt_series[0].tomogram_size[::-1]
    smooth = ndimage.gaussian_filter(source.data, 0.6)
    rows = np.flatnonzero(dataset.particles.tilt_series == 0)
    places = dataset.particles.centre_angstrom[rows] / voxel + np.array(found.shape[::-1]) / 2
    turns = dataset.particles.rotation[rows]
    agree = np.array([[_agreement(found, smooth, place, turn) for turn in turns] for place in places])
    mirrored = [_agreement(found, smooth[:, :, ::-1], place, turn) for place, turn in zip(places, turns, strict=True)]
    assert np.median(np.diag(agree)) > 0.95 and (agree.argmax(1) == np.arange(len(rows))).all()
    assert np.median(mirrored) < np.median(np.diag(agree)) - 0.03
    assert told()["Particles"] == "16" and told()["Voxel"] == "16 Å"


def _agreement(tomogram: np.ndarray, volume: np.ndarray, place: np.ndarray, rotation: np.ndarray) -> float:
    """Correlation inside a ball around a particle with the volume turned about its centre, by splines."""
    points = np.stack(np.meshgrid(*[np.arange(-8, 9)] * 3, indexing="ij"), -1).reshape(-1, 3).astype(float)
    points = points[np.linalg.norm(points, axis=1) <= 8]
    there = ndimage.map_coordinates(tomogram, (points + place)[:, ::-1].T, order=3)
    here = ndimage.map_coordinates(volume, (points @ rotation + len(volume) // 2)[:, ::-1].T, order=3)
    return float(np.corrcoef(there, here)[0, 1])


def test_lists_and_scripts_are_in_voxels_and_angstrom_of_the_tomogram(tiny):
    assert main([*TRUE, "--tomogram-bin", "2", "--tilt-series", "*2", "--o", "out"]) == 0
    found, voxel = tomogram("TS_02")
    assert voxel == 32 and not Path("out/TS_01.cxc").exists() and told()["Tomograms"] == "1"
    assert 'open "TS_02_mapback.mrc" id 2' in Path("out/TS_02.cxc").read_text()
    columns = read_star("out/artiax/TS_02.star")["particles"].columns
    voxels = np.stack([columns[f"rlnCoordinate{axis}"].astype(float) for axis in "XYZ"], 1)
    heights = ndimage.map_coordinates(ndimage.gaussian_filter(found, 1), voxels[:, ::-1].T, order=1)
    assert heights.min() > 5 * np.abs(found).mean()
    spheres = [line.split()[1:4] for line in Path("out/TS_02.bild").read_text().splitlines() if line.startswith(".sphere")]
    np.testing.assert_allclose(np.array(spheres, dtype=float), voxels * voxel, atol=1e-2)


def test_the_map_of_the_job_is_taken_and_a_mask_cuts_it(tiny):
    ball = np.linalg.norm(np.indices((24, 24, 24)) - 12, axis=0) < 3
    write_map("mask.mrc", Map(ball.astype(np.float32), 16.0))
    write_map("sim/merged.mrc", read_map("sim/truth_class1.mrc"))
    assert main(["map-back", "--i", "sim", "--o", "whole"]) == 0
    assert main(["map-back", "--i", "sim", "--mask", "mask.mrc", "--o", "part"]) == 0
    whole, part = (np.abs(tomogram(folder=folder)[0]).sum() for folder in ("whole", "part"))
    assert 0 < part < 0.5 * whole
    findings = " ".join(one["text"] for one in json.loads(Path("whole/report.json").read_text())["findings"])
    assert "sim/merged.mrc" in findings and "no orientations yet" in findings


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["map-back", "--i", "sim"], "--ref: is needed here"),
        ([*TRUE, "--tilt-series", "nothing*"], "no particles to put a map at"),
        ([*TRUE, "--mask", "small.mrc"], "has 8 voxels"),
        ([*TRUE, "--tomogram-bin", "0.5"], "tomogram-bin"),
    ],
)
def test_what_makes_no_sense_is_refused(options, sentence, tiny, capsys):
    write_map("small.mrc", Map(np.ones((8, 8, 8), dtype=np.float32), 16.0))
    assert main([*options, "--o", "out"]) == 2 and not Path("out").exists()
    assert sentence in " ".join("".join(capsys.readouterr()).split())


def test_a_tomogram_that_does_not_fit_into_memory_is_not_begun(tiny, monkeypatch, capsys):
    monkeypatch.setattr("tomobayes.jobs.map_back.available_bytes", lambda: 1000.0)
    assert main([*TRUE, "--o", "out"]) == 2 and not Path("out").exists()
    assert "--tomogram-bin" in "".join(capsys.readouterr())


def test_turning_is_by_the_particles_own_rotation():
    """The helper above is not symmetric by accident: an inverse rotation agrees less."""
    random = np.random.default_rng(0)
    volume = ndimage.gaussian_filter(random.normal(size=(24, 24, 24)), 2)
    turn = Rotation.random(random_state=1).as_matrix()
    flipped = turn[::-1, ::-1]
    turned = ndimage.affine_transform(volume, flipped.T, 12 - flipped.T @ np.full(3, 12), order=3)
    assert _agreement(turned, volume, np.full(3, 12.0), turn) > 0.95 > _agreement(turned, volume, np.full(3, 12.0), turn.T)

"""``refine``: from positions and a blurred map to poses, half-maps and RELION's files; killed and continued to the same bytes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tomobayes.cli import main
from tomobayes.formats.relion import read_dataset, read_optimisation_set
from tomobayes.formats.star import read_star, write_star
from tomobayes.geometry.rotations import angular_distance_degrees

WORDS = [
    "refine", "--i", "sim", "--ref", "sim/truth_class1.mrc", "--particle-diameter", "250", "--healpix-order", "1", "--max-iter", "4",
    "--offset-range", "32", "--ini-high", "70", "--j", "1",
]  # fmt: skip
LOCAL = ["--box", "24", "--particle-diameter", "250", "--sigma-ang", "3", "--offset-range", "16", "--max-iter", "2", "--j", "1"]

KILLED = """
import os, signal, sys
from tomobayes.cli import main
from tomobayes.jobs.frame import Context

save = Context.save

def save_and_die(self, number, state, *more):
    path = save(self, number, state, *more)
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return path

Context.save = save_and_die
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def refined(simulated, tmp_path_factory) -> Path:
    """The folder of one whole refinement."""
    folder = tmp_path_factory.mktemp("refined") / "ref"
    words = [str(simulated / Path(word).relative_to("sim")) if word.startswith("sim") else word for word in WORDS]
    assert main([*words, "--o", str(folder)]) == 0
    return folder


def test_poses_are_found(refined, simulated):
    found, truth = read_dataset(refined).particles, read_dataset(simulated, particles=simulated / "particles_truth.star").particles
    off = angular_distance_degrees(torch.from_numpy(found.rotation), torch.from_numpy(truth.rotation)).numpy()
    assert (off < 10).mean() > 0.9
    assert np.median(np.linalg.norm(found.centre_angstrom - truth.centre_angstrom, axis=1)) < 6
    np.testing.assert_allclose(found.position_angstrom, read_dataset(simulated).particles.position_angstrom, atol=1e-3)


def test_files_are_those_of_relion(refined):
    names = {path.name for path in refined.iterdir()}
    final = {"run_data.star", "run_model.star", "run_class001.mrc", "run_half1_class001_unfil.mrc", "run_half2_class001_unfil.mrc"}
    assert final | {"optimisation_set.star", "run_it001_data.star", "run_it004_half2_class001.mrc", "run_it004_model.star"} <= names
    particles = read_star(refined / "run_data.star")["particles"].columns
    assert {"rlnMaxValueProbDistribution", "rlnLogLikeliContribution", "rlnNrOfSignificantSamples", "rlnRandomSubset"} <= set(particles)
    assert set(particles["rlnClassNumber"].tolist()) == {"1"}
    tables = read_star(refined / "run_model.star")
    fsc = tables["model_class_1"].columns["rlnGoldStandardFsc"].astype(float)
    assert len(fsc) == 13 and fsc[1] > 0.9 and fsc[1:6].min() > 0.7
    members = read_optimisation_set(refined)
    assert members.reference.half2 is not None and members.reference.half2.samefile(refined / "run_half2_class001_unfil.mrc")


def test_noise_of_the_model_is_that_of_the_images(refined, simulated):
    """The images are float32 with noise of a known spectrum; the model's is in RELION's units, of the transform over n²."""
    sigma2 = read_star(refined / "run_model.star")["model_optics_group_1"].columns["rlnSigma2Noise"].astype(float)[4:10].mean() * 24**2
    image = np.asarray(read_dataset(simulated).tilt_series[0].images.read(4), dtype=float)
    power = np.abs(np.fft.fft2(image - image.mean(), norm="ortho")) ** 2 / 2
    radius = np.hypot(np.fft.fftfreq(80)[:, None], np.fft.fftfreq(96)) * 24
    assert sigma2 == pytest.approx(power[(radius > 4) & (radius < 10)].mean(), rel=0.3)


def test_report_tells_of_every_iteration(refined):
    report = json.loads((refined / "report.json").read_text())
    charts = {item["title"]: item for section in report["sections"] for item in section["items"]}
    assert charts["Resolution"]["series"][0]["x"] == [1, 2, 3, 4]
    assert {"Orientations", "Positions", "Offsets", "Viewing directions", "Defocus", "Dose before each image"} <= set(charts)
    log = (refined / "run.log").read_text()
    assert "memory: about" in log and log.count("poses moved by") == 4


def test_killed_job_goes_on_to_the_same_result(refined, tiny):
    killed = subprocess.run([sys.executable, "-c", KILLED, *WORDS, "--o", "ref"], capture_output=True, text=True, check=False)
    assert killed.returncode == -9, killed.stderr
    assert not Path("ref/run_data.star").exists()
    assert main(["refine", "--o", "ref", "--continue"]) == 0
    for name in ("run_class001.mrc", "run_half1_class001_unfil.mrc", "run_it004_half2_class001.mrc"):
        assert Path("ref", name).read_bytes()[1024:] == (refined / name).read_bytes()[1024:], name
    for name in ("run_data.star", "run_model.star"):
        assert _without_paths(Path("ref", name)) == _without_paths(refined / name), name


def _without_paths(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if "/" not in line]


def test_its_folder_is_the_start_of_a_finer_one(refined):
    assert main(["refine", "--i", str(refined), *LOCAL, "--o", "finer"]) == 0
    first, second = (read_dataset(folder).particles for folder in (refined, "finer"))
    np.testing.assert_array_equal(first.half, second.half)
    turned = angular_distance_degrees(torch.from_numpy(first.rotation), torch.from_numpy(second.rotation))
    assert float(turned.max()) < 12


def test_a_join_finer_than_the_resolution_is_told(refined):
    findings = [_texts("coarse", refined, "--low-resol-join-halves", "150"), _texts("fine", refined, "--low-resol-join-halves", "33")]
    told = [any("not that of independent halves" in text for text in texts) for texts in findings]
    assert told == [False, True]


def _texts(name: str, refined: Path, *words: str) -> list[str]:
    """Findings of a short local refinement."""
    assert main(["refine", "--i", str(refined), *LOCAL, *words, "--o", name]) == 0
    return [finding["text"] for finding in json.loads(Path(name, "report.json").read_text())["findings"]]


def test_particles_beyond_the_border_keep_their_rows(refined, project):
    tables = read_star(refined / "run_data.star")
    tables["particles"].columns["rlnCenteredCoordinateXAngst"][3] = "740"
    write_star(project / "moved.star", tables.values())
    assert main(["refine", "--i", str(refined), "--p", "moved.star", *LOCAL, "--o", "finer"]) == 0
    before, after = read_dataset(refined, particles="moved.star").particles, read_dataset("finer").particles
    np.testing.assert_array_equal(after.name, before.name)
    np.testing.assert_allclose(after.rotation[3], before.rotation[3], atol=1e-5)
    np.testing.assert_allclose(after.centre_angstrom[3], before.centre_angstrom[3], atol=1e-3)
    assert after.half[3] == before.half[3]
    significant = read_star(Path("finer/run_data.star"))["particles"].columns["rlnNrOfSignificantSamples"]
    assert significant[3] == "0" and significant[4] != "0"
    assert "1 of 16 particles are left out" in Path("finer/run.log").read_text()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--i", "sim", "--particle-diameter", "250"], "--box: is needed where there is no reference"),
        (["--i", "sim", "--particle-diameter", "250", "--box", "24"], "the particles have no angles, so no reference can be made"),
        ([*WORDS[1:], "--sigma-ang", "3"], "--sigma-ang searches around given angles, and the particles have none"),
        ([*WORDS[1:], "--sigma-tilt", "3"], "--sigma-tilt needs the column rlnAngleTiltPrior"),
        ([*WORDS[1:], "--sigma-psi", "3"], "--sigma-psi needs the column rlnAnglePsiPrior"),
        ([*WORDS[1:], "--sigma-rot", "3"], "--sigma-rot needs the column rlnAngleRotPrior"),
        ([*WORDS[1:], "--likelihood", "relion4"], "relion4 is a likelihood of pseudo-subtomograms"),
        ([*WORDS[1:], "--ref1", "sim/truth_class1.mrc"], "--ref1 and --ref2 belong together"),
        ([*WORDS[1:], "--offset-step", "40"], "--offset-step must be at most --offset-range (32), not 40"),
        ([*WORDS[1:], "--relax-sym", "Q5"], "--relax-sym: 'Q5' is not a point group known here"),
        ([*WORDS[1:], "--sym", "C4", "--relax-sym", "C6"], "--relax-sym: --sym C4 is no subgroup of C6"),
        ([*WORDS[1:5], "--particle-diameter", "500"], "a particle of 500 Å does not fit into a box of 24 pixels"),
    ],
)
def test_impossible_wishes_are_refused(words, sentence, tiny, capsys):
    assert main(["refine", *words, "--o", "ref"]) == 2
    assert sentence in capsys.readouterr().err
    assert not Path("ref").exists()


def test_job_that_does_not_fit_into_memory_is_not_started(tiny, capsys, monkeypatch):
    import tomobayes.jobs.memory as memory

    monkeypatch.setattr(memory, "available_bytes", lambda: 2e8)
    assert main([*WORDS, "--o", "ref"]) == 2
    assert "of memory, and 0.20 GB are available" in capsys.readouterr().err
    assert not Path("ref").exists()


def test_plan_is_all_that_is_wanted(tiny, capsys):
    before = sorted(Path().rglob("*"))
    assert main([*WORDS, "--plan", "--o", "ref"]) == 0
    told = capsys.readouterr().out
    assert all(f"\n{word}: " in told for word in ("memory", "disk", "time")) and "16 particles" in told
    assert main([*WORDS, "--plan", "--workers", "3"]) == 0
    assert "in each worker" in capsys.readouterr().out
    assert sorted(Path().rglob("*")) == before


def test_what_does_not_fit_does_not_start(tiny, capsys, monkeypatch):
    monkeypatch.setattr("tomobayes.jobs.memory.available_bytes", lambda: 5e8)
    monkeypatch.setattr("tomobayes.jobs.memory.free_bytes", lambda _: 1e3)
    assert main([*WORDS, "--o", "ref"]) == 2
    told = capsys.readouterr().err
    assert "of memory, and 0.50 GB are available" in told and "of disk, and 0 MB are free" in told
    assert not Path("ref").exists()


def test_sizes_of_the_cache_are_understood(tiny, capsys):
    for size in ("4GB", "0", "1.5 g", "500MB"):
        assert main([*WORDS, "--cache", size, "--plan"]) == 0
    assert main([*WORDS, "--cache", "much", "--plan"]) == 2
    assert "--cache is a size of memory such as 4GB or 500MB, not 'much'" in capsys.readouterr().err

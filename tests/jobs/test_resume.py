"""Going on with a refinement: after it was killed at any moment, from an earlier iteration, with other options."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from tomobayes.cli import main

WORDS = [
    "refine", "--i", "sim", "--ref", "sim/truth_class1.mrc", "--particle-diameter", "250", "--healpix-order", "0", "--max-iter", "4",
    "--offset-range", "32", "--ini-high", "70", "--j", "1",
]  # fmt: skip
ON = ["refine", "--o", "ref", "--continue"]

KILLED = """
import os, signal, sys
from tomobayes.cli import main

left, folder = int(sys.argv[1]), sys.argv[2]
CHANGES = {"open", "os.rename", "os.remove", "os.mkdir", "os.truncate"}

def die_at_last(event, arguments):
    global left
    if event in CHANGES and folder in str(arguments[0]):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(die_at_last)
sys.exit(main(sys.argv[3:]))
"""


@pytest.fixture(scope="module")
def undisturbed(simulated, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "whole"
    words = [str(simulated / Path(word).relative_to("sim")) if word.startswith("sim") else word for word in WORDS]
    assert main([*words, "--o", str(folder)]) == 0
    return folder


def same_maps(one: Path, two: Path) -> bool:
    names = ("run_class001.mrc", "run_half1_class001_unfil.mrc", "run_half2_class001_unfil.mrc")
    return all((one / name).read_bytes()[1024:] == (two / name).read_bytes()[1024:] for name in names)


def killed_after(changes: int, words: list[str]) -> int:
    """Exit code of a run that is killed when it is about to change the folder for the n-th time."""
    command = [sys.executable, "-c", KILLED, str(changes), "/ref/", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False).returncode


def test_killed_at_any_moment(undisturbed, tiny, project):
    folder = str(project / "ref")
    moments = np.random.default_rng(3).integers(4, 60, 4).tolist()
    assert killed_after(moments[0], [*WORDS, "--o", folder]) == -9
    for moment in moments[1:]:
        assert killed_after(moment, ["refine", "--o", folder, "--continue"]) == -9
        assert not Path("ref/RELION_JOB_EXIT_SUCCESS").exists()
    assert main(ON) == 0
    assert same_maps(Path("ref"), undisturbed)
    assert not list(Path("ref").rglob("*.part"))


@pytest.fixture
def done(undisturbed, tiny, project) -> Path:
    """A finished refinement that can be gone on with."""
    assert main([*WORDS, "--keep-iterations", "3", "--o", "ref"]) == 0
    return Path("ref")


def test_maps_of_the_last_iterations_are_kept_and_star_files_of_all(done):
    names = {path.name for path in done.glob("run_it*")}
    assert {f"run_it{n:03d}_{kind}.star" for n in range(1, 5) for kind in ("data", "model")} <= names
    assert {name for name in names if name.endswith("half1_class001.mrc")} == {f"run_it{n:03d}_half1_class001.mrc" for n in (2, 3, 4)}
    assert sorted(path.stem for path in (done / "checkpoints").iterdir()) == ["state_0002", "state_0003", "state_0004"]


def test_going_back_gives_the_same_again(done, undisturbed):
    assert main([*ON, "--from-iteration", "2"]) == 0
    assert same_maps(done, undisturbed)


def test_going_back_with_other_options(done, undisturbed):
    assert main([*ON, "--from-iteration", "3", "--max-iter", "5", "--tau2-fudge", "0.5"]) == 0
    assert not same_maps(done, undisturbed)
    assert (done / "run_it005_data.star").exists()
    recorded = tomllib.loads((done / "job.toml").read_text())["parameters"]
    assert (recorded["max_iter"], recorded["tau2_fudge"]) == (5, 0.5) and "from_iteration" not in recorded


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--from-iteration", "1"], "there is no checkpoint of iteration 1. There are those of 2, 3, 4"),
        (["--max-iter", "9"], "this job is done, and other options change nothing any more. Say with --from-iteration where to go on from"),
        (["--from-iteration", "3", "--box", "20"], "--box: was not given when this job began, not 20"),
    ],
)
def test_what_cannot_be_gone_on_with(words, sentence, done, capsys):
    before = {path: path.read_bytes() for path in done.rglob("*") if path.is_file()}
    assert main([*ON, *words]) == 2
    assert sentence in capsys.readouterr().err
    assert {path: path.read_bytes() for path in done.rglob("*") if path.is_file()} == before


def test_going_back_needs_a_job(tiny, capsys):
    assert main([*WORDS, "--from-iteration", "3", "--o", "ref"]) == 2
    assert "--from-iteration goes back in a job that was run before" in capsys.readouterr().err

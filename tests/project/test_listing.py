"""Jobs as their files tell of them: ours, RELION's, moved ones, and how far they are."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from tomobayes.model import BadInput
from tomobayes.project import (
    Ending,
    Mode,
    Node,
    Progress,
    Status,
    clear_progress,
    find_job,
    folder_lock,
    holder,
    list_jobs,
    new_record,
    occupy,
    read_progress,
    throw_away,
    write_progress,
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A map, and a mask made from it, in a project."""
    monkeypatch.chdir(tmp_path)
    _job("Reconstruct", "reconstruct", {}, Path("half1.mrc"))
    _job("MaskCreate", "mask", {"i": "Reconstruct/job001/half1.mrc"}, Path("mask.mrc"), [Path("Reconstruct/job001/half1.mrc")])
    return tmp_path


def _job(kind: str, verb: str, parameters: dict, output: Path, inputs=(), out: Path | None = None) -> None:
    command = f"tomobayes {verb}" + (f" --o {out}" if out else "")
    with occupy(kind, out, Mode.NEW, new_record(verb, parameters, command), inputs) as folder:
        (folder.path / output).touch()
        folder.outputs.append(folder.path / output)


def test_jobs_with_what_they_read_and_leave(project: Path):
    first, second = list_jobs(project)
    assert (first.name, first.type, first.number, first.inputs) == ("Reconstruct/job001", "reconstruct", 1, ())
    assert first.outputs == (Node("Reconstruct/job001/half1.mrc", "DensityMap.mrc.halfmap"),)
    assert (second.name, second.inputs, second.status) == ("MaskCreate/job002", ("Reconstruct/job001",), Status.SUCCEEDED)


def test_jobs_that_no_pipeline_lists_are_tied_by_their_parameters(project: Path):
    _job("External", "select", {"i": "MaskCreate/job002"}, Path("particles.star"), out=Path("by_hand"))
    _job("External", "join", {"i": ["by_hand", "elsewhere"]}, Path("particles.star"), out=Path("deeper/joined"))
    jobs = {job.name: job for job in list_jobs(project)}
    assert jobs["by_hand"].inputs == ("MaskCreate/job002",)
    assert jobs["deeper/joined"].inputs == ("by_hand",)
    assert jobs["by_hand"].outputs == (Node("by_hand/particles.star", "ParticleGroupMetadata.star.relion"),)


def test_a_project_that_was_moved_keeps_its_ties(project: Path, tmp_path: Path):
    _job("External", "select", {"i": "MaskCreate/job002"}, Path("particles.star"), out=Path("by_hand"))
    moved = tmp_path.parent / f"{tmp_path.name}_moved"
    shutil.copytree(project, moved)
    (moved / "default_pipeline.star").unlink()
    jobs = {job.name: job for job in list_jobs(moved)}
    assert jobs["MaskCreate/job002"].inputs == ("Reconstruct/job001",)
    assert jobs["by_hand"].inputs == ("MaskCreate/job002",)
    assert jobs["by_hand"].outputs[0].name == "by_hand/particles.star"


@pytest.mark.parametrize(
    ("how", "status"),
    [(Ending.SUCCESS, Status.SUCCEEDED), (Ending.FAILURE, Status.FAILED), (Ending.ABORTED, Status.STOPPED), (None, Status.KILLED)],
)
def test_markers_tell_how_a_job_ended(project: Path, how: Ending | None, status: Status):
    folder = project / "MaskCreate" / "job002"
    (folder / Ending.SUCCESS.value).unlink()
    if how is not None:
        (folder / how.value).touch()
    job = find_job(project, "MaskCreate/job002")
    assert job is not None and job.status is status


def test_the_lock_tells_that_a_job_runs_and_who_runs_it(project: Path):
    folder = project / "MaskCreate" / "job002"
    assert holder(folder) is None
    with folder_lock(folder):
        job, process = find_job(project, "MaskCreate/job002"), holder(folder)
        assert job is not None and job.status is Status.RUNNING
        assert process is not None and process.pid > 0
        with pytest.raises(BadInput, match=f"process {process.pid}"), folder_lock(folder):
            pass
        with pytest.raises(BadInput, match="running"):
            throw_away(project, job)
    assert holder(folder) is None


@pytest.mark.parametrize("word", ["Running", "Scheduled", "Succeeded", "Failed", "Aborted"])
def test_relions_jobs_are_as_its_pipeline_says(project: Path, word: str):
    (project / "Refine3D" / "job005").mkdir(parents=True)
    star = project / "default_pipeline.star"
    star.write_text(
        star.read_text().replace(
            "MaskCreate/job002/ None", f"Refine3D/job005/ Refine3D/mine relion.refine3d {word}\nMaskCreate/job002/ None", 1
        )
    )
    job = find_job(project, "Refine3D/job005")
    assert job is not None and job.record is None
    assert (job.type, job.alias, job.status.name) == ("Refine3D", "Refine3D/mine", {"Aborted": "STOPPED"}.get(word, word.upper()))
    (job.folder / Ending.FAILURE.value).touch()
    after = find_job(project, "Refine3D/job005")
    assert after is not None and after.status is Status.FAILED


def test_what_is_thrown_away_twice_is_kept_twice(project: Path):
    for expected in ("job002", "job002_2"):
        job = find_job(project, "MaskCreate/job002")
        assert job is not None
        assert throw_away(project, job).name == expected
        assert find_job(project, "MaskCreate/job002") is None
        (project / "MaskCreate" / "job002").mkdir()
        shutil.copy(project / "Trash" / "MaskCreate" / "job002" / "job.toml", project / "MaskCreate" / "job002")


def test_progress_is_told_and_taken_back(tmp_path: Path):
    assert read_progress(tmp_path) is None
    now = time.time()
    told = Progress("Iteration 2", 30, 120, start=now - 60, now=now)
    write_progress(tmp_path, told)
    assert read_progress(tmp_path) == told
    assert told.share == 0.25 and told.seconds_left == pytest.approx(180, abs=1)
    assert Progress("", 3, None, 0, 1).seconds_left is None and Progress("", 0, 9, 0, 1).seconds_left is None
    (tmp_path / "progress.json").write_text("{")
    assert read_progress(tmp_path) is None
    clear_progress(tmp_path)
    clear_progress(tmp_path)


def test_what_lies_outside_is_no_job_of_the_project(project: Path):
    outside = project.parent / "outside" / "job001"
    outside.mkdir(parents=True)
    star = project / "default_pipeline.star"
    rows = f"../outside/job001/ None relion.import Succeeded\n{outside}/ None relion.import Succeeded\nMaskCreate/job002/ None"
    star.write_text(star.read_text().replace("MaskCreate/job002/ None", rows, 1))
    assert [job.name for job in list_jobs(project)] == ["Reconstruct/job001", "MaskCreate/job002"]

"""Files that STAR files name: found from the project, beside the file, and where the folder was moved to."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tomobayes.formats.mrc_images import MrcImages
from tomobayes.formats.paths import Folders
from tomobayes.formats.relion import read_dataset, write_dataset
from tomobayes.model import BadInput, Dataset


@pytest.fixture
def anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder that has nothing to do with the experiment."""
    folder = tmp_path / "elsewhere" / "work"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("inside", [True, False], ids=["names from the project", "absolute names"])
def test_a_folder_with_all_its_files_may_move_and_get_another_name(
    inside: bool, dataset: Dataset, tmp_path: Path, anywhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path if inside else anywhere)
    old, new = tmp_path / "set", tmp_path / "archive" / "set of May"
    old.mkdir()
    new.parent.mkdir()
    images = [shutil.move(tmp_path / f"{series.name}.mrcs", old) for series in dataset.tilt_series]
    series = [replace(one, images=MrcImages.of_stack(Path(file))) for one, file in zip(dataset.tilt_series, images, strict=True)]
    write_dataset(old, replace(dataset, tilt_series=tuple(series)))
    second = [one.images.read(1) for one in series]
    shutil.move(old, new)
    read = read_dataset(new)
    write_dataset(tmp_path / "again", read)
    for one in (read, read_dataset(tmp_path / "again")):
        assert all(np.array_equal(mine.images.read(1), image) for mine, image in zip(one.tilt_series, second, strict=True))


def test_a_file_that_is_gone_from_a_folder_that_is_there_is_not_another_one(dataset: Dataset, tmp_path: Path) -> None:
    """A namesake beside the STAR file is no substitute while the folder that is meant still exists."""
    write_dataset(tmp_path / "one", dataset)
    write_dataset(tmp_path / "two", dataset)
    (tmp_path / "two" / "optimisation_set.star").write_text((tmp_path / "one" / "optimisation_set.star").read_text())
    (tmp_path / "one" / "particles.star").unlink()
    with pytest.raises(BadInput, match=r"one/particles\.star"):
        read_dataset(tmp_path / "two")


def test_a_job_that_is_gone_is_not_another_one(tmp_path: Path) -> None:
    """Jobs of one kind hold files of the same names; a job whose project was moved keeps its number."""
    for job in ("job009", "job005"):
        (tmp_path / "Refine3D" / job).mkdir(parents=True)
        (tmp_path / "Refine3D" / job / "run_data.star").touch()
    (tmp_path / "Refine3D" / "job005").rename(tmp_path / "trash")
    assert Folders(tmp_path / "Refine3D/job009/run.star", tmp_path).find("Refine3D/job005/run_data.star") is None
    assert Folders(tmp_path / "Refine3D/job009/run.star", tmp_path).find("/before/Refine3D/job009/run_data.star") is not None


def test_names_that_cannot_be_found_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "there.mrc").touch()
    folders = Folders(tmp_path / "one.star", tmp_path)
    names = np.array(["000001@gone/far/there_not.mrc", "gone/there.mrc", "there.mrc", ""])
    assert folders.portable(names).tolist() == ["000001@gone/far/there_not.mrc", "there.mrc", "there.mrc", ""]

"""Maps in three dimensions: what is offered, and whether the voxels that the browser gets are those of the file."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from tomobayes.formats.mrc import read_map, write_map, write_stack
from tomobayes.model import Map
from tomobayes.web import volumes
from tomobayes.web.volumes import packed, volumes_of


def blob(box: int, angstrom: float) -> Map:
    """Two Gaussians, off the middle and unlike, so that no turn or mirror image is the same."""
    z, y, x = np.indices((box, box, box)) - box // 2
    far = [(x - a * box / 48) ** 2 + (y - b * box / 48) ** 2 + (z - c * box / 48) ** 2 for a, b, c in ((6, 3, -8), (-9, 0, 4))]
    return Map((np.exp(-far[0] / (0.02 * box**2)) + 0.5 * np.exp(-far[1] / (0.01 * box**2))).astype(np.float32), angstrom)


@pytest.fixture
def refined(project: Path) -> Path:
    """A folder of a job with maps of two iterations and a result, beside what is no map."""
    folder = project / "MaskCreate" / "job001"
    for name in ("run_class001", "run_half1_class001_unfil", "run_it003_half1_class001", "run_it004_half1_class001", "locres"):
        write_map(folder / f"{name}.mrc", blob(24, 4.0))
    (folder / "broken.mrc").write_text("nonsense")
    return folder


def test_voxels_arrive_as_they_are(client: TestClient, refined: Path):
    answer = client.get("/volume/MaskCreate/job001/run_class001.mrc")
    about = json.loads(answer.headers["x-volume"])
    codes = np.frombuffer(answer.content, "<u2").reshape((about["box"],) * 3)
    told = about["low"] + codes * (about["high"] - about["low"]) / 65535
    true = read_map(refined / "run_class001.mrc").data
    assert np.abs(told - true).max() < 1e-4 * np.ptp(true)
    assert (about["box"], about["ofBox"], about["step"]) == (24, 24, 4.0)
    assert about["mean"] == pytest.approx(true.mean(), rel=1e-5) and about["deviation"] == pytest.approx(true.std(), rel=1e-5)


@pytest.mark.parametrize("smooth", [True, False])
def test_larger_maps_keep_place_and_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, smooth: bool):
    monkeypatch.setattr(volumes, "MOST_VOXELS", 32)
    write_map(tmp_path / "large.mrc", blob(48, 2.0))
    small = packed(tmp_path / "large.mrc", smooth=smooth)
    values = small.low + small.codes * (small.high - small.low) / 65535
    assert small.codes.shape == (32,) * 3 and small.step_angstrom == 3.0 and small.box == 48
    assert np.abs(values - blob(32, 3.0).data).max() < (0.002 if smooth else 0.03)


def test_maps_come_result_first_then_the_last_iteration(client: TestClient, refined: Path):
    page = client.get("/job/MaskCreate/job001?tab=map").text
    first = re.search(r'<select id="first">(.*?)</select>', page, re.DOTALL)
    assert first is not None
    names = re.findall(r">([^<>]+\.mrc)<", first[1])
    own = ["mask.mrc", "run_class001.mrc", "run_half1_class001_unfil.mrc"]
    assert names == [*own, "run_it004_half1_class001.mrc", "run_it003_half1_class001.mrc"]
    assert 'value="/volume/MaskCreate/job001/locres.mrc"' in page and 'value="/volume/MaskCreate/job002/mask.mrc"' in page
    assert "viewer.js" in page and "viewer.js" not in client.get("/job/MaskCreate/job001").text


def test_nothing_is_turned_where_no_map_is_cubic(client: TestClient, project: Path):
    """A tomogram of `map-back` and a map of local resolutions, which only colours others."""
    folder = project / "MaskCreate" / "job001"
    write_stack(folder / "mask.mrc", np.ones((4, 8, 8), dtype=np.float32), 4.0)
    write_map(folder / "locres.mrc", blob(8, 4.0))
    assert "3D map" not in client.get("/job/MaskCreate/job001").text
    assert client.get("/job/MaskCreate/job001?tab=map").status_code == 404
    assert "3D map" in client.get("/job/MaskCreate/job002").text


def test_scripts_of_jobs_with_names_in_any_letters(client: TestClient, project: Path, refined: Path):
    (project / "MaskCreate").rename(project / "Маска")
    pipeline = project / "default_pipeline.star"
    pipeline.write_text(pipeline.read_text().replace("MaskCreate", "Маска"))
    answer = client.get("/chimerax/Маска/job001")
    assert answer.status_code == 200 and 'filename="______job001.cxc"' in answer.headers["content-disposition"]


def test_only_maps_on_the_same_voxels_surround_one_another(client: TestClient, project: Path, refined: Path):
    write_map(project / "MaskCreate" / "job002" / "mask.mrc", blob(24, 5.0))
    assert "/volume/MaskCreate/job002" not in client.get("/job/MaskCreate/job001?tab=map").text


def test_iterations_may_have_numbers_of_any_length(project: Path):
    from tomobayes.project import find_job

    for name in ("run_it9_class001", "run_ct5_it10_class001"):
        write_map(project / "MaskCreate" / "job001" / f"{name}.mrc", blob(8, 4.0))
    job = find_job(project, "MaskCreate/job001")
    assert job is not None and [one.iteration for one in volumes_of(job)] == [None, 10, 9]


@pytest.mark.parametrize(
    ("address", "codes"),
    [
        ("/volume/MaskCreate/job001/run.log", (400,)),
        ("/volume/MaskCreate/job001/broken.mrc", (400,)),
        ("/volume/MaskCreate/job001/nothing.mrc", (404,)),
        ("/volume/MaskCreate/job001/mask.mrc?smooth=2", (400,)),
        ("/volume/MaskCreate/job001/mask.mrc?smooth=x", (400,)),
        ("/volume/%2e%2e/%2e%2e/etc/passwd", (403, 404)),
        ("/volume//etc/passwd", (403, 404)),
        ("/volume/MaskCreate/job001/outside.mrc", (403,)),
    ],
)
def test_what_is_no_map_of_the_project_is_refused(client: TestClient, refined: Path, address: str, codes: tuple[int, ...]):
    outside = refined.parents[2] / "outside.mrc"
    write_map(outside, blob(8, 4.0))
    (refined / "outside.mrc").symlink_to(outside)
    answer = client.get(address)
    assert answer.status_code in codes and "x-volume" not in answer.headers


def test_maps_of_any_size_are_not_read(client: TestClient, refined: Path, monkeypatch: pytest.MonkeyPatch):
    assert client.get("/volume/MaskCreate/job001/run_class001.mrc").status_code == 200
    monkeypatch.setattr("tomobayes.web.volume_page.LARGEST", 16)
    assert client.get("/volume/MaskCreate/job001/run_class001.mrc").status_code == 400


def test_maps_go_to_chimerax(client: TestClient, refined: Path):
    answer = client.get("/chimerax/MaskCreate/job001")
    opened = re.findall(r'open "([^"]+)" id', answer.text)
    assert [Path(path).name for path in opened] == ["run_class001.mrc", "run_half1_class001_unfil.mrc", "locres.mrc"]
    level = re.search(r"volume #1 step 1 level (\S+)", answer.text)
    assert level is not None and float(level[1]) == pytest.approx(packed(refined / "run_class001.mrc", smooth=True).level, rel=1e-5)
    assert 'filename="MaskCreate_job001.cxc"' in answer.headers["content-disposition"]
    assert client.get("/chimerax/%2e%2e/%2e%2e/etc").status_code == 404


def test_scripts_for_chimerax_are_where_pages_say(client: TestClient, project: Path):
    """Of a job of masks alone, at a level between inside and outside; none of local resolutions alone."""
    link = "/chimerax/MaskCreate/job002"
    assert all(f'href="{link}"' in client.get(f"/job/MaskCreate/job002?tab={tab}").text for tab in ("files", "map"))
    opened = re.findall(r'open "([^"]+)" id 1\nvolume #1 step 1 level (\S+)', client.get(link).text)
    assert [Path(path).name for path, _ in opened] == ["mask.mrc"] and 0 < float(opened[0][1]) < 1
    (project / "MaskCreate" / "job002" / "mask.mrc").unlink()
    write_map(project / "MaskCreate" / "job002" / "locres.mrc", blob(8, 4.0))
    assert link not in client.get("/job/MaskCreate/job002?tab=files").text and client.get(link).status_code == 404

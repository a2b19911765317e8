"""The project at a glance, kept up to date, quick for many jobs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tomobayes.cli import main
from tomobayes.project import Progress, folder_lock, list_jobs, write_progress
from tomobayes.web import project_page


def cards(page: str) -> list[str]:
    return re.findall(r'href="/job/([^"]+)"', page)


def test_cards_tell_type_status_figures_and_picture(client: TestClient):
    page = client.get("/").text
    assert cards(page) == ["MaskCreate/job002", "MaskCreate/job001"]
    assert "2 jobs" in page and page.count(">done<") == 2
    assert "Inside the mask" in page
    picture = re.search(r'<img src="([^"]+)"', page)
    assert picture is not None and client.get(picture[1]).headers["content-type"] == "image/png"


def test_news_come_only_when_there_are_any(client: TestClient, project: Path):
    seen = re.search(r'hx-get="(/news\?seen=\w+)"', client.get("/").text)
    assert seen is not None
    assert client.get(seen[1]).status_code == 204
    shutil.rmtree(project / "MaskCreate" / "job002")
    assert client.get(seen[1]).headers["hx-refresh"] == "true"


def test_a_running_job_shows_how_far_it_is(client: TestClient, project: Path):
    folder = project / "MaskCreate" / "job001"
    with folder_lock(folder):
        write_progress(folder, Progress("Iteration 3", 25, 100, start=1e9, now=1e9 + 10))
        page = client.get("/card/MaskCreate/job001").text
        assert "running" in page and "Iteration 3, 25 %" in page
        assert 'hx-trigger="every 2s"' in page
    assert 'hx-trigger="every 2s"' not in client.get("/card/MaskCreate/job001").text


def test_further_cards_come_on_demand(client: TestClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(project_page, "AT_A_TIME", 1)
    first = client.get("/").text
    assert cards(first) == ["MaskCreate/job002"]
    following = re.search(r'hx-get="(/cards\?start=1)"', first)
    assert following is not None
    rest = client.get(following[1]).text
    assert cards(rest) == ["MaskCreate/job001"] and "/cards?" not in rest


def test_jobs_of_relion_and_of_other_folders_are_there_too(client: TestClient, project: Path):
    (project / "Refine3D" / "job007").mkdir(parents=True)
    (project / "Refine3D" / "job007" / "RELION_JOB_EXIT_FAILURE").touch()
    star = project / "default_pipeline.star"
    star.write_text(
        star.read_text().replace("MaskCreate/job001/ None", "Refine3D/job007/ mine relion.refine3d Running\nMaskCreate/job001/ None")
    )
    assert main(["mask", "--sphere-diameter", "60", "--box", "24", "--angpix", "4", "--o", "by_hand"]) == 0
    assert set(cards(client.get("/").text)) == {"MaskCreate/job001", "MaskCreate/job002", "Refine3D/job007", "by_hand"}
    page = client.get("/job/Refine3D/job007").text
    assert "mine" in page and "failed" in page
    assert client.get("/clone/Refine3D/job007").status_code == 400


def test_graph_runs_from_left_to_right(client: TestClient, project: Path):
    assert main(["mask", "--i", "MaskCreate/job002/mask.mrc", "--lowpass", "0"]) == 0
    jobs = list_jobs(project)
    assert [job.inputs for job in jobs] == [(), ("MaskCreate/job001",), ("MaskCreate/job002",)]
    page = client.get("/graph").text
    assert cards(page) == [job.name for job in jobs] and page.count('class="edge"') == 2


def test_an_empty_project_says_how_to_begin(client: TestClient, project: Path):
    shutil.rmtree(project / "MaskCreate")
    page = client.get("/").text
    assert "0 jobs" in page and "/new/import" in page
    assert client.get("/graph").status_code == 200

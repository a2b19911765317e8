"""Jobs started, watched, stopped and thrown away from the browser."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tomobayes.project import Progress, folder_lock, list_jobs, write_progress
from tomobayes.web.launches import launch, launches

HOLDS = """
import signal, sys, time
from pathlib import Path
from tomobayes.project import folder_lock
signal.signal(signal.SIGTERM, signal.default_int_handler)
try:
    with folder_lock(Path(sys.argv[1])):
        print("held", flush=True)
        time.sleep(60)
except KeyboardInterrupt:
    sys.exit(3)
"""


def arrived(client: TestClient, start: str, within: float = 60) -> str:
    """Where a start leads once it has a folder."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        answer = client.get(start)
        if answer.status_code == 303:
            return answer.headers["location"]
        if "did not start" in answer.text:
            return answer.text
        time.sleep(0.1)
    raise TimeoutError(client.get(start).text)


def test_a_form_starts_a_job_that_ends_as_from_the_command_line(client: TestClient, project: Path):
    answer = client.post("/new/mask", data={"sphere_diameter": "60", "box": "24", "angpix": "4", "i": "", "lowpass": "15"})
    assert answer.status_code == 303
    assert arrived(client, answer.headers["location"]) == "/job/MaskCreate/job003"
    while (page := client.get("/job/MaskCreate/job003").text).count(">running<"):
        time.sleep(0.1)
    assert ">done<" in page
    made, direct = (project / f"MaskCreate/job{number}/mask.mrc" for number in ("003", "001"))
    assert made.read_bytes()[1024:] == direct.read_bytes()[1024:]
    while list((project / ".tomobayes" / "starts").iterdir()):  # forgotten once the process has ended
        client.get("/")
        time.sleep(0.1)


def test_a_start_that_comes_to_nothing_says_why_and_can_be_tried_again(client: TestClient, project: Path):
    start = client.post("/new/mask", data={"i": "nothing.mrc"}).headers["location"]
    told = arrived(client, start)
    assert "nothing.mrc" in told and "not there" in told
    front = client.get("/").text
    assert "did not start" in front
    assert 'value="nothing.mrc"' in client.get(start.replace("starts", "retry")).text
    assert client.post(f"{start}/dismiss").status_code == 200
    assert launches(project) == () and len(list_jobs(project)) == 2


def test_a_job_outlives_those_who_started_it(project: Path):
    """Started from a process that ends at once; another server knows of it."""
    code = "import sys; from pathlib import Path; from tomobayes.web.launches import launch; launch(Path(sys.argv[1]), sys.argv[2:], {})"
    subprocess.run([sys.executable, "-c", code, str(project), "tomobayes", "info", "--help"], check=True)
    (start,) = launches(project)
    while launches(project)[0].running:
        time.sleep(0.1)
    assert start.words == ("tomobayes", "info", "--help")


def test_options_of_a_form_are_no_words_for_a_shell(project: Path):
    start = launch(project, ["tomobayes", "mask", "--i", "$(touch broken); touch broken"], {})
    while launches(project)[0].running:
        time.sleep(0.1)
    assert not (project / "broken").exists() and start.words[-1].startswith("$(")


def test_a_running_job_can_be_asked_to_stop(client: TestClient, project: Path):
    folder = project / "MaskCreate" / "job001"
    with folder_lock(folder):
        page = client.get("/job/MaskCreate/job001").text
        assert "Stop now" in page and "Stop after iteration" not in page  # a mask has no iterations
        assert client.post("/stop/MaskCreate/job001").status_code == 303
        assert (folder / "RELION_JOB_ABORT_NOW").exists()
        assert "stops after this iteration" in client.get("/job/MaskCreate/job001").text
        assert client.post("/delete/MaskCreate/job001").status_code == 400
    assert client.post("/stop/MaskCreate/job001").status_code == 409


def test_a_running_job_can_be_stopped_at_once(client: TestClient, project: Path):
    folder = project / "MaskCreate" / "job001"
    with subprocess.Popen([sys.executable, "-c", HOLDS, str(folder)], stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout is not None and job.stdout.readline() == "held\n"
        assert client.post("/stop/MaskCreate/job001?when=now").status_code == 303
        assert job.wait(20) == 3


def test_a_job_goes_to_the_trash_and_off_the_list(client: TestClient, project: Path):
    assert client.post("/delete/MaskCreate/job001").status_code == 303
    assert (project / "Trash" / "MaskCreate" / "job001" / "mask.mrc").is_file()
    assert [job.name for job in list_jobs(project)] == ["MaskCreate/job002"]
    assert "MaskCreate/job001/ " not in (project / "default_pipeline.star").read_text()


@pytest.mark.parametrize(
    ("tab", "words"),
    [("results", "Inside the mask"), ("log", "Folder: MaskCreate/job002"), ("settings", "--lowpass"), ("files", "mask.mrc")],
)
def test_views_of_a_job(client: TestClient, tab: str, words: str):
    page = client.get(f"/job/MaskCreate/job002?tab={tab}").text
    assert words in page
    assert 'href="/job/MaskCreate/job001"' in page
    live = re.search(r'hx-get="(/view/[^"]+)"', page)
    assert live is not None
    assert client.get(live[1].replace("&amp;", "&")).status_code == 204


def test_the_view_of_results_follows_the_report(client: TestClient, project: Path):
    live = re.search(r'hx-get="(/view/[^"]+)"', client.get("/job/MaskCreate/job002").text)
    assert live is not None
    report = project / "MaskCreate" / "job002" / "report.json"
    report.write_text(report.read_text().replace("Inside the mask", "Beyond the mask"))
    fresh = client.get(live[1].replace("&amp;", "&"))
    assert fresh.status_code == 200 and "Beyond the mask" in fresh.text and "<html" not in fresh.text


def test_a_broken_report_breaks_no_page(client: TestClient, project: Path):
    (project / "MaskCreate" / "job002" / "report.json").write_text('{"kind": "report"')
    assert client.get("/").status_code == 200
    assert client.get("/job/MaskCreate/job002").status_code == 200


def test_the_head_follows_progress_and_leaves_the_view_alone(client: TestClient, project: Path):
    folder = project / "MaskCreate" / "job001"
    with folder_lock(folder):
        page = client.get("/job/MaskCreate/job001").text
        head, view = (found[1].replace("&amp;", "&") for found in re.finditer(r'hx-get="(/(?:head|view)/[^"]+)"', page))
        assert client.get(head).status_code == 204
        write_progress(folder, Progress("Iteration 4", 1, 2, 0, 1))
        assert "Iteration 4, 50 %" in client.get(head).text
        assert client.get(view).status_code == 204
    assert ">done<" in client.get(head).text


def test_a_job_that_did_not_go_on_is_tried_again_as_one_that_goes_on(client: TestClient, project: Path):
    (project / "MaskCreate" / "job001" / "RELION_JOB_EXIT_SUCCESS").unlink()
    with folder_lock(project / "MaskCreate" / "job001"):
        start = launch(project, ["tomobayes", "mask", "--o", "MaskCreate/job001", "--continue"], {})
        told = arrived(client, f"/starts/{start.key}")
    assert "working in this folder" in told
    assert client.get(f"/retry/{start.key}").headers["location"] == "/continue/MaskCreate/job001"
    assert client.get("/continue/MaskCreate/job001").status_code == 200

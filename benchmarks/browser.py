"""How fast the browser shows a large project: 500 jobs, 200,000 particles.

Run as ``python benchmarks/browser.py`` (``make bench``). Without Chromium and Playwright only the server is timed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import chdir
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from starlette.testclient import TestClient

from tomobayes.model import Map
from tomobayes.project import Mode, new_record, occupy
from tomobayes.report import Fact, Report, Section, fsc_chart, slices_of, write_report
from tomobayes.web.access import Access
from tomobayes.web.app import application

if TYPE_CHECKING:
    from playwright.sync_api import Page

JOBS, PARTICLES, BOX = 500, 200_000, 96
PAGES = ("/", "/news?seen=x", "/cards?start=40", "/graph", "/new/refine", "/job/Refine3D/job400", "/job/Refine3D/job400?tab=files")
HOST = "http://127.0.0.1:8765"


def main() -> None:
    """Make the project, ask for its pages, then look at them with a browser."""
    with tempfile.TemporaryDirectory() as name, chdir(name):
        large_project()
        for page, (first, again) in server_times(Path(name)).items():
            print(f"{page:34} {first:7.0f} ms the first time, {again:7.0f} ms then")
        for what, milliseconds in browser_times(Path(name)).items():
            print(f"{what:34} {milliseconds:7.0f} ms")


def large_project() -> None:
    """Jobs in a chain with a fork at every tenth, each with a report, the last with many particles."""
    random = np.random.default_rng(1)
    map_ = Map(random.normal(size=(BOX, BOX, BOX)).astype(np.float32), 1.35)
    curve = 1 / (1 + np.exp((np.arange(BOX // 2 + 1) - 30) / 3))
    sections = [Section("Resolution", [fsc_chart({"Corrected": curve, "Masked": curve**2}, BOX, 1.35)])]
    sections.append(Section("Map", [slices_of(map_, "Map", "map")]))
    report = Report("Refinement", "", [Fact("Resolution", "4.5 Å"), Fact("Particles", f"{PARTICLES}")], sections=sections)
    before: list[Path] = []
    for number in range(JOBS):
        inputs = [before[number - number % 10 - 1 if number % 10 else -1]] if before else []
        record = new_record("refine", {"i": str(inputs[0]) if inputs else ""}, "tomobayes refine")
        with occupy("Refine3D", None, Mode.NEW, record, inputs) as folder:
            write_report(report, folder.path)
            before.append(folder.path / "run_data.star")
            before[-1].touch()
            folder.outputs.append(before[-1])
    rows = "\n".join(f"TS_{index % 50:03d} {index}.5 {index}.25 100 {index % 360} 40 -20" for index in range(PARTICLES))
    labels = ("TomoName", "CoordinateX", "CoordinateY", "CoordinateZ", "AngleRot", "AngleTilt", "AnglePsi")
    loop = "\n".join(f"_rln{label} #{at}" for at, label in enumerate(labels, 1))
    before[-1].write_text(f"data_particles\n\nloop_\n{loop}\n{rows}\n")


def server_times(project: Path) -> dict[str, tuple[float, float]]:
    """Milliseconds of each page, when it is asked for the first time and afterwards."""
    access = Access("benchmark")
    with TestClient(application(project, access), base_url=HOST) as client:
        client.get(f"/static/gui.css?token={access.token}")
        return {page: (asked(client, page), min(asked(client, page) for _ in range(3))) for page in PAGES}


def asked(client: TestClient, page: str) -> float:
    """Milliseconds until the server has answered."""
    start = time.perf_counter()
    assert client.get(page).status_code in (200, 204)
    return 1e3 * (time.perf_counter() - start)


def browser_times(project: Path) -> dict[str, float]:
    """First paint of the project by a server that has just begun, typing into its filter, and going to a job and back."""
    chromium = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        chromium = None
    if chromium is None:
        print("no Chromium, or no Playwright: the browser is not timed")
        return {}
    command = [sys.executable, "-m", "tomobayes", "gui", str(project), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            link = re.search(r"http://\S+", server.stdout.readline())
            assert link is not None
            with sync_playwright() as driver:
                browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                return looked_at(browser.new_page(), link[0])
        finally:
            server.terminate()


def looked_at(page: Page, link: str) -> dict[str, float]:
    """Milliseconds of what a user does first."""
    page.goto(link.replace("/?", "/static/gui.css?"))
    start = time.perf_counter()
    page.goto(link.split("?")[0], wait_until="domcontentloaded")
    page.wait_for_selector(".card")
    times = {"project: cards are there": 1e3 * (time.perf_counter() - start)}
    times["project: first paint"] = page.evaluate(PAINTED)
    times["filter: from a key to fewer cards"] = page.evaluate(FILTER)
    for what, click in (("from card to job", ".card-head:visible"), ("from job to project", ".bar nav a")):
        start = time.perf_counter()
        page.click(click)
        page.wait_for_selector(".tabs" if what.endswith("job") else ".cards")
        times[what] = 1e3 * (time.perf_counter() - start)
    return times


PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN"
FILTER = """async () => {
    const field = document.getElementById('filter'), start = performance.now();
    field.value = 'job4'; field.dispatchEvent(new Event('input', {bubbles: true}));
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    return performance.now() - start;
}"""


if __name__ == "__main__":
    main()

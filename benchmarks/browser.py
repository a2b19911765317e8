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
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from starlette.testclient import TestClient

from tomobayes.formats.mrc import write_map
from tomobayes.formats.relion import OptimisationSet, write_optimisation_set
from tomobayes.model import Map
from tomobayes.project import Mode, new_record, occupy
from tomobayes.report import Fact, Report, Section, fsc_chart, slices_of, write_report
from tomobayes.web.access import Access
from tomobayes.web.app import application

if TYPE_CHECKING:
    from playwright.sync_api import Page

JOBS, PARTICLES, BOX = 500, 200_000, 96
MAP_BOX = 160
LAST = f"Refine3D/job{JOBS:03d}"
PAGES = (
    "/",
    "/news?seen=x",
    "/cards?start=40",
    "/graph",
    "/new/refine",
    "/job/Refine3D/job400",
    "/job/Refine3D/job400?tab=files",
    f"/volume/{LAST}/run_class001.mrc",
    f"/columns/{LAST}",
    f"/columns/{LAST}?x=rlnCoordinateX&y=rlnCoordinateY",
)
HOST = "http://127.0.0.1:8765"


def main() -> None:
    """Make the project, ask for its pages, then look at them with a browser."""
    with tempfile.TemporaryDirectory() as name, chdir(name):
        large_project()
        for page, (first, again) in server_times(Path(name)).items():
            print(f"{page:60} {first:7.0f} ms the first time, {again:7.0f} ms then")
        for what, milliseconds in browser_times(Path(name), looked_at).items():
            print(f"{what:60} {milliseconds:7.0f} ms")


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
            if number == JOBS - 1:
                write_optimisation_set(folder.path / "optimisation_set.star", OptimisationSet(particles=before[-1]))
                folder.outputs.append(folder.path / "optimisation_set.star")
                write_map(folder.path / "run_class001.mrc", knot())
    x, y = random.normal(size=(2, PARTICLES))
    rows = "\n".join(f"TS_{i % 50:03d} {x[i]:.6f} {x[i] * y[i]:.6f} 100 {i % 360} 40 -20" for i in range(PARTICLES))
    labels = ("TomoName", "CoordinateX", "CoordinateY", "CoordinateZ", "AngleRot", "AngleTilt", "AnglePsi")
    loop = "\n".join(f"_rln{label} #{at}" for at, label in enumerate(labels, 1))
    before[-1].write_text(f"data_particles\n\nloop_\n{loop}\n{rows}\n")


def knot() -> Map:
    """A map with much surface, of the size of a ribosome's at 2.5 Å a voxel."""
    z, y, x = (np.indices((MAP_BOX,) * 3, dtype=np.float32) - MAP_BOX // 2) * (6.5 * 2 / MAP_BOX)
    wavy = np.sin(2 * x) * np.cos(2 * y) + np.sin(2 * y) * np.cos(2 * z) + np.sin(2 * z) * np.cos(2 * x)
    return Map((np.exp(-(x**2 + y**2 + z**2) / 20) * (1 + 0.5 * wavy)).astype(np.float32), 2.5)


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


def browser_times(project: Path, look: Callable[[Page, str], dict[str, float]]) -> dict[str, float]:
    """What one finds who looks at a project, with a browser that has just begun, at the link of a server that has, too."""
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
                return look(browser.new_page(), link[0])
        finally:
            server.terminate()


def looked_at(page: Page, link: str) -> dict[str, float]:
    """Milliseconds of what a user does first: first paint, typing into the filter, going to a job and back, maps, a lasso."""
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
    return times | map_times(page) | lasso_times(page)


def map_times(page: Page) -> dict[str, float]:
    """Milliseconds until a map is turned into a surface and drawn, and until it is drawn at another level or from another side."""
    start = time.perf_counter()
    page.goto(page.url.split("/job/")[0].rstrip("/") + f"/job/{LAST}?tab=map")
    page.wait_for_selector("#viewer[data-state=ready]")
    times = {f"3D map of {MAP_BOX} voxels: open": 1e3 * (time.perf_counter() - start)}
    triangles = int(page.get_attribute("#viewer", "data-triangles") or 0)
    times[f"3D map: new level ({triangles // 1000}k triangles)"] = page.evaluate(LEVELLED)
    times["3D map: a turn"] = page.evaluate(TURNED)
    return times


def lasso_times(page: Page) -> dict[str, float]:
    """Milliseconds until all particles are points of a plane, until a lasso has chosen some, and until the view is enlarged."""
    start = time.perf_counter()
    page.goto(page.url.split("/job/")[0].rstrip("/") + f"/job/{LAST}?tab=pick")
    page.wait_for_selector("#pick[data-state=ready]")
    times = {f"lasso over {PARTICLES} particles: open": 1e3 * (time.perf_counter() - start)}
    box = page.locator("#pick canvas").first.bounding_box()
    assert box is not None
    for at in range(60):
        angle, radius = 0.105 * at, 120 + 30 * (at % 2)
        page.mouse.move(box["x"] + 450 + radius * np.cos(angle), box["y"] + 300 + radius * np.sin(angle))
        if at == 0:
            page.mouse.down()
    times["lasso of 60 corners: chosen"] = page.evaluate(CHOSEN)
    page.mouse.up()
    times["lasso: enlarged"] = page.evaluate(ENLARGED)
    return times


SHOWN = "await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));"
LEVELLED = """async () => {
    const slider = document.getElementById('level'), viewer = document.getElementById('viewer'), start = performance.now();
    slider.value = 0.8 * slider.value; slider.dispatchEvent(new Event('input'));
    while (viewer.dataset.state !== 'ready') await new Promise((done) => setTimeout(done, 1));
    return performance.now() - start;
}"""
TURNED = f"""async () => {{
    const canvas = document.querySelector('#viewer canvas'), gl = canvas.getContext('webgl2'), start = performance.now();
    for (let turn = 0; turn < 5; turn++) {{
        canvas.dispatchEvent(new KeyboardEvent('keydown', {{key: 'ArrowLeft'}}));
        {SHOWN}
        gl.finish();
    }}
    return (performance.now() - start) / 5;
}}"""
CHOSEN = f"""async () => {{
    const canvas = document.querySelector('#pick canvas'), start = performance.now();
    canvas.dispatchEvent(new PointerEvent('pointerup'));
    {SHOWN}
    return performance.now() - start;
}}"""
ENLARGED = f"""async () => {{
    const canvas = document.querySelector('#pick canvas'), start = performance.now();
    canvas.dispatchEvent(new WheelEvent('wheel', {{deltaY: -100, cancelable: true}}));
    {SHOWN}
    return performance.now() - start;
}}"""
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN"
FILTER = """async () => {
    const field = document.getElementById('filter'), start = performance.now();
    field.value = 'job4'; field.dispatchEvent(new Event('input', {bubbles: true}));
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    return performance.now() - start;
}"""


if __name__ == "__main__":
    main()

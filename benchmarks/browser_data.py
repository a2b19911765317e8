"""How fast the browser shows data: 200,000 particles in 100 tilt series of 5760 x 4092 pixels.

Run as ``python benchmarks/browser_data.py`` (``make bench``). Without Chromium and Playwright only the server is timed.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from browser import HOST, asked, browser_times
from numpy.typing import NDArray
from starlette.testclient import TestClient

from tomobayes.formats.mrc import write_map
from tomobayes.formats.mrc_images import MrcImages
from tomobayes.formats.mrc_writer import write_images
from tomobayes.formats.relion import write_dataset
from tomobayes.model import Map
from tomobayes.project import Mode, new_record, occupy
from tomobayes.simulation.acquisition import Acquisition
from tomobayes.simulation.scene import scene
from tomobayes.web.access import Access
from tomobayes.web.app import application

if TYPE_CHECKING:
    from playwright.sync_api import Page

N_SERIES, PER_SERIES, PIXEL, BOX = 100, 2000, 1.35, 128
SIZE = (5760, 4092)
ACQUISITION = Acquisition(
    pixel_size_angstrom=PIXEL, image_size=SIZE, thickness_angstrom=1500.0, tilt_range_degrees=(-60.0, 60.0), tilt_step_degrees=6.0
)
JOB = "Refine3D/job001"
PAGES = {
    "tilt series: page": f"/series/{JOB}?series=3",
    "tilt series: picture": f"/tilt/{JOB}?series=3&tilt=5",
    "tilt series: smoothed picture": f"/tilt/{JOB}?series=3&tilt=5&lowpass=40",
    "tilt series: places of particles": f"/places/{JOB}?series=3&tilt=5",
    "particles: page, sorted": f"/montage/{JOB}?sort=rlnAngleTilt",
    "tomogram: page": f"/tomogram/{JOB}?series=3",
    "tomogram: places of particles": f"/placed/{JOB}?series=3&colour=rlnAngleTilt",
}
STEP = """async (key) => {
    const table = document.getElementById('tilts'), before = table.dataset.shown, start = performance.now();
    document.body.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
    while (table.dataset.shown === before) await new Promise((done) => requestAnimationFrame(done));
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    return performance.now() - start;
}"""


def main() -> None:
    """Make the project, ask for its pages, then step through a tilt series with a browser."""
    with tempfile.TemporaryDirectory() as name, chdir(name):
        data_project()
        access = Access("benchmark")
        with TestClient(application(Path(name), access), base_url=HOST) as client:
            client.get(f"/static/gui.css?token={access.token}")
            for what, page in PAGES.items():
                first, again = asked(client, page), min(asked(client, page) for _ in range(3))
                print(f"{what:40} {first:7.0f} ms the first time, {again:7.0f} ms then", flush=True)
        for what, milliseconds in browser_times(Path(name), stepped).items():
            print(f"{what:40} {milliseconds:7.0f} ms")


def data_project() -> None:
    """A refinement's folder with its particles, tilt series that all name the same images, and a map."""
    random = np.random.default_rng(1)
    dataset = scene(ACQUISITION, N_SERIES, PER_SERIES, 60.0, random)
    with occupy("Refine3D", None, Mode.NEW, new_record("refine", {"particle_diameter": 150.0}, "tomobayes refine"), []) as folder:
        stack, n_tilts = folder.path / "images.mrcs", dataset.tilt_series[0].n_tilts
        write_images(stack, _noise(n_tilts, random), (n_tilts, SIZE[1], SIZE[0]), PIXEL)
        series = tuple(replace(one, images=MrcImages.of_stack(stack, PIXEL)) for one in dataset.tilt_series)
        folder.outputs.append(write_dataset(folder.path, replace(dataset, tilt_series=series)))
        folder.outputs.append(folder.path / "run_class001.mrc")
        write_map(folder.outputs[-1], Map(random.normal(size=(BOX, BOX, BOX)).astype(np.float32), 2 * PIXEL))


def _noise(n_tilts: int, random: np.random.Generator) -> Iterator[NDArray[np.int8]]:
    for _ in range(n_tilts):
        yield random.integers(-100, 100, SIZE[::-1], dtype=np.int8)


def stepped(page: Page, link: str) -> dict[str, float]:
    """Milliseconds from a key to the next image with its circles: to images next to the one shown, and to one far away."""
    page.goto(link.replace("/?", "/static/gui.css?"))
    start = time.perf_counter()
    page.goto(f"{link.split('/?')[0]}{PAGES['tilt series: page']}")
    page.wait_for_selector("#tilts[data-shown]")
    times = {"from address to image with circles": 1e3 * (time.perf_counter() - start)}
    page.wait_for_timeout(3000)
    near = []
    for _ in range(6):
        near.append(page.evaluate(STEP, "ArrowRight"))
        page.wait_for_timeout(1500)
    times |= {"step to the next image, fetched ahead": float(np.median(near)), "jump to the last image": page.evaluate(STEP, "End")}
    hurried = [page.evaluate(STEP, "ArrowLeft") for _ in range(3)]
    return times | {"hurried steps, nothing fetched ahead": float(np.median(hurried))}


if __name__ == "__main__":
    main()

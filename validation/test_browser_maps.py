"""Maps in three dimensions, particles chosen with a lasso, and the demo project, from end to end in a real browser."""

from __future__ import annotations

import base64
import io
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import map_coordinates

from commands import tomobayes
from in_browser import in_browser
from tomobayes.formats.mrc import read_map
from tomobayes.formats.star import read_star
from tomobayes.project import find_job, list_jobs

if TYPE_CHECKING:
    from playwright.sync_api import Page

SIMULATED = [
    "simulate", "--angpix", "5", "--box", "72", "--n-series", "2", "--n-particles", "60", "--image-size-px", "700", "600",
    "--tilt-step", "10", "--thickness", "900", "--snr", "0.3", "--seed", "11",
]  # fmt: skip
PICTURES = os.environ.get("TOMOBAYES_SCREENSHOTS")
DEMO = Path(__file__).resolve().parents[1] / "examples" / "demo.py"
DRAWN = "document.querySelector('#viewer canvas').toDataURL()"
GROUND = 6
"""Difference of grey values from which on a pixel belongs to a surface."""

Bool = NDArray[np.bool_]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two simulated tilt series, the half-maps of their particles, a mask and a local resolution."""
    folder = tmp_path_factory.mktemp("maps")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        tomobayes(*SIMULATED)
        tomobayes("reconstruct", "--i", "External/job001", "--box", "72", "--particle-diameter", "270")
        tomobayes("mask", "--i", "Reconstruct/job002/merged.mrc", "--lowpass", "30")
        tomobayes("local-resolution", "--i", "Reconstruct/job002", "--mask", "MaskCreate/job003/mask.mrc")
    return folder


def test_maps_in_three_dimensions(project, claims):
    with in_browser(project) as page:
        page.goto("/job/Reconstruct/job002?tab=map")
        start = time.monotonic()
        ready(page)
        claims.measured("s until the surface is drawn", time.monotonic() - start)
        page.select_option("#first", label="merged.mrc")
        at_level(page, 3.0)
        merged = read_map(project / "Reconstruct/job002/merged.mrc")
        level = float(merged.data.mean() + 3 * merged.data.std())
        seen = surface(page)
        claims.measured("picture of the surface that is not ground, %", 100 * seen.mean(), at_least=2)
        claims.measured(
            "overlap (Dice) of the picture with the outline of the density above the level, looked at along z",
            overlap(seen, outline(merged.data, level, seen.shape)),
            at_least=0.93,
            null=overlap(seen[:, ::-1], outline(merged.data, level, seen.shape)),
        )
        level_in_words = re.search(r"volume #1 level (\S+)", page.inner_text("#chimerax"))
        assert level_in_words is not None
        claims.measured("relative error of the level to copy", abs(float(level_in_words[1]) / level - 1), at_most=1e-3)
        at_level(page, 5.0)
        less = surface(page)
        claims.measured("part of the picture that a higher level leaves, %", 100 * less.sum() / seen.sum(), at_most=90, at_least=1)
        claims.measured("what is drawn only at the higher level, % of it", 100 * (less & ~seen).sum() / less.sum(), at_most=1)
        turned_and_back(page, seen.shape, claims)
        two_halves(page, claims)
        coloured(page, project, claims)


def turned_and_back(page: Page, shape: tuple[int, ...], claims) -> None:
    at_level(page, 3.0)
    before = surface(page)
    box = page.locator("#viewer canvas").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 420, box["y"] + 260, steps=6)
    page.mouse.up()
    page.wait_for_timeout(300)
    claims.measured("overlap of the outline before and after a turn", overlap(before, surface(page)), at_most=0.95)
    page.click("#reset")
    page.wait_for_timeout(300)
    claims.measured("overlap after the view was reset", overlap(before, surface(page)), at_least=0.999)


def two_halves(page: Page, claims) -> None:
    """The second map has a colour of its own, and both are there at once."""
    page.select_option("#first", label="half1.mrc")
    page.select_option("#second", label="half2.mrc")
    ready(page)
    warm = {}
    for shown in ("first", "second", "both"):
        page.check(f"[name=shown][value={shown}]", force=True)
        ready(page)
        pixels = drawn(page).astype(int)
        surface_ = is_surface(pixels)
        warm[shown] = float((pixels[..., 0] > pixels[..., 2])[surface_].mean())
    claims.measured("surface in the second map's colour when the first is shown, %", 100 * warm["first"], at_most=5)
    claims.measured("when the second is shown, %", 100 * warm["second"], at_least=80)
    claims.measured("when both are shown, %", 100 * warm["both"], at_least=15, at_most=85)
    picture(page, "map_halves")


def coloured(page: Page, project: Path, claims) -> None:
    page.select_option("#second", value="")
    page.select_option("#first", label="merged.mrc")
    page.select_option("#colour", label="LocalRes/job004/locres.mrc")
    ready(page)
    page.wait_for_selector(".colour-legend:not([hidden])")
    low, high = (float(word) for word in re.findall(r"([\d.]+) Å", page.inner_text(".colour-legend")))
    local, density = (read_map(project / name).data for name in ("LocalRes/job004/locres.mrc", "Reconstruct/job002/merged.mrc"))
    edge = np.abs(density - (density.mean() + 3 * density.std())) < 0.5 * density.std()
    claims.measured("Å from the legend's ends to the percentiles of what lies at the surface", worst(low, high, local[edge]), at_most=1.0)
    page.select_option("#mask", label="MaskCreate/job003/mask.mrc")
    page.fill("#cut", "0.35")
    ready(page)
    page.wait_for_timeout(300)
    picture(page, "map")


def worst(low: float, high: float, values: NDArray[np.float32]) -> float:
    return max(abs(end - float(true)) for end, true in zip((low, high), np.percentile(values, [2, 98]), strict=True))


def test_particles_chosen_with_a_lasso(project, claims):
    with in_browser(project) as page:
        page.goto("/job/External/job001?tab=pick")
        page.wait_for_selector("#pick[data-state=ready]")
        labels = [page.input_value(id) for id in ("#across", "#up")]
        assert labels == ["rlnCenteredCoordinateXAngst", "rlnCenteredCoordinateYAngst"]
        table = read_star(project / "External/job001/particles.star")["particles"].columns
        values = np.stack([table[label].astype(float) for label in labels], 1)
        drawn_line = lasso(page, values)
        inside = np.array([around(point, drawn_line) for point in values])
        page.wait_for_selector("#command")
        picture(page, "lasso")
        told = int(page.inner_text("#count"))
        page.click("#save")
        page.wait_for_url("**/job/Select/job*")
        page.wait_for_selector(".pill.succeeded")
        job = find_job(project, page.url.split("/job/")[1])
        assert job is not None and job.record is not None
        kept = set(read_star(job.folder / "particles.star")["particles"].columns["rlnTomoParticleName"].tolist())
        true = set(table["rlnTomoParticleName"][inside].tolist())
        claims.measured("particles inside the line that was drawn", len(true), at_least=20, at_most=180)
        upside_down = set(table["rlnTomoParticleName"][[around(point, drawn_line * (1, -1)) for point in values]].tolist())
        wrong = "particles that were selected and should not be, or the other way round"
        claims.measured(wrong, len(kept ^ true), at_most=0, null=len(kept ^ upside_down))
        claims.measured("difference of the count on the page and in the job", abs(told - len(kept)), at_most=0)
        before = {path.name for path in (project / "Select").iterdir()}
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(project)
            tomobayes(*shlex.split(job.record.command)[1:])
        (again,) = {path.name for path in (project / "Select").iterdir()} - before
        same = (project / "Select" / again / "particles.star").read_bytes() == (job.folder / "particles.star").read_bytes()
        claims.measured("the job's command, typed again, gives the same file", float(same), at_least=1)


def lasso(page: Page, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Draw a bent line, which crosses itself nowhere, around some particles; (V, 2) its corners as values.

    The picture shows all values with 4 % of room, 86 and 16 pixels from its left and right edge, 14 and 46 from top and bottom.
    """
    box = page.locator("#pick canvas").first.bounding_box()
    assert box is not None
    shares = np.array([(0.15, 0.2), (0.5, 0.35), (0.85, 0.15), (0.7, 0.5), (0.9, 0.85), (0.5, 0.6), (0.2, 0.9), (0.3, 0.5)])
    width, height = box["width"] - 102, box["height"] - 60
    places = np.round(shares * (width, height) + (86, 14))
    page.mouse.move(box["x"] + places[0][0], box["y"] + places[0][1])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(box["x"] + place[0], box["y"] + place[1], steps=5)
    page.mouse.up()
    low, high = values.min(0), values.max(0)
    room = 0.04 * (high - low)
    share = (places - (86, 14)) / (width, height)
    return np.stack([low[0] - room[0] + share[:, 0] * 1.08 * (high - low)[0], high[1] + room[1] - share[:, 1] * 1.08 * (high - low)[1]], 1)


def around(point: NDArray[np.float64], line: NDArray[np.float64]) -> bool:
    """Whether a closed line goes around a point, by the angles under which its edges are seen from there."""
    seen = line - point
    after = np.roll(seen, -1, axis=0)
    cross = seen[:, 0] * after[:, 1] - seen[:, 1] * after[:, 0]
    return bool(abs(np.arctan2(cross, (seen * after).sum(1)).sum()) > np.pi)


@pytest.mark.long
def test_the_demo_project_opens(tmp_path_factory, claims):
    folder = tmp_path_factory.mktemp("demo")
    subprocess.run([sys.executable, str(DEMO), "demo"], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    opens(folder / "demo", claims)


def opens(project: Path, claims) -> None:
    """Every job of the demo project is a card, and every view of every job says something."""
    jobs = list_jobs(project)
    with in_browser(project) as page:
        claims.measured("jobs on the page", page.locator(".card").count(), at_least=len(jobs), at_most=len(jobs))
        claims.measured("cards with a map or a curve", page.locator(".card:has(img), .card:has(.spark)").count(), at_least=len(jobs) - 1)
        empty = []
        for job in jobs:
            page.goto(f"/job/{job.name}")
            tabs = [tab.get_attribute("href") or "" for tab in page.locator(".tabs a").all()]
            for address in tabs:
                page.goto(address)
                page.wait_for_load_state("networkidle")
                if page.locator("figure, table, pre, canvas, .facts, img, svg").count() == 0:
                    empty.append(address)
        claims.measured("views of jobs that show nothing", len(empty), at_most=0)


def ready(page: Page) -> None:
    """Wait until what was asked for last is drawn."""
    page.wait_for_timeout(100)
    page.wait_for_selector("#viewer[data-state=ready]")


def at_level(page: Page, sigma: float) -> None:
    page.fill("#sigma", str(sigma))
    page.press("#sigma", "Enter")
    ready(page)


def drawn(page: Page) -> NDArray[np.uint8]:
    """(height, width, 3) what the canvas shows."""
    data = base64.b64decode(page.evaluate(DRAWN).split(",")[1])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def is_surface(pixels: NDArray[np.int_]) -> Bool:
    return np.abs(pixels - pixels[0, 0]).max(-1) > GROUND


def surface(page: Page) -> Bool:
    """(height, width) where something is drawn."""
    return is_surface(drawn(page).astype(int))


def outline(density: NDArray[np.float32], level: float, shape: tuple[int, ...]) -> Bool:
    """Where rays along z meet a density above a level, y up, the box as high as the picture."""
    highest, box = density.max(0), len(density)
    height, width = shape
    rows, columns = np.indices(shape)
    step = box / min(shape)
    y, x = (height / 2 - 0.5 - rows) * step + box // 2, (columns + 0.5 - width / 2) * step + box // 2
    return map_coordinates(highest, [y, x], order=1, cval=float(density.min())) > level


def overlap(a: Bool, b: Bool) -> float:
    """Dice's coefficient."""
    return float(2 * (a & b).sum() / max(a.sum() + b.sum(), 1))


def picture(page: Page, name: str) -> None:
    """Leave a picture of the page where that is asked for."""
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"gui_{name}.png")

"""Looking at data in the browser, from end to end: tilt images with particles where the geometry puts them, montage, tomogram, map-back."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from commands import tomobayes
from in_browser import in_browser
from tomobayes.formats.mrc import read_map
from tomobayes.formats.relion import read_dataset
from tomobayes.imaging.pairs import pairs_in
from tomobayes.imaging.seen import seen_in
from tomobayes.model import Dataset

if TYPE_CHECKING:
    from playwright.sync_api import Page

SIMULATED = [
    "simulate", "--angpix", "8", "--box", "48", "--n-series", "2", "--n-particles", "40", "--image-size-px", "360", "320",
    "--tilt-step", "6", "--thickness", "800", "--snr", "0.3", "--position-error", "4", "--pose-error", "2", "--seed", "7",
]  # fmt: skip
PICTURES = os.environ.get("TOMOBAYES_SCREENSHOTS")
JOB, SERIES, DIAMETER = "Reconstruct/job002", 1, 270.0
PLACES = """() => {
    const picture = document.getElementById('picture').getBoundingClientRect();
    return [...document.querySelectorAll('#particles circle')].map((circle) => {
        const box = circle.getBoundingClientRect();
        return [Number(circle.dataset.particle), (box.left + box.right) / 2 - picture.left, picture.bottom - (box.top + box.bottom) / 2,
                picture.width, box.width, circle.classList.contains('outside')];
    });
}"""
"""Number, middle (x from the left, y from the bottom of the picture), width of the picture and of the circle, all as on the screen."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two simulated tilt series with poses a little off, and the average of their particles."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        tomobayes(*SIMULATED)
        tomobayes("reconstruct", "--i", "External/job001", "--box", "48", "--particle-diameter", "270")
    return folder


def test_looking_at_data_in_the_browser(project, claims):
    dataset = read_dataset(project / JOB, root=project)
    with in_browser(project) as page:
        page.goto(f"/job/{JOB}")
        page.click(".tabs >> text=Tilt series")
        tilt_images(page, dataset, claims)
        page.click(".tabs >> text=Particles")
        montage(page, dataset, project, claims)
        page.click(".tabs >> text=In the tomogram")
        tomogram(page, dataset, claims)
        page.click("text=map-back")
        page.fill("#particle_diameter", f"{DIAMETER:g}")
        page.click("button:has-text('Start')")
        page.wait_for_url("**/job/MapBack/job003", timeout=300_000)
        page.wait_for_selector(".pill.succeeded", timeout=300_000)
        page.wait_for_function("() => [...document.querySelectorAll('svg image')].length >= 6")
        picture(page, "map_back")
        claims.measured(
            "tomograms written by a map-back started from the page", len(list(project.glob("MapBack/job003/*.mrc"))), at_least=2
        )


def tilt_images(page: Page, dataset: Dataset, claims) -> None:
    """Steps to another series and tilt, by keys; circles are where the particles are projected, and there images are dark."""
    page.select_option("select[name=series]", str(SERIES))
    page.wait_for_url(f"**series={SERIES}**")
    page.wait_for_selector("#tilts[data-shown]")
    assert float(page.input_value("input[name=diameter]")) == DIAMETER  # as the job was told
    shown = settled(page)
    page.click("h2")  # away from the field, so that keys step
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        shown = settled(page, shown)
    seen = seen_in(dataset, SERIES, shown, DIAMETER / 2 / dataset.tilt_series[SERIES].pixel_size_angstrom)
    number, x, y, width, size, outside = (np.array(values) for values in zip(*page.evaluate(PLACES), strict=True))
    scale = width[0] / dataset.tilt_series[SERIES].image_size[0]
    off = np.hypot(x / scale - 0.5 - seen.position_px[:, 0], y / scale - 0.5 - seen.position_px[:, 1])
    other = seen_in(dataset, SERIES, shown - 1).position_px
    null = np.hypot(x / scale - 0.5 - other[:, 0], y / scale - 0.5 - other[:, 1])
    assert (number == seen.particles + 1).all() and (outside == ~seen.visible).all()
    claims.measured(
        "largest distance of a circle on the screen from the projected particle, pixels", off.max(), at_most=0.1, null=null.max()
    )
    claims.measured("diameter of the circles, Å", float(np.median(size)) / scale * 8, at_least=0.98 * DIAMETER, at_most=1.03 * DIAMETER)
    places = np.stack([x, y], 1) / scale
    dark, mirrored = (darkness(page, one) for one in (places, [0, 320] + places * [1, -1]))
    claims.measured("how much darker the picture is inside circles, standard errors", dark, at_least=5, null=mirrored)
    page.fill("input[name=lowpass]", "30")
    page.press("input[name=lowpass]", "Enter")
    page.wait_for_selector("#picture[href*='lowpass=30']")
    page.hover("#particles circle >> nth=4")
    assert page.inner_text("#particle").startswith(f"Particle {number[4]} (") and "underfocus" in page.inner_text("#particle")
    picture(page, "tilt_images")


def settled(page: Page, before: int | None = None) -> int:
    """The tilt whose image and circles are both there, once it is another than before."""
    page.wait_for_function(
        "before => { const shown = document.getElementById('tilts').dataset.shown; return shown !== undefined && shown !== before; }",
        arg=None if before is None else str(before),
    )
    page.wait_for_function("() => document.querySelectorAll('#particles circle').length > 0")
    return int(page.get_attribute("#tilts", "data-shown"))


def darkness(page: Page, places: np.ndarray) -> float:
    """Mean grey value outside less that inside half the circles' radius around places, over its standard error."""
    answer = page.request.get(page.get_attribute("#picture", "href"))
    image = np.asarray(Image.open(io.BytesIO(answer.body())), dtype=float)[::-1]
    y, x = np.indices(image.shape)
    near = np.min([np.hypot(x - one[0] + 0.5, y - one[1] + 0.5) for one in places], axis=0) < DIAMETER / 8 / 4
    return float((image[~near].mean() - image[near].mean()) / (image.std() / near.sum() ** 0.5))


def montage(page: Page, dataset: Dataset, project: Path, claims) -> None:
    """Numbers beside the pictures are those of the forward model."""
    page.wait_for_selector(".particle")
    page.select_option("select[name=series]", str(SERIES))
    page.wait_for_url(f"**series={SERIES}**")
    picture(page, "montage")
    shown = page.eval_on_selector_all(".particle", "all => all.map((one) => [one.dataset.particle, one.dataset.correlation].map(Number))")
    rows = np.array([number for number, _ in shown], dtype=int) - 1
    first = int(dataset.tilt_series[SERIES].dose.argmin())
    reference = read_map(project / JOB / "merged.mrc")
    options = {"lowpass_angstrom": 30.0, "diameter_angstrom": float(page.input_value("input[name=diameter]"))}
    expected = pairs_in(dataset, rows, np.full(len(rows), first), reference, **options).correlation
    others = pairs_in(turned_as_others(dataset), rows, np.full(len(rows), first), reference, **options).correlation
    found = np.array([correlation for _, correlation in shown])
    claims.measured("particles beside their predictions on one page", len(shown), at_least=24)
    claims.measured("largest difference of their correlations from the forward model's", np.abs(found - expected).max(), at_most=1e-6)
    claims.measured("mean correlation of image and prediction", found.mean(), at_least=0.3, null=others.mean())


def turned_as_others(dataset: Dataset) -> Dataset:
    """Every particle in the orientation of the one before."""
    turned = np.roll(dataset.particles.rotation_particle, 1, axis=0)
    return dataset.with_particles(replace(dataset.particles, rotation_particle=turned))


def tomogram(page: Page, dataset: Dataset, claims) -> None:
    """All particles are drawn, and turning shows them from elsewhere."""
    page.wait_for_selector("#space[data-drawn]")
    page.select_option("select[name=series]", str(SERIES))
    page.wait_for_url(f"**series={SERIES}**")
    page.wait_for_selector("#space[data-drawn]")
    drawn = int(page.get_attribute("#space", "data-drawn"))
    count = int((dataset.particles.tilt_series == SERIES).sum())
    claims.measured("particles drawn in the tomogram", drawn, at_least=count, at_most=count)
    page.select_option("select[name=colour]", "rlnAngleTilt")
    page.focus("#space")
    for key in ("ArrowLeft",) * 4 + ("ArrowDown",) * 5:
        page.keyboard.press(key)
    page.wait_for_function("() => document.querySelectorAll('#legend b').length === 1")
    page.wait_for_timeout(200)
    picture(page, "tomogram")


def picture(page: Page, name: str) -> None:
    """Leave a picture of the page where that is asked for."""
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"gui_{name}.png")

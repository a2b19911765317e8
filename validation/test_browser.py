"""The project in the browser, from end to end: a refinement started from its form, watched, stopped and continued."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from in_browser import in_browser
from tomobayes.cli import main
from tomobayes.project import find_job, list_jobs

if TYPE_CHECKING:
    from playwright.sync_api import Page

SIMULATED = [
    "simulate", "--angpix", "12", "--box", "32", "--n-series", "2", "--n-particles", "24", "--image-size-px", "160", "160",
    "--tilt-step", "6", "--thickness", "600", "--snr", "0.3", "--position-error", "5", "--no-angles", "--seed", "7",
]  # fmt: skip
MINUTES_10 = 600_000
PICTURES = os.environ.get("TOMOBAYES_SCREENSHOTS")
"""Folder in which to leave pictures of the pages; docs/images has them from here."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two simulated tilt series, and the blurred truth as a reference."""
    folder = tmp_path_factory.mktemp("project")
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert main(SIMULATED) == 0
    finally:
        os.chdir(before)
    return folder


def curve(page: Page) -> str:
    """The FSC curve on show."""
    return page.locator("figure.chart").first.locator(".curve").first.get_attribute("points") or ""


def picture(page: Page, name: str) -> None:
    """Leave a picture of the page where that is asked for."""
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"gui_{name}.png")


def test_project_in_the_browser(project, claims):
    with in_browser(project) as page:
        page.set_default_timeout(MINUTES_10)
        claims.measured("jobs on the page of the project", page.locator(".card").count(), at_least=1, oracle=len(list_jobs(project)))
        page.click(".card-head")
        page.click(".followers >> text=refine")
        assert page.input_value("#i") == "External/job001"

        page.click("button:has-text('Start')")
        refused = page.evaluate("document.querySelectorAll(':invalid').length")
        page.fill("#particle_diameter", "270")
        page.fill("#ref", "External/job001/truth_class1.mrc")
        page.fill("#offset_range", "24")
        page.fill("#max_iter", "5")
        claims.measured("fields that keep a form without a diameter from starting", refused, at_least=1)
        page.wait_for_selector("#command:has-text('--max-iter 5')")
        page.click("text=Show plan")
        page.wait_for_selector(".plan >> text=memory: about")
        page.evaluate("scrollTo(0, 0)")
        picture(page, "form")
        command = page.inner_text("#command")
        page.click("button:has-text('Start')")
        page.wait_for_url("**/job/Refine3D/job002")

        page.wait_for_selector("figure.chart")
        first = curve(page)
        page.wait_for_function(
            "before => { const c = document.querySelector('figure.chart .curve'); return c && c.getAttribute('points') !== before; }",
            arg=first,
        )
        picture(page, "live")
        page.on("dialog", lambda dialog: dialog.accept())
        page.click("button:has-text('Stop now')")
        page.wait_for_selector(".pill.stopped")
        stopped = iterations(page)
        claims.measured("iterations whose FSC was drawn while the job ran", stopped, at_least=2)

        page.click(".actions >> text=Continue")
        page.fill("#max_iter", "4")
        page.click("button:has-text('Go on')")
        page.wait_for_url("**/job/Refine3D/job002")
        page.wait_for_selector(".pill.running")
        page.wait_for_selector(".pill.succeeded")
        claims.measured("iterations after the job was stopped and went on", iterations(page), at_least=stopped + 1)
        job = find_job(project, "Refine3D/job002")
        assert job is not None and job.record is not None
        assert job.record.parameters["max_iter"] == 4 and "--particle-diameter 270" in command
        for verb, folder in (("mask", "MaskCreate/job003"), ("postprocess", "PostProcess/job004")):
            page.click(f".followers >> text={verb}")
            page.click("button:has-text('Start')")
            page.wait_for_url(f"**/job/{folder}")
            page.wait_for_selector(".pill.succeeded")
        page.click(".actions >> text=Clone")
        assert page.input_value("#i") == "Refine3D/job002" and page.input_value("#mask") == "MaskCreate/job003/mask.mrc"
        page.goto("/graph")
        picture(page, "graph")
        claims.measured("what fed what: lines of the graph", page.locator(".edge").count(), at_least=4)
        page.goto("/job/Refine3D/job002?tab=iterations")
        picture(page, "iterations")
        page.goto("/")
        page.wait_for_function("() => [...document.images].every((image) => image.complete)")
        picture(page, "project")


def iterations(page: Page) -> int:
    """What the head of a refinement's page says."""
    found = re.search(r"Iterations\s+(\d+)", page.inner_text(".facts"))
    return int(found[1]) if found else 0

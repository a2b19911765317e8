"""What the pages do by themselves, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from in_browser import in_browser
from tomobayes.project import Ending, Progress, folder_lock, write_progress

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture
def page(project: Path) -> Iterator[Page]:
    with in_browser(project) as shown:
        yield shown


def test_a_walk_through_the_project(page: Page, project: Path):
    cards = page.locator(".card")
    assert cards.count() == 2
    page.fill("#filter", "job001")
    assert [cards.nth(at).is_visible() for at in (0, 1)] == [False, True]

    folder = project / "MaskCreate" / "job002"
    with folder_lock(folder):
        page.wait_for_selector(".card.running")
        page.click(".card.running .card-head")
        write_progress(folder, Progress("Iteration 7", 1, 4, start=0, now=10))
        page.wait_for_selector("text=Iteration 7, 25 %")
        (folder / Ending.SUCCESS.value).unlink()
    page.wait_for_selector(".pill.killed")

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.click("nav >> text=Graph")
    page.click(".graph a[href='/job/MaskCreate/job001']")
    page.click(".tabs >> text=Log")
    page.wait_for_selector("text=Folder: MaskCreate/job001")

    page.goto("/new/mask")
    page.fill("#sphere_diameter", "80")
    page.wait_for_selector("text=a sphere needs its --box")
    page.fill("#box", "16")
    page.fill("#angpix", "4")
    page.wait_for_selector("#command:has-text('--box 16 --angpix 4')")
    assert page.locator(".complaints").count() == 0
    page.click("button:has-text('Start')")
    page.wait_for_url("**/job/MaskCreate/job003")
    page.wait_for_selector(".pill.succeeded")
    assert "Inside the mask" in page.inner_text(".facts")

    page.on("dialog", lambda dialog: dialog.accept())
    page.click("button:has-text('Delete')")
    page.wait_for_selector("h1:has-text('2 jobs')")

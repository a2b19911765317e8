"""A project shown by a server of its own, in a real browser; where there is none, tests skip and say so."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["in_browser", "served"]


@contextmanager
def served(project: Path) -> Iterator[str]:
    """The link that ``tomobayes gui`` prints, while it runs."""
    command = [sys.executable, "-m", "tomobayes", "gui", str(project), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            link = re.search(r"http://\S+", server.stdout.readline())
            assert link is not None
            yield link[0]
        finally:
            server.terminate()


@contextmanager
def in_browser(project: Path) -> Iterator[Page]:
    """A browser that was let in and shows the project; errors of its pages fail the test.

    What a test waits for must be given as a function: an expression is evaluated anew at every poll, in the page, whose
    content security policy refuses that.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    with served(project) as link, playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=link.split("/?")[0])
        page = context.new_page()
        page.set_default_timeout(60_000)
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.goto(link)
        yield page
        browser.close()
        assert not faults, faults

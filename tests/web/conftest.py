"""A project with a few finished jobs, and a browser that is let in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from addresses import HOST
from starlette.testclient import TestClient

from tomobayes.cli import main
from tomobayes.web.access import Access
from tomobayes.web.app import application

SPHERE = ["mask", "--sphere-diameter", "60", "--box", "24", "--angpix", "4"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two masks, the second made from the first; the tests run in it."""
    monkeypatch.chdir(tmp_path)
    assert main(SPHERE) == 0
    assert main(["mask", "--i", "MaskCreate/job001/mask.mrc", "--lowpass", "0"]) == 0
    return tmp_path


@pytest.fixture
def access() -> Access:
    """The secrets of a server."""
    return Access("tomobayes_test")


@pytest.fixture
def stranger(project: Path, access: Access) -> Iterator[TestClient]:
    """Someone without a token."""
    with TestClient(application(project, access), base_url=HOST, follow_redirects=False) as client:
        yield client


@pytest.fixture
def client(stranger: TestClient, access: Access) -> TestClient:
    """Someone who was let in; what changes something comes from the server's own pages."""
    answer = stranger.get(f"/?token={access.token}")
    assert answer.status_code == 303
    stranger.headers["origin"] = HOST
    return stranger

"""Nobody gets in without the link, nobody from elsewhere gets anything done, and the link works once."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
from addresses import HOST
from starlette.testclient import TestClient

from tomobayes.web.access import Access

ADDRESSES = [
    "/",
    "/graph",
    "/new",
    "/new/mask",
    "/job/MaskCreate/job001",
    "/files/MaskCreate/job001/mask.mrc",
    "/volume/MaskCreate/job001/mask.mrc",
    "/columns/MaskCreate/job001",
    "/classes/MaskCreate/job001",
    "/chimerax/MaskCreate/job001",
    "/static/gui.js",
    "/nowhere",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_strangers_see_nothing(stranger: TestClient, address: str):
    answer = stranger.get(address)
    assert answer.status_code == 403
    assert "MaskCreate" not in answer.text


@pytest.mark.parametrize("token", ["", "wrong", "None", "ä"])
def test_a_wrong_token_opens_nothing(stranger: TestClient, token: str):
    assert stranger.get("/", params={"token": token}).status_code == 403


def test_the_link_works_once(stranger: TestClient, access: Access):
    link = f"/graph?token={access.token}&more=1"
    first = stranger.get(link)
    assert first.status_code == 303 and first.headers["location"] == "/graph?more=1"
    cookie = first.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie
    assert stranger.get("/graph").status_code == 200
    stranger.cookies.clear()
    assert stranger.get(link).status_code == 403


def test_a_token_is_not_taken_from_a_form(stranger: TestClient, access: Access):
    assert stranger.post(f"/new/mask?token={access.token}", headers={"origin": HOST}).status_code == 403
    assert stranger.get(f"/?token={access.token}").status_code == 303


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", ""])
def test_other_names_of_this_machine_are_refused(client: TestClient, host: str):
    assert client.get("/", headers={"host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost:9000", "127.0.0.1", "[::1]:8765"])
def test_a_tunnel_may_have_another_port(client: TestClient, host: str):
    assert client.get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:9999", "null", None])
def test_other_pages_get_nothing_done(client: TestClient, project, origin: str | None):
    del client.headers["origin"]
    headers = {} if origin is None else {"origin": origin}
    assert client.post("/delete/MaskCreate/job001", headers=headers).status_code == 403
    assert (project / "MaskCreate" / "job001").is_dir()


def test_another_browser_is_let_in_by_a_link_of_its_own(client: TestClient, access: Access):
    page = client.post("/elsewhere").text
    assert access.token is not None and f"{HOST}/?token={access.token}" in page
    client.cookies.clear()
    assert client.get(f"/?token={access.token}").status_code == 303
    assert client.get("/").status_code == 200


def test_pages_load_nothing_from_elsewhere_and_stand_in_no_frame(client: TestClient):
    answer = client.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert "//" not in answer.text.replace("http://www.w3.org", "")


@pytest.mark.parametrize("address", ["/", "/files/MaskCreate/job001/report.html"])
def test_the_policy_names_the_one_script_that_pages_carry(client: TestClient, address: str):
    answer = client.get(address)
    (script,) = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'self' 'sha256-{digest}';" in answer.headers["content-security-policy"]

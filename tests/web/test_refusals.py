"""What makes no sense is refused, and what is not in the project is not shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient


@pytest.fixture
def secret(project: Path) -> Path:
    """A file beside the project, and links to it from inside."""
    outside = project.parent / f"{project.name}_secret"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    (project / "MaskCreate" / "job001" / "link.txt").symlink_to(outside / "secret.txt")
    (project / "Linked").symlink_to(outside)
    (project / ".hidden").mkdir()
    (project / ".hidden" / "secret.txt").write_text("secret")
    return outside


@pytest.mark.parametrize(
    "path",
    [
        "../{name}/secret.txt",
        "%2e%2e/{name}/secret.txt",
        "MaskCreate/..%2f..%2f{name}/secret.txt",
        "MaskCreate/job001/link.txt",
        "Linked/secret.txt",
        ".hidden/secret.txt",
        "%2fetc%2fpasswd",
        "/etc/passwd",
        "MaskCreate/job001",
        "MaskCreate/job001/nothing.mrc",
        "a%00b",
    ],
)
def test_files_outside_the_project_are_refused(client: TestClient, secret: Path, path: str):
    answer = client.get(f"/files/{path.format(name=secret.name)}")
    assert answer.status_code in (400, 403, 404)
    assert "secret" not in answer.text.replace(secret.name, "") and "root:" not in answer.text


def test_files_of_the_project_are_given(client: TestClient, project: Path):
    answer = client.get("/files/MaskCreate/job001/mask.mrc")
    assert answer.content == (project / "MaskCreate/job001/mask.mrc").read_bytes()
    assert "attachment" in answer.headers["content-disposition"]
    assert client.get("/files/MaskCreate/job001/job.toml").headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("/cards?start=x", 400),
        ("/cards?start=-1", 400),
        ("/cards?start=1e3", 400),
        ("/cards?start=99999999999999999999", 400),
        ("/job/MaskCreate/job009", 404),
        ("/job/MaskCreate", 404),
        ("/job/%2e%2e/%2e%2e/etc", 404),
        ("/job/MaskCreate/job001?tab=nothing", 404),
        ("/view/MaskCreate/job001?tab=%3Cscript%3E", 404),
        ("/new/nothing", 404),
        ("/starts/123", 404),
        ("/retry/%2e%2e", 404),
        ("/nowhere", 404),
    ],
)
def test_malformed_addresses_are_refused(client: TestClient, address: str, code: int):
    assert client.get(address).status_code == code


@pytest.mark.parametrize("body", ["no form", "a=%ff", "=&=&", "x" * 200_000])
def test_malformed_forms_are_refused(client: TestClient, body: str, project: Path):
    answer = client.post("/new/mask", content=body, headers={"content-type": "application/x-www-form-urlencoded"})
    assert answer.status_code in (400, 413, 422)
    assert not (project / ".tomobayes").exists()


def test_words_of_a_form_cannot_break_the_page(client: TestClient):
    page = client.get("/new/mask", params={"i": '"><script>alert(1)</script>'}).text
    assert "<script>alert" not in page
    page = client.post("/new/mask/check", data={"i": "<script>alert(1)</script>"}).text
    assert "<script>alert" not in page

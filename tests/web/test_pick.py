"""Particles chosen by hand: the columns that are offered, the classes, and the command that a choice stands for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from starlette.testclient import TestClient

from in_browser import in_browser
from tomobayes.formats.mrc import write_map
from tomobayes.formats.relion import OptimisationSet, write_optimisation_set
from tomobayes.formats.star import Table, write_star
from tomobayes.model import Map
from tomobayes.project import Mode, new_record, occupy

if TYPE_CHECKING:
    from playwright.sync_api import Route

N = 12
VALUES = {
    "rlnCoordinateX": np.linspace(-1e3, 1e3, N),
    "rlnMaxValueProbDistribution": np.full(N, 0.5),
    "rlnLogLikeliContribution": np.geomspace(1e-7, 1, N),
    "rlnCoordinateY": np.arange(N) ** 2.0,
}
WITHIN = "'rlnCoordinateX,rlnCoordinateY: -10,1e-7 2000,1 2000,200'"


@pytest.fixture
def refined(project: Path) -> str:
    """A job that leaves twelve particles of two classes, and maps of these."""
    with occupy("Class3D", None, Mode.NEW, new_record("classify", {}, "tomobayes classify"), []) as folder:
        columns = {label: np.array([repr(value) for value in values.tolist()]) for label, values in VALUES.items()}
        columns |= {"rlnTomoName": np.full(N, "TS_1"), "rlnClassNumber": np.array(list("112" * (N // 3)))}
        write_star(folder.path / "particles.star", [Table("optics", {"rlnVoltage": np.array(["300"])}), Table("particles", columns)])
        write_optimisation_set(folder.path / "optimisation_set.star", OptimisationSet(particles=folder.path / "particles.star"))
        write_map(folder.path / "run_class001.mrc", Map(np.random.default_rng(1).normal(size=(8, 8, 8)).astype(np.float32), 4.0))
        folder.outputs += [folder.path / "optimisation_set.star", folder.path / "particles.star"]
    return str(folder.path)


def test_columns_of_numbers_arrive_bit_by_bit(client: TestClient, refined: str):
    told = client.get(f"/columns/{refined}").json()
    assert set(told["labels"]) == {*VALUES, "rlnClassNumber"} and told["particles"] == N
    assert told["first"] == ["rlnCoordinateX", "rlnCoordinateY"]  # the first pair is everywhere the same in one column
    answer = client.get(f"/columns/{refined}", params={"x": "rlnLogLikeliContribution", "y": "rlnCoordinateX"})
    x, y = np.frombuffer(answer.content, "<f8").reshape(2, N)
    assert (x == VALUES["rlnLogLikeliContribution"]).all() and (y == VALUES["rlnCoordinateX"]).all()


def test_columns_follow_the_file(client: TestClient, project: Path, refined: str):
    client.get(f"/columns/{refined}")
    write_star(project / refined / "particles.star", [Table("particles", {"rlnNew": np.array(["1", "2"])})])
    assert client.get(f"/columns/{refined}").json() == {"labels": ["rlnNew"], "first": ["rlnNew", "rlnNew"], "particles": 2}


def test_classes_are_cards_with_their_maps(client: TestClient, refined: str):
    page = client.get(f"/classes/{refined}").text
    assert re.findall(r'data-class="(\d+)" data-particles="(\d+)"', page) == [("1", "8"), ("2", "4")]
    assert page.count("<svg") == 2  # a slice and a projection of the one map that is there


def test_a_job_of_one_class_has_no_cards(client: TestClient, project: Path, refined: str):
    write_star(project / refined / "particles.star", [Table("particles", {"rlnClassNumber": np.array(["1", "1"])})])
    assert client.get(f"/classes/{refined}").text.strip() == ""


def test_the_view_is_there_where_particles_are(client: TestClient, refined: str):
    page = client.get(f"/job/{refined}?tab=pick").text
    assert f'data-columns="/columns/{refined}"' in page and "pick.js" in page
    assert client.get("/job/MaskCreate/job001?tab=pick").status_code == 404


def test_distributions_of_particles_whose_tilt_series_are_missing(client: TestClient, refined: str):
    page = client.get(f"/job/{refined}?tab=data").text
    assert "Largest share that one pose has" in page and 'class="complaint"' in page


def test_a_lasso_is_a_command(client: TestClient, refined: str):
    page = client.post("/new/select/check", data={"i": refined, "within": WITHIN, "invert": "on"}).text
    assert f"tomobayes select --i {refined} --within {WITHIN} --invert" in page.replace("&#39;", "'")
    page = client.post("/new/select/check", data={"i": refined, "within": "'rlnCoordinateX: 1,2 3,4'"}).text
    assert "not a polygon" in page
    assert 'value="1 2"' in client.get("/new/select", params={"i": refined, "classes": "1 2"}).text


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("/columns/{job}?x=rlnCoordinateX", 400),
        ("/columns/{job}?x=rlnCoordinateX&y=nothing", 400),
        ("/columns/{job}?x=rlnCoordinateX&y=rlnTomoName", 400),
        ("/columns/{job}?x=%00&y=..%2f", 400),
        ("/columns/MaskCreate/job001", 404),
        ("/columns/%2e%2e/%2e%2e/etc", 404),
        ("/classes/MaskCreate/job001", 404),
        ("/classes/Class3D/job099", 404),
    ],
)
def test_what_makes_no_sense_is_refused(client: TestClient, refined: str, address: str, code: int):
    assert client.get(address.format(job=refined)).status_code == code


def test_a_broken_table_is_told(client: TestClient, project: Path, refined: str):
    (project / refined / "particles.star").write_text("data_particles\n\nloop_\n_rlnA #1\n_rlnB #2\n1\n")
    answer = client.get(f"/columns/{refined}")
    assert answer.status_code == 400 and "line" in answer.text


def test_classes_are_chosen_by_clicking_their_maps(refined: str, project: Path):
    with in_browser(project) as page:
        page.goto(f"/job/{refined}?tab=pick")
        cards = page.locator(".class-card")
        cards.nth(1).click()
        cards.nth(0).click()
        cards.nth(0).click()
        assert [cards.nth(at).get_attribute("aria-pressed") for at in (0, 1)] == ["false", "true"]
        assert "4 particles" in page.inner_text(".pick-classes .aside")
        page.click(".pick-classes >> text=Open the form")
        page.wait_for_url("**/new/select?*")
        assert (page.input_value("#i"), page.input_value("#classes")) == (refined, "2")


def test_columns_that_come_late_or_not_at_all(refined: str, project: Path):
    """Those asked for last are drawn, whatever comes after them; what cannot be read is told."""
    with in_browser(project) as page:
        page.goto(f"/job/{refined}?tab=pick")
        page.wait_for_selector("#pick[data-state=ready]")
        held: list[Route] = []
        page.route(re.compile("x=rlnClassNumber"), lambda route: held.append(route))
        page.select_option("#across", "rlnClassNumber")
        page.select_option("#across", "rlnLogLikeliContribution")
        page.wait_for_selector("#pick[data-state=ready]")
        with page.expect_response(re.compile("x=rlnClassNumber")):
            held[0].continue_()
        page.wait_for_timeout(200)
        box = page.locator("#pick canvas").first.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 100, box["y"] + 20)
        page.mouse.down()
        for x, y in ((box["width"] - 20, 20), (box["width"] - 20, box["height"] - 60), (100, box["height"] - 60)):
            page.mouse.move(box["x"] + x, box["y"] + y, steps=3)
        page.mouse.up()
        assert page.input_value("#within").startswith("'rlnLogLikeliContribution,rlnCoordinateY:")
        page.route(re.compile("x=rlnMaxValue"), lambda route: route.fulfill(body="abc"))
        page.select_option("#across", "rlnMaxValueProbDistribution")
        page.wait_for_selector("#pick .said:visible")

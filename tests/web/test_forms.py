"""Forms come from the parameters of the command line and lead back to them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tomobayes.cli import _app
from tomobayes.jobs.parameters import Align, Cycle, JobParameters, Mask, Refine, Select, Simulate
from tomobayes.jobs.verbs import VERBS
from tomobayes.project import find_job
from tomobayes.web.fields import OF_THE_RUN, every_field, groups_of
from tomobayes.web.forms import asked_again, filled, to_continue, values_of
from tomobayes.web.inputs import FOLLOWERS

EXAMPLES = [
    Refine(i="Import/job001", particle_diameter=270.5, sym="C6", healpix_order=3, ref="a map.mrc", workers=2, box=64, likelihood="relion4"),
    Select(i="a", classes=(1, 3), where=("rlnClassNumber=2", "rlnTomoName~TS_0*")),
    Simulate(tilt_min=-50, image_size_px=(256, 200), no_angles=True, model=("builtin:ribosome", "my map.mrc")),
    Align(i="a", particle_diameter=100, motion=True, s_vel=0.25, const_a=True),
    Cycle(i="a", particle_diameter=100, steps=("refine", "align")),
]


JOBS = [parameters for parameters in VERBS if issubclass(parameters, JobParameters)]


@pytest.mark.parametrize("parameters", JOBS, ids=lambda parameters: parameters.verb)
def test_every_option_has_a_field_with_its_help(client: TestClient, parameters):
    page = client.get(f"/new/{parameters.verb}").text
    fields = {field.name: field for field in every_field(groups_of(parameters))}
    assert fields.keys() == parameters.model_fields.keys() - OF_THE_RUN
    for name, field in fields.items():
        if name != "from_iteration":
            assert f'name="{name}"' in page, name
        assert field.help == parameters.model_fields[name].description


@pytest.mark.parametrize("given", EXAMPLES, ids=lambda given: given.verb)
def test_form_and_command_line_say_the_same(given):
    form = filled(type(given), values_of(type(given), given.model_dump(exclude_unset=True, mode="json")))
    assert not form.complaints
    _, bound, _ = _app(form.words[1:]).parse_args(list(form.words[1:]), exit_on_error=False, print_error=False)
    assert bound.arguments["options"] == given


def test_fields_know_kinds_units_ranges_and_defaults():
    fields = {field.name: field for field in every_field(groups_of(Refine))}
    assert (fields["healpix_order"].kind, fields["healpix_order"].low, fields["healpix_order"].high) == ("integer", "0", "5")
    assert (fields["particle_diameter"].unit, fields["particle_diameter"].needed) == ("Å", True)
    assert (fields["box"].step, fields["box"].unit) == ("2", "binned pixels")
    assert (fields["likelihood"].kind, fields["likelihood"].choices) == ("choice", ("exact", "relion4"))
    assert fields["max_iter"].default == "30" and fields["ref"].kind == "path"
    assert fields["sigma_ang"].unit == "°" and fields["max_dose"].unit == "e/Å²"
    assert {field.name: field for field in every_field(groups_of(Select))}["classes"].many


def test_what_is_wrong_is_told_before_the_start(client: TestClient, project: Path):
    told = client.post(
        "/new/refine/check", data={"i": "x", "particle_diameter": "-5", "healpix_order": "9", "workers": "2", "scheduler": "s"}
    ).text
    assert "--particle-diameter" in told and "--healpix-order" in told
    assert "tomobayes refine" in told
    page = client.post("/new/mask", data={"sphere_diameter": "100"})
    assert page.status_code == 422
    assert "needs its --box" in page.text and 'value="100"' in page.text
    assert not (project / ".tomobayes").exists()


def test_open_quotes_are_a_complaint(client: TestClient):
    told = client.post("/new/select/check", data={"i": "a", "where": "'rlnClassNumber=1"}).text
    assert "--where" in told and "closing quotation" in told.lower()


def test_defaults_are_not_repeated_in_the_command(client: TestClient):
    told = client.post(
        "/new/refine/check", data={"i": "x", "particle_diameter": "100", "max_iter": "30", "sym": "C1", "tau2_fudge": "1"}
    ).text
    assert "tomobayes refine --i x --particle-diameter 100<" in told


def test_inputs_are_offered_from_earlier_jobs(client: TestClient):
    page = client.get("/new/refine").text
    offered = re.findall(r'<option value="(MaskCreate[^"]+)"', page)
    assert offered == ["MaskCreate/job002/mask.mrc", "MaskCreate/job001/mask.mrc"]


def test_a_clone_asks_for_the_same(client: TestClient, project: Path):
    job = find_job(project, "MaskCreate/job002")
    assert job is not None and job.record is not None
    form = filled(Mask, asked_again(job, Mask, project))
    assert "MaskCreate/job001/mask.mrc" in form.words and form.words[-2:] == ("--lowpass", "0")
    page = client.get("/clone/MaskCreate/job002").text
    assert 'value="MaskCreate/job001/mask.mrc"' in page


def test_a_job_that_goes_on_takes_only_what_it_can_still_heed(project: Path):
    job = find_job(project, "MaskCreate/job001")
    assert job is not None
    form, directory = to_continue(job, Mask, {"sphere_diameter": "90", "angpix": "9"})
    assert directory == project
    assert form.words == ("tomobayes", "mask", "--o", "MaskCreate/job001", "--continue")
    assert not form.complaints


def test_a_form_that_follows_a_job_begins_with_what_it_offers(client: TestClient):
    page = client.get("/new/mask?after=MaskCreate/job002").text
    assert re.search(r'name="i" value=""', page)  # a mask is no map to make a mask of
    page = client.get("/new/refine?after=MaskCreate/job002").text
    assert re.search(r'name="mask" value="MaskCreate/job002/mask.mrc"', page)
    assert client.get("/new/refine?after=nothing").status_code == 200


def test_what_may_follow_is_there_and_makes_jobs(client: TestClient):
    verbs = {parameters.verb for parameters in JOBS}
    assert verbs >= {verb for followers in FOLLOWERS.values() for verb in followers} | FOLLOWERS.keys()
    assert client.get("/new/info").status_code == 404
    assert {match[1] for match in re.finditer(r'href="/new/([a-z-]+)"', client.get("/new").text)} == verbs

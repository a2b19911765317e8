"""Looking at data: what pages about tilt images, particles and tomograms say is what the lower rooms compute."""

from __future__ import annotations

import gc
import io
import os
import re
import shutil
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np
import pytest
from addresses import HOST
from PIL import Image
from starlette.testclient import TestClient

from in_browser import in_browser
from tomobayes.cli import main
from tomobayes.formats.mrc import read_map, write_map
from tomobayes.formats.relion import read_dataset, write_particles
from tomobayes.imaging.pairs import pairs_in
from tomobayes.imaging.reduced import reduced
from tomobayes.imaging.seen import seen_in
from tomobayes.imaging.views import views_of
from tomobayes.model import Dataset
from tomobayes.web.access import Access
from tomobayes.web.app import application
from tomobayes.web.datasets import Data
from tomobayes.web.particle_panels import OWN_CLASS
from tomobayes.web.tilt_pictures import Look, picture

if TYPE_CHECKING:
    from playwright.sync_api import Route

TINY = [
    "simulate", "--model", "builtin:ribosome", "--angpix", "16", "--box", "24", "--n-series", "2", "--n-particles", "15",
    "--image-size-px", "96", "80", "--tilt-min", "-40", "--tilt-max", "40", "--tilt-step", "10", "--thickness", "400",
    "--min-distance", "200", "--snr", "1", "--data-type", "float32", "--position-error", "6",
]  # fmt: skip
JOB = "External/job001"


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Iterator[Path]:
    """Two tiny tilt series with fifteen ribosomes each, and a mask, which has no particles."""
    folder = tmp_path_factory.mktemp("looking")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(TINY) == 0
        assert main(["mask", "--sphere-diameter", "60", "--box", "24", "--angpix", "4"]) == 0
        yield folder


@pytest.fixture(scope="module")
def client(project: Path) -> Iterator[TestClient]:
    """Someone who was let in."""
    with opened(project) as found:
        yield found


def opened(project: Path) -> TestClient:
    access = Access("tomobayes_test")
    client = TestClient(application(project, access), base_url=HOST)
    client.get(f"/?token={access.token}")
    return client


def copied(project: Path, folder: Path) -> Path:
    """The same project elsewhere, on its own files."""
    copy = folder / "copy"
    shutil.copytree(project, copy)
    for star in (copy / JOB).rglob("*.star"):
        star.write_text(star.read_text().replace(str(project), str(copy)))
    return copy


@pytest.fixture(scope="module")
def dataset(project: Path) -> Dataset:
    return read_dataset(project / JOB)


def shown(page: str, what: str) -> list[float]:
    return [float(value) for value in re.findall(rf'data-{what}="([^"]+)"', page)]


def test_jobs_with_particles_lead_to_pages_about_them(client):
    page = client.get(f"/job/{JOB}").text
    for address in ("series", "montage", "tomogram"):
        assert f'href="/{address}/{JOB}"' in page
        assert client.get(f"/{address}/{JOB}").status_code == 200
        assert client.get(f"/{address}/MaskCreate/job002").status_code == 404
    assert "/series/" not in client.get("/job/MaskCreate/job002").text
    every = client.get("/data").text
    assert f'href="/series/{JOB}"' in every and "MaskCreate" not in every


@pytest.mark.parametrize("page", ["series", "montage", "tomogram"])
def test_large_and_broken_diameters_stay_numbers_of_a_field(client, page):
    assert 'value="1250.5"' in client.get(f"/{page}/{JOB}?diameter=1250.5").text


def test_places_are_where_extraction_cuts(client, dataset):
    for index, tilt, diameter in ((0, 0, 250), (1, 6, 700)):
        found = client.get(f"/places/{JOB}?series={index}&tilt={tilt}&diameter={diameter}").json()
        rows = np.flatnonzero(dataset.particles.tilt_series == index)
        views = views_of(dataset, rows, half_width_px=diameter / 32)
        assert found["number"] == (rows + 1).tolist() and found["name"] == dataset.particles.name[rows].tolist()
        np.testing.assert_allclose(np.stack([found["x"], found["y"]], 1), views.centre_px[:, tilt], atol=1e-6)
        assert found["visible"] == views.visible[:, tilt].tolist()
        np.testing.assert_allclose(found["defocus"], (views.defocus_u_angstrom + views.defocus_v_angstrom)[:, tilt] / 2e4, atol=1e-5)
    assert not all(found["visible"])


def test_places_of_a_real_projects_files(shared, tmp_path, monkeypatch):
    """A set that RELION wrote itself, with its alignment and motion, imported into a project elsewhere."""
    folder = shared / "data" / "simulated" / "ribosome_errors"
    source = folder / "relion" / "align" / "optimisation_set.star"
    dataset = read_dataset(source, root=folder)
    assert dataset.motion_angstrom is not None
    monkeypatch.chdir(tmp_path)
    assert main(["import", "--i", str(source)]) == 0
    monkeypatch.chdir("/")
    with opened(tmp_path) as client:
        for index, tilt in ((0, 3), (1, 40)):
            found = client.get(f"/places/Import/job001?series={index}&tilt={tilt}&diameter=200").json()
            expected = seen_in(dataset, index, tilt, 100 / 4)
            np.testing.assert_allclose(np.stack([found["x"], found["y"]], 1), expected.position_px, atol=1e-6)
            assert found["visible"] == expected.visible.tolist()
        picture = np.asarray(Image.open(io.BytesIO(client.get("/tilt/Import/job001?series=1&tilt=40").content)))
        assert np.corrcoef(picture[::-1].ravel(), dataset.tilt_series[1].images.read(40).ravel())[0, 1] > 0.9


def test_a_picture_is_the_image_with_its_first_row_at_the_bottom(client, dataset):
    answer = client.get(f"/tilt/{JOB}?series=1&tilt=4&percent=0")
    assert answer.headers["content-type"] == "image/jpeg" and "max-age" in answer.headers["cache-control"]
    picture = np.asarray(Image.open(io.BytesIO(answer.content)), dtype=float)[::-1]
    image = dataset.tilt_series[1].images.read(4)
    assert picture.shape == image.shape == (80, 96) and np.corrcoef(picture.ravel(), image.ravel())[0, 1] > 0.97
    smooth = np.asarray(Image.open(io.BytesIO(client.get(f"/tilt/{JOB}?series=1&tilt=4&lowpass=150").content)), dtype=float)[::-1]
    assert np.abs(np.diff(smooth)).mean() < 0.5 * np.abs(np.diff(picture)).mean()
    np.testing.assert_allclose(reduced(image, 1024)[0], image)


def test_the_table_tells_of_every_tilt(client, dataset):
    page = client.get(f"/series/{JOB}?series=1&diameter=700").text
    series = dataset.tilt_series[1]
    tilts = np.array(shown(page, "tilt"), dtype=int)
    assert sorted(tilts) == list(range(series.n_tilts)) and (np.diff(shown(page, "angle")) > 0).all()
    np.testing.assert_allclose(shown(page, "dose"), series.dose[tilts], atol=0.005)
    assert sorted(zip(shown(page, "rank"), shown(page, "dose"), strict=True)) == sorted(
        zip(range(1, series.n_tilts + 1), np.sort(series.dose), strict=True)
    )
    assert shown(page, "seen") == [seen_in(dataset, 1, tilt, 700 / 32).visible.sum() for tilt in tilts]


def test_the_montage_shows_correlations_of_the_forward_model(client, dataset, project):
    page = client.get(f"/montage/{JOB}?series=1&lowpass=60&diameter=250&exposure=2").text
    rows = np.flatnonzero(dataset.particles.tilt_series == 1)
    tilt = int(np.argsort(dataset.tilt_series[1].dose)[2])
    reference = read_map(project / JOB / "truth_class1.mrc")
    expected = pairs_in(dataset, rows, np.full(len(rows), tilt), reference, lowpass_angstrom=60, diameter_angstrom=250)
    np.testing.assert_allclose(shown(page, "correlation"), expected.correlation, atol=1e-6)
    assert shown(page, "particle") == (rows + 1).tolist() and page.count("data:image/png") == 2 * len(rows)


def test_the_montage_is_sorted_and_paged(client, dataset):
    tilts = dataset.particles.columns["rlnAngleTilt"].astype(float)
    pages = [client.get(f"/montage/{JOB}?sort=rlnAngleTilt&down=1&page={number}").text for number in (0, 1)]
    numbers = [int(number) for page in pages for number in shown(page, "particle")]
    assert len(numbers) == 30 and [len(shown(page, "particle")) for page in pages] == [24, 6]
    assert (np.diff(tilts[np.array(numbers) - 1]) <= 0).all()
    assert "sort=rlnAngleTilt&amp;down=1&amp;page=1" in pages[0]
    as_text = client.get(f"/montage/{JOB}?sort=rlnTomoName&down=1").text
    assert shown(as_text, "particle")[0] > 15


def test_particles_in_the_tomogram(client, dataset):
    found = client.get(f"/placed/{JOB}?series=1&colour=rlnAngleTilt").json()
    rows = np.flatnonzero(dataset.particles.tilt_series == 1)
    np.testing.assert_allclose(found["place"], dataset.particles.centre_angstrom[rows], atol=1e-3)
    np.testing.assert_allclose(found["axis"], dataset.particles.rotation[rows, :, 2], atol=1e-5)
    np.testing.assert_allclose(found["value"], dataset.particles.columns["rlnAngleTilt"][rows].astype(float))
    assert found["size"] == [edge * 16 for edge in dataset.tilt_series[1].tomogram_size]
    kinds = client.get(f"/placed/{JOB}?series=1&colour=rlnTomoName").json()
    assert kinds["kinds"] == ["TS_01", "TS_02"] and set(kinds["value"]) == {1}
    assert "value" not in client.get(f"/placed/{JOB}").json()


ENDLESS = ["inf", "-inf", "+inf", "Inf", "INF", "infinity", "-Infinity", "nan", "NaN", "NAN"]


def test_columns_that_are_not_finite_have_a_scale_only_of_what_is(project, dataset, tmp_path):
    copy = copied(project, tmp_path)
    numbers = np.arange(30.0)
    numbers[[3, 20]] = np.inf, np.nan
    columns = {"rlnLogLikeliContribution": numbers.astype(str), "rlnMaxValueProbDistribution": np.array(ENDLESS * 3)}
    particles = replace(dataset.particles, columns=dataset.particles.columns | columns)
    write_particles(copy / JOB / "particles.star", read_dataset(copy / JOB, root=copy).with_particles(particles))
    with opened(copy) as client:
        some = client.get(f"/placed/{JOB}?colour=rlnLogLikeliContribution").json()
        assert some["value"][2:5] == [2, None, 4]
        np.testing.assert_allclose([some["low"], some["high"]], np.percentile(numbers[np.isfinite(numbers)], [2, 98]))
        assert "low" not in client.get(f"/placed/{JOB}?colour=rlnMaxValueProbDistribution").json()


def test_late_answers_do_not_take_the_place_of_newer_ones(project):
    with in_browser(project) as page:
        held: list[Route] = []
        page.goto(f"/tomogram/{JOB}")
        page.route(re.compile("colour=rlnTomoName"), lambda route: held.append(route))
        page.select_option("[name=colour]", "rlnTomoName")
        page.select_option("[name=colour]", "rlnAngleTilt")
        page.wait_for_selector("#legend b")
        with page.expect_response(re.compile("colour=rlnTomoName")):
            held[0].continue_()
        page.wait_for_timeout(200)
        assert "TS_01" not in page.inner_text("#legend")


def test_pictures_keep_no_data_sets(project):
    data = Data((), "", read_dataset(project / JOB))
    known = weakref.ref(data)
    assert picture(data, 0, 0, Look(0, 0.5))
    del data
    gc.collect()
    assert known() is None


def test_images_and_tables_that_are_replaced_are_shown_anew(project, tmp_path):
    copy = copied(project, tmp_path)
    images, table = copy / JOB / "TS_02.mrcs", copy / JOB / "tilt_series" / "TS_02.star"
    with opened(copy) as client:
        before, versions = client.get(f"/tilt/{JOB}?series=1").content, [version_of(client)]
        pixels = np.frombuffer(images.read_bytes()[1024:], "<f4")
        (tmp_path / "new.mrcs").write_bytes(images.read_bytes()[:1024] + (-pixels).tobytes())
        (tmp_path / "new.mrcs").rename(images)
        versions.append(version_of(client))
        after = client.get(f"/tilt/{JOB}?series=1").content
        os.utime(table, ns=(1, 1))
        versions.append(version_of(client))
    assert len(set(versions)) == 3
    old, new = (np.asarray(Image.open(io.BytesIO(one)), dtype=float).ravel() for one in (before, after))
    assert np.corrcoef(old, new)[0, 1] < -0.9


def version_of(client: TestClient) -> str:
    """What addresses of pictures say of the data."""
    found = re.search(r'data-version="([^"]+)"', client.get(f"/series/{JOB}?series=1").text)
    assert found is not None
    return found[1]


def test_images_that_are_gone_are_told_of(project, dataset, tmp_path):
    """Circles stay where they would be as long as the size of the images is known."""
    copy = tmp_path / "copy"
    shutil.copytree(project, copy)
    (copy / JOB / "TS_02.mrcs").unlink()
    for star in (copy / JOB).rglob("*.star"):
        star.write_text(star.read_text().replace(str(project), str(copy)))
    with opened(copy) as client:
        assert client.get(f"/tilt/{JOB}?series=1").status_code == 404
        assert "not at hand" in client.get(f"/series/{JOB}?series=1").text
        assert "not at hand" in client.get(f"/montage/{JOB}?series=1").text
        assert client.get(f"/tilt/{JOB}?series=0").status_code == 200


REFUSED = [
    "series=2", "series=x", "series=-2", "series=--1", "series=0.5", "series=١", "tilt=9", "tilt=-1", "tilt=1e1", "lowpass=-1",
    pytest.param("series=" + 5000 * "9", id="series=999..."), "lowpass=nan", "lowpass=inf",
    "lowpass=1e9", "percent=50", "percent=%3Cscript%3Ealert", "diameter=0", "diameter=-5", "diameter=x",
]  # fmt: skip


@pytest.mark.parametrize("query", REFUSED)
def test_malformed_questions_about_images_are_refused(client, query):
    name = query.split("=")[0]
    pages = {"lowpass": ("tilt", "series"), "percent": ("tilt", "series"), "diameter": ("places", "series", "montage", "tomogram")}
    for page in pages.get(name, ("tilt", "places", "series")):
        answer = client.get(f"/{page}/{JOB}?{query}")
        assert answer.status_code == 400 and "<script>alert" not in answer.text, page


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("montage/{job}?sort=rlnNothing", 400),
        ("montage/{job}?map=", 400),
        ("montage/{job}?map=/etc/passwd", 400),
        ("montage/{job}?map=" + quote("External/job001/../../secret.mrc"), 400),
        ("montage/{job}?page=99", 404),
        ("montage/{job}?page=-1", 400),
        ("montage/{job}?exposure=9", 400),
        ("montage/{job}?recorded=2", 400),
        ("montage/{job}?lowpass=0", 400),
        ("placed/{job}?colour=rlnNothing", 400),
        ("tomogram/{job}?colour=rlnNothing", 400),
        ("placed/{job}?series=7", 400),
        ("series/External/job009", 404),
        ("tilt/%2e%2e/%2e%2e/etc/passwd", 404),
        ("places/External", 404),
    ],
)
def test_what_is_not_there_is_refused(client, address, code):
    assert client.get("/" + address.format(job=JOB)).status_code == code


def test_sets_that_cannot_be_read_are_told_of(project, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(project, copy)
    (copy / JOB / "optimisation_set.star").write_text("nonsense")
    with opened(copy) as client:
        answer = client.get(f"/series/{JOB}")
        assert answer.status_code == 400 and "optimisation_set.star" in answer.text
    (copy / JOB / "optimisation_set.star").unlink()
    with opened(copy) as client:
        assert client.get(f"/series/{JOB}").status_code == 400


def test_real_stacks_are_shown_beside_their_average(shared, tmp_path, monkeypatch):
    """Forty ribosomes whose images are stored per particle, multiplied by the CTF, so that there is no other way to show them."""
    folder = shared / "data" / "real" / "ribosome_70s_12A"
    monkeypatch.chdir(tmp_path)
    assert main(["import", "--i", str(folder / "warptools_test_4-tomos_10-ptcls_box-32_angpix-12_optimisation_set.star")]) == 0
    assert main(["reconstruct", "--i", "Import/job001", "--particle-diameter", "280"]) == 0
    monkeypatch.chdir("/")
    with opened(tmp_path) as client:
        page = client.get("/montage/Reconstruct/job002?page=1&exposure=3").text
        assert shown(page, "particle") == list(range(25, 41)) and 0.1 < np.nanmean(shown(page, "correlation")) < 0.9
        assert ">as recorded<" not in page
        assert client.get("/montage/Reconstruct/job002?recorded=1").status_code == 400
        assert "no particle has a place" in client.get("/series/Reconstruct/job002").text


def test_particles_of_classes_are_beside_the_map_of_their_own(project, tmp_path):
    """Two maps, of which the second is empty, and every third particle said to be of its class."""
    copy = copied(project, tmp_path)
    folder = copy / JOB
    blank = read_map(folder / "truth_class1.mrc")
    write_map(folder / "run_class001.mrc", blank)
    write_map(folder / "run_class002.mrc", replace(blank, data=np.zeros_like(blank.data)))
    dataset = read_dataset(folder, root=copy)
    numbers = 1 + (np.arange(30) % 3 == 0)
    write_particles(folder / "particles.star", dataset.with_particles(replace(dataset.particles, class_number=numbers)))
    pipeline = (copy / "default_pipeline.star").read_text()
    nodes = "\n".join(f"{JOB}/run_class00{number}.mrc DensityMap.mrc 1" for number in (1, 2))
    edges = "\n".join(f"{JOB}/ {JOB}/run_class00{number}.mrc" for number in (1, 2))
    node, edge = (re.search(rf"^.*{one}.*$", pipeline, re.MULTILINE)[0] for one in ("DensityMap", rf"{JOB}/ +{JOB}/truth"))
    (copy / "default_pipeline.star").write_text(pipeline.replace(node, f"{node}\n{nodes}").replace(edge, f"{edge}\n{edges}"))
    with opened(copy) as client:
        page = client.get(f"/montage/{JOB}").text
        own = client.get(f"/montage/{JOB}?map={quote(OWN_CLASS)}").text
        one = client.get(f"/montage/{JOB}?map={JOB}/run_class001.mrc").text
    told = {name: np.array(shown(text, "correlation")) for name, text in (("default", page), ("own", own), ("one", one))}
    first = numbers[:24] == 1
    assert np.isnan(told["own"][~first]).all() and not np.isnan(told["one"]).any()
    np.testing.assert_allclose(told["own"][first], told["one"][first], atol=1e-6)
    np.testing.assert_array_equal(told["default"], told["own"])


def test_maps_of_classes_are_not_offered_where_there_are_none(client):
    assert OWN_CLASS not in client.get(f"/montage/{JOB}").text.replace("&#39;", "'")
    assert client.get(f"/montage/{JOB}?map={quote(OWN_CLASS)}").status_code == 400


def test_jobs_of_relion_are_looked_at_like_ours(project, tmp_path):
    """The same files as a job of RELION's: no record, a pipeline with its labels, and the diameter in its job.star."""
    copy = copied(project, tmp_path)
    (copy / JOB / "job.toml").unlink()
    columns = "data_joboptions_values\n\nloop_\n_rlnJobOptionVariable #1\n_rlnJobOptionValue #2\n"
    (copy / JOB / "job.star").write_text(f"{columns}particle_diameter 310\n")
    pipeline = copy / "default_pipeline.star"
    pipeline.write_text(re.sub(r"DensityMap\.mrc(?=\s)", "DensityMap.mrc.relion.refine3d", pipeline.read_text()))
    with opened(copy) as client:
        page = client.get(f"/montage/{JOB}").text
        assert 'value="310"' in page and "truth_class1.mrc" in page and len(shown(page, "correlation")) == 24
        assert client.get(f"/series/{JOB}").status_code == 200

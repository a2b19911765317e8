"""Iterations and jobs of RELION, from the files that each leaves."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from tomobayes.formats.mrc import write_map
from tomobayes.formats.relion_iteration import read_changes, read_iteration_model
from tomobayes.formats.relion_model import ClassModel, RefinementModel, write_model
from tomobayes.formats.star import Table, write_star
from tomobayes.model import BadInput, Map
from tomobayes.project import find_job
from tomobayes.web.iterations import iterations_of, sections_of
from tomobayes.web.relion_jobs import relion_report

SHELLS = np.ones(9)


def model(resolution: float, *shares: float, fsc: bool = True) -> RefinementModel:
    curve = np.exp(-np.arange(9) / 4) if fsc else None
    classes = [ClassModel(f"class{at}.mrc", resolution, SHELLS, SHELLS, SHELLS, curve, share) for at, share in enumerate(shares or (1.0,))]
    return RefinementModel(16, 4.0, 16, classes)


@pytest.fixture
def folder(project: Path) -> Path:
    """Three iterations of a job, with the maps of the last two."""
    for number, resolution in enumerate((40.0, 25.0, 18.0), start=1):
        write_model(project / f"MaskCreate/job001/run_it{number:03d}_model.star", model(resolution))
    for number in (2, 3):
        for half in (1, 2):
            data = np.random.default_rng(number).normal(size=(16, 16, 16)).astype(np.float32)
            write_map(project / f"MaskCreate/job001/run_it{number:03d}_half{half}_class001.mrc", Map(data, 4.0))
    return project / "MaskCreate" / "job001"


def test_model_files_are_read_back(tmp_path: Path):
    write_model(tmp_path / "model.star", model(12.5, 0.25, 0.75))
    read = read_iteration_model(tmp_path / "model.star")
    assert (read.box, read.pixel_size_angstrom, read.resolution_angstrom, read.distribution) == (16, 4.0, 12.5, (0.25, 0.75))
    assert len(read.fsc) == 2 and np.allclose(read.fsc[1], np.exp(-np.arange(9) / 4), atol=1e-5)
    write_model(tmp_path / "model.star", model(12.5, fsc=False))
    assert read_iteration_model(tmp_path / "model.star").fsc == ()
    (tmp_path / "model.star").write_text("data_model_general\n\n_rlnPixelSize 4\n")
    with pytest.raises(BadInput, match=r"model\.star"):
        read_iteration_model(tmp_path / "model.star")


def test_iterations_of_a_job_with_their_maps(folder: Path):
    found = iterations_of(folder)
    assert [(one.number, len(one.maps)) for one in found] == [(1, 0), (2, 2), (3, 2)]
    over, maps = sections_of(found, found[-1])
    fsc, resolution = over.items
    assert [series.label for series in fsc.series] == ["Iteration 1", "Iteration 2", "Iteration 3"]
    assert list(resolution.series[0].y) == [40.0, 25.0, 18.0]
    assert len(maps.items) == 4 and "iteration 3" in maps.title


def test_the_view_shows_the_iteration_that_is_asked_for(client: TestClient, folder: Path):
    page = client.get("/job/MaskCreate/job001?tab=iterations").text
    assert "Maps of iteration 3" in page and "FSC of every iteration" in page
    live = re.search(r'hx-get="(/view/[^"]+)"', client.get("/job/MaskCreate/job001?tab=iterations&iteration=2").text)
    assert live is not None and "iteration=2" in live[1]
    assert "Maps of iteration 2" in client.get(live[1].replace("&amp;", "&").split("&seen")[0]).text
    for iteration, code in (("x", 400), ("-3", 400), ("99", 404)):
        assert client.get(f"/job/MaskCreate/job001?tab=iterations&iteration={iteration}").status_code == code
    assert client.get("/job/MaskCreate/job002?tab=iterations").status_code == 404


def test_classes_over_iterations(tmp_path: Path):
    for number, share in enumerate((0.5, 0.6, 0.7)):
        write_model(tmp_path / f"run_it{number:03d}_model.star", model(20, share, 1 - share, fsc=False))
    found = iterations_of(tmp_path)
    occupancy = sections_of(found, found[0])[0].items[-1]
    assert [list(np.round(series.y)) for series in occupancy.series] == [[50, 60, 70], [50, 40, 30]]
    assert occupancy.series[0].x == [0.0, 1.0, 2.0]


def test_what_relions_files_tell(client: TestClient, project: Path):
    folder = project / "Refine3D" / "job005"
    folder.mkdir(parents=True)
    write_model(folder / "run_model.star", model(7.5))
    (folder / "job.star").write_text("data_joboptions_values\n\nloop_\n_rlnJobOptionVariable #1\n_rlnJobOptionValue #2\nsym_name C6\n")
    star = project / "default_pipeline.star"
    star.write_text(
        star.read_text().replace("MaskCreate/job001/ None", "Refine3D/job005/ None relion.refine3d Succeeded\nMaskCreate/job001/ None", 1)
    )
    job = find_job(project, "Refine3D/job005")
    assert job is not None
    report = relion_report(job)
    assert report is not None and report.facts[0].value == "7.5 Å"
    assert "7.5 Å" in client.get("/").text
    assert "Fourier shell correlation" in client.get("/job/Refine3D/job005").text
    assert "C6" in client.get("/job/Refine3D/job005?tab=settings").text
    (folder / "run_model.star").write_text("nonsense")
    assert client.get("/job/Refine3D/job005").status_code == 200


def test_changes_are_those_that_relion_tells(tmp_path: Path):
    for number, angle in ((0, 999.0), (1, 20.0), (2, 5.0)):
        write_model(tmp_path / f"run_it{number:03d}_half1_model.star", model(20))
        general = {"rlnChangesOptimalOrientations": angle, "rlnChangesOptimalOffsets": angle / 4, "rlnChangesOptimalClasses": 0}
        cells = {label: np.array([str(value)]) for label, value in general.items()}
        write_star(tmp_path / f"run_it{number:03d}_optimiser.star", [Table("optimiser_general", cells, is_list=True)])
    found = iterations_of(tmp_path)
    angles, offsets = sections_of(found, found[-1])[0].items[-2:]
    assert (angles.series[0].x, angles.series[0].y) == ([1.0, 2.0], [20.0, 5.0])  # nothing comes before the first
    assert list(offsets.series[0].y) == [5.0, 1.25]
    (tmp_path / "run_it002_optimiser.star").write_text("data_optimiser_general\n\n_rlnNothing 1\n")
    with pytest.raises(BadInput, match="no optimiser file"):
        read_changes(tmp_path / "run_it002_optimiser.star")


def test_particles_of_an_iteration(folder: Path):
    """Directions per class, posterior and offsets, from the table that the iteration left."""
    n = 40
    random = np.random.default_rng(2)
    labels = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi", "rlnOriginXAngst", "rlnOriginYAngst", "rlnOriginZAngst")
    cells = {label: random.normal(size=n).astype(str) for label in (*labels, "rlnMaxValueProbDistribution")}
    cells["rlnClassNumber"] = np.array(["1", "2"] * (n // 2))
    write_star(folder / "run_it003_data.star", [Table("particles", cells)])
    found = iterations_of(folder)
    particles = sections_of(found, found[-1])[-1]
    assert particles.title == "Particles of iteration 3"
    assert [item.title for item in particles.items] == [
        "Viewing directions, class 1", "Viewing directions, class 2", "Offsets", "Posterior",
    ]  # fmt: skip
    offsets = np.linalg.norm([cells[label].astype(float) for label in labels[3:]], axis=0)
    assert sum(particles.items[2].series[0].y) == n and particles.items[2].x.high == pytest.approx(offsets.max())
    assert [int(item.counts.sum()) for item in particles.items[:2]] == [n // 2, n // 2]

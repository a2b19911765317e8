"""``export``: what a user gets, and what he is told that he does not get."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import starfile

from tomobayes.cli import main
from tomobayes.formats.euler import matrix_from_euler
from tomobayes.formats.mrc import read_map
from tomobayes.formats.relion import read_dataset
from tomobayes.imaging.crops import Crop
from tomobayes.imaging.subtomograms import plain_stack
from tomobayes.imaging.views import views_of
from tomobayes.jobs.export_losses import losses
from tomobayes.maps.fsc import fsc
from tomobayes.model import Deformation

TRUE = ["export", "--i", "sim", "--p", "sim/particles_truth.star"]


def findings(folder: str) -> str:
    return " ".join(one["text"] for one in json.loads((Path(folder) / "report.json").read_text())["findings"])


@pytest.mark.parametrize(
    ("to", "files"),
    [
        ("relion5", ["optimisation_set.star", "particles.star", "tomograms.star"]),
        ("relion4", ["optimisation_set.star", "particles.star", "tomograms.star"]),
        ("warp", ["warp_tiltseries.settings", "warp_tiltseries/TS_01.xml", "tomostar/TS_01.tomostar", "particles.star"]),
        ("dynamo", ["particles.tbl", "particles.doc", "particles.vll"]),
        ("stopgap", ["motivelist.star", "wedgelist.star", "tomograms.txt"]),
        ("artiax", ["TS_01.star", "TS_02.star"]),
        ("chimerax", ["TS_01.bild", "TS_01.cxc"]),
        ("table", ["particles.csv"]),
    ],
)
def test_every_dialect_is_written(to, files, tiny):
    assert main([*TRUE, "--to", to, "--o", "out"]) == 0
    assert all((Path("out") / name).stat().st_size for name in files)
    lossless = to in ("relion5", "relion4", "warp")
    assert ("Nothing that is known" in findings("out")) == lossless


def test_flat_poses_need_no_origins(tiny):
    assert main([*TRUE, "--to", "relion5", "--flat", "--o", "out"]) == 0
    before, after = read_dataset("sim", particles="sim/particles_truth.star").particles, read_dataset("out").particles
    np.testing.assert_allclose(after.position_angstrom, before.centre_angstrom, atol=1e-5)
    np.testing.assert_allclose(after.rotation_particle, before.rotation, atol=1e-6)


def test_what_is_lost_is_told_with_its_size(tiny):
    """Two tilts' motion of 3 and 4 Å, an affine stretch of 1 %, an aberration, half-sets and one prior."""
    dataset = read_dataset("sim", particles="sim/particles_truth.star")
    particles, series = dataset.particles, dataset.tilt_series
    motion = [np.zeros((series[0].n_tilts, 3)) for _ in particles.name]
    motion[0][:2] = [3, 0, 0], [0, 0, 4]
    stretched = replace(series[0], deformation=Deformation("affine", np.array([0.01, 0, 0])))
    prior = np.where(np.arange(len(particles)) == 0, 90.0, np.nan)
    full = replace(
        dataset,
        tilt_series=(stretched, *series[1:]),
        optics=(replace(dataset.optics[0], odd_zernike=(1.0,), magnification=((1.02, 0.0), (0.0, 1.0))), *dataset.optics[1:]),
        particles=replace(particles, half=np.ones(len(particles), dtype=np.int64), tilt_prior_degrees=prior),
        motion_angstrom=tuple(motion),
    )
    told = " ".join(losses(full, "dynamo", flat=True))
    assert "up to 4.00 Å" in told and "magnification of up to 2 % is lost: 2 Å at 100 Å" in told and "Prior angles of 1 particles" in told
    assert "Half-sets" in told and "defocus" in told and "dose" in told and "Aberrations" in told
    reach = 0.01 * 16 * 48
    assert 0 < float(re.search(r"at the particles, up to ([\d.]+) Å", told)[1]) < reach
    assert losses(full, "relion5", flat=False) == [] and "Prior" in " ".join(losses(full, "relion5", flat=True))


def test_tomodrgn_gets_what_warptools_writes(tiny):
    assert main([*TRUE, "--to", "tomodrgn", "--box", "36", "--crop", "24", "--o", "out"]) == 0
    tables = starfile.read("out/particles.star")
    assert int(tables["general"]["rlnTomoSubTomosAre2DStacks"]) == 1
    fixture = {
        "rlnTomoName",
        "rlnCoordinateX",
        "rlnAngleRot",
        "rlnTomoParticleName",
        "rlnOpticsGroup",
        "rlnImageName",
        "rlnTomoVisibleFrames",
    }
    assert fixture <= set(tables["particles"]) and not any("Subtomogram" in label for label in tables["particles"])
    tilts = starfile.read("out/tomograms.star")["TS_01"]
    assert {"rlnTomoProjX", "rlnTomoProjW", "rlnDefocusU", "rlnCtfScalefactor", "rlnMicrographPreExposure"} <= set(tilts)
    for name, source in (("direct", "sim"), ("stored", "out")):
        words = ["reconstruct", "--i", source, "--particle-diameter", "250", "--j", "1", "--o", name]
        more = ["--p", "sim/particles_truth.star", "--box", "24"] if name == "direct" else []
        assert main([*words, *more]) == 0
    assert fsc(read_map("direct/merged.mrc").data, read_map("stored/merged.mrc").data)[2:9].min() > 0.8


def test_cryodrgn_gets_a_pose_and_a_ctf_with_every_image(tiny):
    assert main([*TRUE, "--to", "cryodrgn", "--box", "24", "--o", "out"]) == 0
    table = starfile.read("out/particles.star")
    dataset = read_dataset("sim", particles="sim/particles_truth.star")
    assert table["rlnGroupName"].nunique() == len(dataset.particles)
    first = table[table["rlnGroupName"] == dataset.particles.name[0]].reset_index()
    series = dataset.tilt_series[0]
    order = np.argsort(series.dose, kind="stable")
    turns = matrix_from_euler(first[["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]].to_numpy())
    np.testing.assert_allclose(turns, series.rotation[order] @ dataset.particles.rotation[0], atol=1e-5)
    per_tilt = float(np.diff(series.dose[order])[0])
    np.testing.assert_allclose(first["rlnCtfBfactor"], -4 * (series.dose[order] + per_tilt), atol=1e-3)
    section, file = first["rlnImageName"][0].split("@")
    with mrcfile.open(file) as stack:
        assert stack.data.shape[0] == len(first)
        image = stack.data[int(section) - 1]
    assert image.shape == (24, 24) and image[8:16, 8:16].mean() > image.mean()


def test_rows_for_cryodrgn_name_the_section_that_holds_their_tilt(tiny):
    """Late images are left out, so that sections are not tilts."""
    assert main([*TRUE, "--to", "cryodrgn", "--box", "24", "--max-dose", "14", "--o", "out"]) == 0
    table = starfile.read("out/particles.star")
    dataset = read_dataset("sim", particles="sim/particles_truth.star")
    series, one = dataset.tilt_series[0], table[table["rlnGroupName"] == dataset.particles.name[0]]
    views, crop = views_of(dataset, np.array([0]), half_width_px=12.0), Crop(24, 24, 24)
    assert series.images is not None and 2 < len(one) < series.n_tilts
    every = plain_stack(series.images, views, 0, crop)[np.cumsum(views.visible[0].numpy()) - 1]
    for name, micrograph in zip(one["rlnImageName"], one["rlnMicrographName"], strict=True):
        section, file = name.split("@")
        with mrcfile.open(file) as stack:
            np.testing.assert_allclose(stack.data[int(section) - 1], every[int(micrograph.rsplit("_", 1)[1])], atol=1e-5)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--to", "dynamo", "--flat"], "--flat says nothing with --to dynamo"),
        (["--to", "cryodrgn"], "give the edge of their box with --box"),
        (["--to", "table", "--box", "24"], "--box says nothing with --to table"),
        (["--to", "tomodrgn", "--box", "24", "--crop", "32"], "--crop must be at most --box"),
    ],
)
def test_options_of_another_dialect_are_refused(words, said, tiny, capsys):
    assert main([*TRUE, *words, "--o", "out"]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not Path("out").exists()

"""Projects of Warp through the commands: imported with all that is in them, and real sets without a warning that is not true."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tomobayes.formats.relion import read_dataset
from tomobayes.formats.warp import read_warp
from tomobayes.jobs.describe import describe
from tomobayes.jobs.doubts import doubts
from tomobayes.jobs.parameters import ImportProject
from tomobayes.jobs.verbs import import_project
from warp_example import refined_series, write_project

EXPORTED = "data/real/ribosome_70s_12A/warptools_test_4-tomos_10-ptcls_box-32_angpix-12_optimisation_set.star"


def test_exported_ribosomes_raise_no_doubts(shared: Path) -> None:
    """Only what was made of WarpTools' hand and coordinates is told."""
    dataset = read_dataset(shared / EXPORTED)
    assert doubts(dataset) == ()
    assert [finding.text for finding in describe(dataset).findings if finding.kind != "note"] == []
    assert any("exported by WarpTools" in finding.text for finding in describe(dataset).findings)


def test_import_of_a_refined_project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Deformation and motion reach the files; what they cannot hold is printed."""
    folder = write_project(tmp_path, [refined_series("TS_1", 1), refined_series("TS_2", 2)])
    table = str(tmp_path / "ribosome_particles.star")
    job = import_project(ImportProject(i=folder, particles=(table,), o=tmp_path / "job"))
    said = capsys.readouterr()
    assert "Orientations that change from tilt to tilt became one per particle" in said.out + said.err
    found = read_dataset(job, require_images=False)
    direct = read_warp(folder, table).dataset
    assert found.motion_angstrom is not None
    assert direct.motion_angstrom is not None
    assert np.allclose(np.array(found.motion_angstrom), np.array(direct.motion_angstrom), atol=1e-5)
    for ours, theirs in zip(found.tilt_series, direct.tilt_series, strict=True):
        assert ours.deformation is not None
        assert theirs.deformation is not None
        assert np.allclose(ours.deformation.coefficients, theirs.deformation.coefficients, atol=1e-6)
        assert np.allclose(ours.shift_angstrom, theirs.shift_angstrom, atol=1e-5)

"""Writing RELION-5 projects: nothing a user had is lost, and what changed is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from tomobayes.formats.euler import matrix_from_euler
from tomobayes.formats.mrc import write_stack
from tomobayes.formats.mrc_header import read_header
from tomobayes.formats.relion import ExtractedImages, OptimisationSet, read_dataset, read_optimisation_set, write_dataset, write_particles
from tomobayes.formats.star import read_star, write_star
from tomobayes.formats.stored_particles import write_pseudo_subtomogram
from tomobayes.model import Dataset, Particles, PseudoSubtomogram, TiltSeries

REWRITTEN = {"rlnTomoTiltSeriesStarFile"}
METADATA = {"require_images": False, "trajectories": "none"}
SETS = [
    ("simulated/ribosome/optimisation_set.star", {}),
    ("simulated/ribosome/optimisation_set_picked.star", {}),
    ("simulated/ribosome_errors/relion/align", {}),
    ("simulated/ribosome/relion/three_b2", {}),
    ("simulated/ribosome/relion/three_b1_stack", {}),
    ("empiar10164/Polish/job070", METADATA),
    ("empiar10164/Refine3D/job074", METADATA),
    ("empiar10164/CtfRefine/job067", METADATA | {"particles": "empiar10164/Refine3D/job074/run_data.star"}),
]


def same(first: object, second: object, tolerance: float = 0.0) -> None:
    """All numeric and text fields of two particle sets or tilt series are equal."""
    for one in fields(first):  # type: ignore[arg-type]
        a, b = getattr(first, one.name), getattr(second, one.name)
        if isinstance(a, np.ndarray) and a.dtype.kind == "f":
            np.testing.assert_allclose(a, b, atol=tolerance, rtol=0, err_msg=one.name)
        elif isinstance(a, np.ndarray | str | int | float):
            np.testing.assert_array_equal(a, b, err_msg=one.name)


def verbatim(before: Mapping[str, object], after: Mapping[str, object]) -> None:
    """Every column still there, in the same order, with the same text."""
    assert [label for label in after if label in before] == list(before)
    for label in before:
        if label not in REWRITTEN:
            np.testing.assert_array_equal(before[label], after[label], err_msg=label)


@pytest.mark.parametrize(("name", "options"), SETS)
def test_real_projects_go_round_without_loss(shared: Path, tmp_path: Path, name: str, options: dict[str, object]) -> None:
    options = dict(options)
    if "particles" in options:
        options["particles"] = shared / "data" / str(options["particles"])
    before = read_dataset(shared / "data" / name, **options)  # type: ignore[arg-type]
    after = read_dataset(write_dataset(tmp_path, before), require_images="require_images" not in options)
    same(before.particles, after.particles)
    verbatim(before.particles.columns, after.particles.columns)
    for ours, theirs in zip(before.optics, after.optics, strict=True):
        verbatim(ours.columns, theirs.columns)
        assert replace(ours, columns={}) == replace(theirs, columns={})
    for first, second in zip(before.tilt_series, after.tilt_series, strict=True):
        same(first, second)
        verbatim(first.columns, second.columns)
        verbatim(first.globals_, second.globals_)
    for first, second in zip(before.motion_angstrom or (), after.motion_angstrom or (), strict=True):
        np.testing.assert_array_equal(first, second)


def test_made_data_go_round(project: Path, dataset: Dataset) -> None:
    found = read_dataset(project)
    same(dataset.particles, found.particles, 1e-6)
    for first, second in zip(dataset.tilt_series, found.tilt_series, strict=True):
        same(first, second, 1e-6)
        assert first.images is not None and second.images is not None
        np.testing.assert_array_equal(first.images.read(2), second.images.read(2))
    assert [replace(group, columns={}) for group in found.optics] == list(dataset.optics)
    assert dataset.motion_angstrom is not None and found.motion_angstrom is not None
    for first, second in zip(dataset.motion_angstrom, found.motion_angstrom, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-6)


def test_unknown_columns_and_odd_text_stay(project: Path) -> None:
    path = project / "particles.star"
    lines = path.read_text().splitlines()
    labels = [i for i, line in enumerate(lines) if line.startswith("_rln")]
    rows = [i for i, line in enumerate(lines) if i > labels[-1] and line.strip()]
    for k, i in enumerate(rows):
        lines[i] += f' "odd {k}" 1e-3'
    lines[labels[-1] + 1 : labels[-1] + 1] = ["_myColumn", "_rlnNormCorrection"]
    path.write_text("\n".join(lines).replace("90.000000", "9.0E1") + "\n")
    before = read_dataset(project)
    write_particles(path, before)
    columns = read_star(path)["particles"].columns
    assert columns["myColumn"].tolist() == [f"odd {k}" for k in range(5)]
    assert columns["rlnNormCorrection"].tolist() == ["1e-3"] * 5
    assert columns["rlnAngleTiltPrior"][0] == "9.0E1"


def rewritten(before: Dataset, after: Particles, path: Path) -> dict[str, list[int]]:
    """Which rows of which columns differ in the file, after particles changed."""
    write_particles(path, before.with_particles(after))
    found = read_star(path)["particles"].columns
    old = before.particles.columns
    changed = {label: np.flatnonzero(found[label] != old[label]).tolist() for label in old}
    return {label: rows for label, rows in changed.items() if rows}


def set_text(path: Path, label: str, form: str) -> None:
    """Write the numbers of one column in another form."""
    tables = read_star(path)
    columns = dict(tables["particles"].columns)
    columns[label] = np.array([form.format(float(cell)) for cell in columns[label]])
    tables["particles"] = replace(tables["particles"], columns=columns)
    write_star(path, tables.values())


def test_only_cells_that_mean_something_else_are_rewritten(project: Path) -> None:
    set_text(project / "particles.star", "rlnOriginZAngst", "{:.9e}")
    before = read_dataset(project)
    particles = before.particles
    rotation = particles.rotation_particle.copy()
    rotation[2] = matrix_from_euler(np.array([10.0, 20.0, 30.0]))
    origin = particles.origin_angstrom.copy()
    origin[1, 2] += 0.25
    changed = rewritten(before, replace(particles, rotation_particle=rotation, origin_angstrom=origin), project / "p.star")
    assert changed == {"rlnAngleRot": [2], "rlnAngleTilt": [2], "rlnAnglePsi": [2], "rlnOriginZAngst": [1]}
    cells = read_star(project / "p.star")["particles"].columns
    assert [cells[f"rlnAngle{name}"][2] for name in ("Rot", "Tilt", "Psi")] == ["10.000000", "20.000000", "30.000000"]


def test_equal_rotations_with_other_angles_keep_their_text(project: Path) -> None:
    """(rot, tilt, psi) and (rot + 180, -tilt, psi + 180) are one rotation: the text stays."""
    path = project / "particles.star"
    before = read_dataset(project)
    angles = [before.particles.columns[f"rlnAngle{name}"].astype(float) for name in ("Rot", "Tilt", "Psi")]
    columns = dict(before.particles.columns)
    for name, values in zip(("Rot", "Tilt", "Psi"), (angles[0] + 180, -angles[1], angles[2] + 180), strict=True):
        columns[f"rlnAngle{name}"] = np.array([f"{value:.9f}" for value in values])
    write_particles(path, before.with_particles(replace(before.particles, columns=columns)))
    assert (read_star(path)["particles"].columns["rlnAngleTilt"] == columns["rlnAngleTilt"]).all()


def test_columns_are_added_when_they_begin_to_mean_something(shared: Path, tmp_path: Path) -> None:
    before = read_dataset(shared / "data/simulated/ribosome/optimisation_set_picked.star")
    rotation = np.broadcast_to(matrix_from_euler(np.array([10.0, 20.0, 30.0])), (128, 3, 3))
    half = 1 + np.arange(128) % 2
    result = {"rlnMaxValueProbDistribution": np.linspace(0, 1, 128), "rlnNrOfSignificantSamples": np.arange(128)}
    changed = before.with_particles(replace(before.particles, rotation_particle=rotation, half=half))
    write_particles(tmp_path / "p.star", changed, extra=result)
    cells = read_star(tmp_path / "p.star")["particles"].columns
    assert set(cells["rlnAngleTilt"]) == {"20.000000"} and cells["rlnRandomSubset"].tolist()[:3] == ["1", "2", "1"]
    assert "rlnTomoSubtomogramRot" not in cells and "rlnAngleTiltPrior" not in cells
    assert cells["rlnNrOfSignificantSamples"][127] == "127" and cells["rlnMaxValueProbDistribution"][127] == "1.000000"


def test_relion4_becomes_relion5(shared: Path, tmp_path: Path) -> None:
    name = "data/real/ribosome_70s_12A/warptools_test_4-tomos_10-ptcls_box-32_angpix-12_optimisation_set.star"
    before = read_dataset(shared / name)
    after = read_dataset(write_dataset(tmp_path, before))
    same(before.particles, after.particles, 1e-6)
    for first, second in zip(before.tilt_series, after.tilt_series, strict=True):
        same(replace(first, image_size=None), replace(second, image_size=None), 3e-8)
        assert "rlnTomoProjX" not in second.columns and "rlnTomoYTilt" in second.columns
    assert "rlnCoordinateX" not in after.particles.columns
    assert after.particles.stacks is not None
    np.testing.assert_array_equal(after.particles.stacks.read(3), before.particles.stacks.read(3))  # type: ignore[union-attr]
    general = read_star(tmp_path / "particles.star")["general"]
    assert general.is_list and general.columns["rlnTomoSubTomosAre2DStacks"][0] == "1"


def with_stacks(project: Path, dataset: Dataset, binning: float = 2.0) -> ExtractedImages:
    """2D stacks of all particles, written to files."""
    visible = [np.array([True, False, True])] * len(dataset.particles)
    names = [f"Subtomograms/{name}_stack2d.mrcs" for name in dataset.particles.name]
    for i, name in enumerate(names):
        write_stack(project / name, np.random.default_rng(i).normal(size=(2, 4, 4)), 2.5 * binning)
    return ExtractedImages("stacks", 4, binning, names, visible=visible)


def test_extracted_stacks_are_read_again(project: Path) -> None:
    before = read_dataset(project)
    write_dataset(project / "Extract", before, extracted=with_stacks(project, before))
    found = read_dataset(project / "Extract")
    stacks = found.particles.stacks
    assert stacks is not None and stacks.box == 4 and stacks.pixel_size_angstrom == 5 and stacks.premultiplied
    np.testing.assert_allclose(stacks.read(1), np.random.default_rng(1).normal(size=(2, 4, 4)), rtol=1e-6)
    cells = found.optics[1].columns
    assert (cells["rlnImageSize"], cells["rlnImageDimensionality"], cells["rlnTomoSubtomogramBinning"]) == ("4", "2", "2.000000")


def test_extracted_subtomograms_take_the_place_of_stacks(project: Path) -> None:
    before = read_dataset(project)
    write_dataset(project, before, extracted=with_stacks(project, before))
    data = [f"Subtomograms/{name}_data.mrc" for name in before.particles.name]
    weights = [f"Subtomograms/{name}_weights.mrc" for name in before.particles.name]
    ones = PseudoSubtomogram(np.ones((4, 4, 4)), np.ones((4, 4, 3)), 2 * np.ones((4, 4, 3)))
    for names in zip(data, weights, strict=True):
        write_pseudo_subtomogram(project / names[0], project / names[1], ones, 2.5)
    extracted = ExtractedImages("subtomograms", 4, 1.0, data, weights)
    found = read_dataset(write_dataset(project, read_dataset(project), extracted=extracted)).particles
    assert found.stacks is None and found.subtomograms is not None
    assert found.subtomograms.read(4).multiplicity.max() == 2
    assert "rlnTomoVisibleFrames" not in found.columns
    assert read_header(project / weights[0]).shape == (8, 4, 3)


def test_parts_that_are_not_written_are_named_where_they_were(project: Path) -> None:
    members = read_optimisation_set(project)
    path = write_dataset(project / "Refine3D/job001", read_dataset(project), what=["particles"], members=members)
    found = read_optimisation_set(path)
    assert found.tomograms == project.resolve() / "tomograms.star" and found.trajectories == project.resolve() / "motion.star"
    assert found.particles == project.resolve() / "Refine3D/job001/particles.star"
    assert read_star(path)[""].columns["rlnTomoParticlesFile"][0] == "Refine3D/job001/particles.star"
    with pytest.raises(ValueError, match="needs particles and tomograms"):
        write_dataset(project / "x", read_dataset(project), what=["particles"], members=OptimisationSet())


def test_a_project_written_for_its_own_folder_can_be_moved(project: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    write_dataset(project, dataset, root=project)
    moved = project.with_name("moved")
    project.rename(moved)
    monkeypatch.chdir("/")
    assert read_dataset(moved).tilt_series[1].images is not None


def test_rows_must_belong_to_the_columns(project: Path) -> None:
    before = read_dataset(project)
    arrays = {one.name: getattr(before.particles, one.name) for one in fields(Particles)}
    fewer = replace(before.particles, **{name: value[:2] for name, value in arrays.items() if isinstance(value, np.ndarray)})
    with pytest.raises(ValueError, match="select rows of the columns"):
        write_particles(project / "p.star", before.with_particles(fewer))


def test_tilt_series_changes_are_written(project: Path) -> None:
    before = read_dataset(project)
    series = before.tilt_series[0]
    changed: TiltSeries = replace(series, defocus_u_angstrom=series.defocus_u_angstrom + np.array([0, 100.0, 0]), scale=series.scale * 2)
    write_dataset(project, replace(before, tilt_series=(changed, before.tilt_series[1])))
    after = read_dataset(project)
    same(changed, after.tilt_series[0], 1e-6)
    assert (series.columns["rlnDefocusU"] == after.tilt_series[0].columns["rlnDefocusU"]).tolist() == [True, False, True]

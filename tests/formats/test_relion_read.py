"""Reading RELION projects: real ones, and what each column means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tomobayes.formats.relion import find_optimisation_set, read_dataset, read_tomograms
from tomobayes.formats.star import read_star
from tomobayes.model import BadInput, Dataset

REAL = "data/real/ribosome_70s_12A/warptools_test_4-tomos_10-ptcls_box-32_angpix-12"


def column(path: Path, table: str, label: str) -> np.ndarray:
    return read_star(path)[table].columns[label].astype(float)


def test_simulated_project(shared: Path) -> None:
    folder = shared / "data/simulated/ribosome"
    found = read_dataset(folder / "optimisation_set.star")
    series, particles = found.tilt_series[1], found.particles
    assert (len(found.tilt_series), len(particles), len(found.optics)) == (2, 128, 1)
    assert series.image_size == (512, 512) and series.tomogram_size == (512, 512, 304) and series.hand == -1
    assert series.images is not None and series.images.shape == (41, 512, 512)
    assert particles.name[[0, 64]].tolist() == ["TS_01/1", "TS_02/1"]
    angles = np.stack([column(folder / "particles.star", "particles", f"rlnAngle{name}") for name in ("Rot", "Tilt", "Psi")], axis=-1)
    expected = Rotation.from_euler("ZYZ", angles, degrees=True).as_matrix().swapaxes(1, 2)
    np.testing.assert_allclose(particles.rotation, expected, atol=1e-12)
    np.testing.assert_allclose(series.astigmatism_radians, np.radians(column(folder / "TS_02.star", "TS_02", "rlnDefocusAngle")))
    np.testing.assert_array_equal(series.phase_shift_radians, 0)


def test_offsets_are_subtracted_in_the_subtomogram_frame(shared: Path) -> None:
    """RELION moved these particles by their offsets when it extracted them, and set the offsets to zero."""
    folder = shared / "data/simulated/ribosome"
    before = read_dataset(particles=folder / "three.star", tomograms=folder / "tomograms.star").particles
    after = read_dataset(folder / "relion/three_b2").particles
    assert np.abs(before.origin_angstrom).min() > 0.5
    np.testing.assert_array_equal(after.origin_angstrom, 0)
    np.testing.assert_allclose(before.centre_angstrom, after.position_angstrom, atol=1e-4)


def test_pickers_put_z_out_of_the_spheres(shared: Path) -> None:
    """Real data, peer program: the reference's z axis in the tomogram points away from the nearest virus' centre."""
    folder = shared / "data/empiar10164"
    found = read_dataset(folder / "Refine3D/job074", trajectories="none", require_images=False)
    spheres = read_star(folder / "Picks/job009/annotations/TS_01_spheres.star")
    table = next(iter(spheres.values())).columns
    binned = np.stack([table[f"rlnCoordinate{axis}"].astype(float) for axis in "XYZ"], axis=-1)
    size = np.array(found.tilt_series[0].tomogram_size) / 2
    centres = (binned * 7.407407 - size) * 1.35
    mine = found.particles.tilt_series == 0
    out = found.particles.centre_angstrom[mine][:, None] - centres
    nearest = out[np.arange(len(out)), np.argmin((out**2).sum(-1), axis=1)]
    normal = nearest / np.linalg.norm(nearest, axis=-1, keepdims=True)
    dots = (found.particles.rotation[mine][:, :, 2] * normal).sum(-1)
    assert np.median(dots) > 0.99
    assert set(found.particles.half.tolist()) == {1, 2}
    np.testing.assert_array_equal(found.particles.tilt_prior_degrees, 90)
    np.testing.assert_array_equal(found.particles.psi_prior_degrees, 0)


def test_real_stacks_with_a_dummy_tilt_stack(shared: Path) -> None:
    found = read_dataset(shared / f"{REAL}_optimisation_set.star")
    particles, series = found.particles, found.tilt_series[0]
    assert len(particles) == 40 and particles.stacks is not None and particles.visible is not None
    assert sum(int(visible.sum()) for visible in particles.visible) == 1430
    assert particles.stacks.box == 32 and particles.stacks.pixel_size_angstrom == 12 and particles.stacks.premultiplied
    assert particles.stacks.read(0).shape == (particles.visible[0].sum(), 32, 32)
    assert series.images is None and series.image_size is None
    first = np.array([[0.10915412, -0.99366254, 0.026835253], [0.6719484, 0.09365405, 0.7346526], [-0.73251, -0.062158454, 0.6779126]])
    np.testing.assert_allclose(series.rotation[0], first, atol=1e-6)
    corner = 1.667 * np.array([2200, 3000, 700])
    np.testing.assert_allclose(
        particles.position_angstrom[0], 12 * np.array([494.521, 564.065, 28.146]) - corner, err_msg="exported pixels"
    )
    assert {one.hand for one in found.tilt_series} == {1.0}, "WarpTools writes -1 where the defocus grows with z"
    assert (particles.half == 0).all()


def test_relion4_shifts_come_from_where_the_centre_lands(project: Path, dataset: Dataset) -> None:
    """The same geometry written as RELION-4 matrices is read as the same angles and shifts."""
    series = dataset.tilt_series[0]
    centre = np.array([size // 2 for size in series.tomogram_size])
    lines = ["data_global", "loop_"]
    row = dict(rlnTomoName="0001", rlnTomoTiltSeriesName="0001.mrcs", rlnTomoFrameCount=3, rlnTomoHand=-1, rlnTomoTiltSeriesPixelSize=2.5)
    row |= dict(rlnVoltage=300, rlnSphericalAberration=2.7, rlnAmplitudeContrast=0.1, rlnTomoSizeX=40, rlnTomoSizeY=38, rlnTomoSizeZ=21)
    lines += [f"_{label}" for label in row] + [" ".join(map(str, row.values())), "data_0001", "loop_"]
    lines += [f"_rlnTomoProj{axis}" for axis in "XYZW"] + ["_rlnDefocusU", "_rlnDefocusV", "_rlnDefocusAngle", "_rlnMicrographPreExposure"]
    for tilt in range(series.n_tilts):
        matrix = np.eye(4)
        matrix[:3, :3] = series.rotation[tilt]
        image_centre = np.array([12 // 2, 10 // 2]) + series.shift_angstrom[tilt] / 2.5
        matrix[:2, 3] = image_centre - (series.rotation[tilt] @ centre)[:2]
        lines.append(" ".join("[" + ",".join(f"{v:.10f}" for v in row) + "]" for row in matrix) + " 20000 21000 5 3")
    (project / "relion4.star").write_text("\n".join(lines) + "\n")
    (found,) = read_tomograms(project / "relion4.star")
    np.testing.assert_allclose(found.rotation, series.rotation, atol=1e-8)
    np.testing.assert_allclose(found.shift_angstrom, series.shift_angstrom, atol=1e-6)


def test_motion_of_another_program(shared: Path) -> None:
    folder = shared / "data/simulated/ribosome_errors/relion/align"
    found = read_dataset(folder)
    assert found.motion_angstrom is not None and len(found.motion_angstrom) == 128
    table = read_star(folder / "motion.star")["TS_02/1"]
    np.testing.assert_array_equal(found.motion_angstrom[64][:, 2], table.columns["rlnOriginZAngst"].astype(float))


def test_a_dataset_without_particle_optics_takes_the_tomograms(shared: Path) -> None:
    folder = shared / "data/empiar10164"
    found = read_dataset(
        particles=folder / "Picks/job019/particles.star", tomograms=folder / "Tomograms/job006/tomograms.star", require_images=False
    )
    (group,) = found.optics
    assert (group.name, group.voltage_kv, group.spherical_aberration_mm, group.amplitude_contrast) == ("optics1", 300, 2.7, 0.1)
    np.testing.assert_array_equal(found.particles.rotation, np.broadcast_to(np.eye(3), (9442, 3, 3)))


def test_absent_columns_mean_what_relion_takes_them_for(shared: Path) -> None:
    found = read_dataset(shared / "data/simulated/ribosome/optimisation_set_picked.star").particles
    np.testing.assert_array_equal(found.rotation_subtomogram, np.broadcast_to(np.eye(3), (128, 3, 3)))
    assert (found.half == 0).all() and (found.class_number == 1).all()
    assert all(np.isnan(prior).all() for prior in (found.tilt_prior_degrees, found.psi_prior_degrees, found.rot_prior_degrees))


def test_files_are_found_from_anywhere(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    found = read_dataset(project)
    assert found.tilt_series[0].images is not None
    name = found.tilt_series[0].columns["rlnMicrographName"][0]
    assert name == f"000001@{project.resolve() / '0001.mrcs'}"


def test_the_latest_optimisation_set_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"has no optimisation_set\.star"):
        find_optimisation_set(tmp_path)
    for name in ("run_it001_optimisation_set.star", "run_it010_optimisation_set.star"):
        (tmp_path / name).touch()
    assert find_optimisation_set(tmp_path).name == "run_it010_optimisation_set.star"
    (tmp_path / "run_optimisation_set.star").touch()
    assert find_optimisation_set(tmp_path).name == "run_optimisation_set.star"


def test_stored_images_can_be_ignored(shared: Path) -> None:
    folder = shared / "data/simulated/ribosome/relion/three_b1_stack"
    assert read_dataset(folder).particles.stacks is not None
    ignored = read_dataset(folder, ignore_stored=True)
    assert ignored.particles.stacks is None and ignored.tilt_series[0].images is not None
    with pytest.raises(BadInput, match=r"dummy_tiltseries\.mrc"):
        read_dataset(shared / f"{REAL}_optimisation_set.star", ignore_stored=True)

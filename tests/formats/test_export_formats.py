"""Files for other programs: read back they say the same, and their conventions are those that other people's converters have."""

from __future__ import annotations

import csv
import re
from dataclasses import replace

import numpy as np
import pytest
import starfile

from tomobayes.formats.artiax import write_artiax
from tomobayes.formats.chimerax import PlacedMap, write_chimerax
from tomobayes.formats.dynamo import read_dynamo
from tomobayes.formats.dynamo_write import dynamo_angles, write_dynamo
from tomobayes.formats.euler import matrix_from_euler, matrix_from_zxz, zxz_from_matrix
from tomobayes.formats.pose_table import write_pose_table
from tomobayes.formats.poses import Poses, centred_position
from tomobayes.formats.relion import read_dataset
from tomobayes.formats.relion4_write import write_relion4
from tomobayes.formats.stopgap import read_stopgap, write_stopgap
from tomobayes.formats.voxels import TomogramGrid
from tomobayes.model import BadInput, Dataset
from tomobayes.particles.flattening import flattened

RELION = np.array([[10, 35, -80], [-170, 90, 12], [45, 150, 100], [0, 20, 0], [123.4, 67.8, -9.1]])
DYNAMO = np.array([[-170, 35, 100], [-78, 90, -80], [10, 150, 135], [-90, 20, 90], [-99.1, 67.8, -146.6]])
"""The same orientations: RELION's rot, tilt, psi; Dynamo's tdrot, tilt, narot by eulerangles 1.0.2 and cryoCAT 0.7.1, which agree."""
STOPGAP = np.array([[-100, 170, -35], [80, 78, -90], [-135, -10, -150], [-90, 90, -20], [146.6, 99.1, -67.8]])
"""phi, psi, the by cryoCAT 0.7.1."""
ODD = ((41, 38, 21), (40, 39, 22))


def centred(poses: Poses, dataset: Dataset, grid: TomogramGrid) -> np.ndarray:
    """(P, 3) positions that were read, in Å from the centre of the tomogram."""
    assert poses.zero is not None
    series = dataset.tilt_series[0]
    edge = grid.voxel_angstrom(dataset.tilt_series)[0]
    return centred_position(poses.position, poses.zero, edge, series.tomogram_size, series.pixel_size_angstrom, block=grid.block)


@pytest.fixture(params=ODD)
def odd(request, dataset) -> Dataset:
    """The data set in tomograms of odd and even edges."""
    series = tuple(replace(one, tomogram_size=request.param) for one in dataset.tilt_series)
    return replace(dataset, tilt_series=series)


def test_dynamo_angles_are_those_of_other_converters():
    np.testing.assert_allclose(dynamo_angles(matrix_from_euler(RELION)), DYNAMO, atol=1e-9)


def test_stopgap_angles_mean_what_other_converters_say(dataset, tmp_path):
    phi, psi, the = STOPGAP.T
    labels = ["motl_idx", "tomo_num", "orig_x", "orig_y", "orig_z", "x_shift", "y_shift", "z_shift", "phi", "psi", "the", "class"]
    text = "data_stopgap_motivelist\n\nloop_\n" + "".join(f"_{label}\n" for label in labels)
    text += "".join(f"{i}\t24\t5\t6\t7\t0.25\t0\t-1\t{phi[i]}\t{psi[i]}\t{the[i]}\t3\n" for i in range(len(phi)))
    (tmp_path / "motl.star").write_text(text)
    poses = read_stopgap(tmp_path / "motl.star")
    np.testing.assert_allclose(poses.rotation, matrix_from_euler(RELION), atol=1e-9)
    np.testing.assert_allclose(poses.position, [[5.25, 6, 6]] * len(phi))
    assert set(poses.tomogram) == {"24"} and set(poses.class_number) == {3} and poses.zero == "first voxel is 1"


@pytest.mark.parametrize("second", [0, 30, 180, -40])
def test_zxz_angles_make_the_matrix_they_came_from(second):
    matrix = matrix_from_zxz(np.array([20.0, second, -70.0]))
    np.testing.assert_allclose(matrix_from_zxz(zxz_from_matrix(matrix)), matrix, atol=1e-12)


@pytest.mark.parametrize("block", [False, True])
@pytest.mark.parametrize("program", ["dynamo", "stopgap"])
def test_lists_of_other_programs_keep_poses(program, block, odd, tmp_path):
    grid = TomogramGrid.of(odd.tilt_series, 4.0, block=block)
    if program == "dynamo":
        write_dynamo(tmp_path / "p.tbl", odd, grid)
        poses = read_dynamo(tmp_path / "p.tbl")
        assert poses.tomogram.tolist() == [f"{odd.tilt_series[i].name}.mrc" for i in odd.particles.tilt_series]
    else:
        write_stopgap(tmp_path / "p.star", odd, grid)
        poses = read_stopgap(tmp_path / "p.star")
        assert poses.tomogram.tolist() == [str(i + 1) for i in odd.particles.tilt_series]
    np.testing.assert_allclose(centred(poses, odd, grid), odd.particles.centre_angstrom, atol=2e-5)
    np.testing.assert_allclose(poses.rotation, odd.particles.rotation, atol=1e-7)


def test_positions_of_cut_boxes_are_whole_voxels_with_small_shifts(dataset, tmp_path):
    write_dynamo(tmp_path / "p.tbl", dataset, TomogramGrid.of(dataset.tilt_series, 2.0))
    table = np.loadtxt(tmp_path / "p.tbl")
    assert (table[:, 23:26] == np.round(table[:, 23:26])).all() and np.abs(table[:, 3:6]).max() <= 0.5
    assert table[:, 35].tolist() == [5.0] * 5 and table[:, 19].tolist() == [1, 1, 2, 2, 1]


def test_stopgap_wedges_have_one_row_per_tilt(dataset, tmp_path):
    write_stopgap(tmp_path / "p.star", dataset, TomogramGrid.of(dataset.tilt_series, 2.0))
    wedges = starfile.read(tmp_path / "wedgelist.star")
    assert len(wedges) == 6 and wedges["tomo_x"].tolist() == [20] * 6 and wedges["pixelsize"].tolist() == [5.0] * 6
    np.testing.assert_allclose(wedges["exposure"], np.tile(dataset.tilt_series[0].dose, 2))
    first = dataset.tilt_series[0]
    np.testing.assert_allclose(wedges["defocus"][:3], (first.defocus_u_angstrom + first.defocus_v_angstrom) / 2e4, atol=1e-6)


def test_a_motive_list_is_refused_for_what_it_lacks(tmp_path):
    (tmp_path / "motl.star").write_text("data_stopgap_motivelist\n\nloop_\n_tomo_num\n_phi\n1 2\n")
    with pytest.raises(BadInput, match=r"orig_x.*psi"):
        read_stopgap(tmp_path / "motl.star")
    (tmp_path / "other.star").write_text("data_particles\n\nloop_\n_phi\n1\n")
    with pytest.raises(BadInput, match="motive list"):
        read_stopgap(tmp_path / "other.star")


@pytest.mark.parametrize("keep_columns", [False, True])
def test_relion4_files_are_the_same_experiment(keep_columns, odd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_relion4(tmp_path / "four", odd)
    if keep_columns:
        write_relion4(tmp_path / "again", read_dataset(tmp_path / "four"))
    read = read_dataset(tmp_path / ("again" if keep_columns else "four"))
    for name in ("position_angstrom", "origin_angstrom", "rotation_subtomogram", "rotation_particle"):
        np.testing.assert_allclose(getattr(read.particles, name), getattr(odd.particles, name), atol=5e-6)
    for one, other in zip(read.tilt_series, odd.tilt_series, strict=True):
        for name in ("rotation", "shift_angstrom", "dose", "defocus_u_angstrom", "astigmatism_radians", "scale", "hand", "tomogram_size"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-6, err_msg=name)
        assert one.images is not None and np.array_equal(one.images.read(2), other.images.read(2))
    assert read.motion_angstrom is not None
    np.testing.assert_allclose(read.motion_angstrom, odd.motion_angstrom, atol=1e-6)


def test_relion4_coordinates_count_from_one(dataset, tmp_path, monkeypatch):
    """A particle at the centre of a tomogram of 40 pixels: voxel 20 of the volume, which RELION 4 finds by adding 1 to 19."""
    monkeypatch.chdir(tmp_path)
    centre = dataset.with_particles(replace(dataset.particles, position_angstrom=np.zeros((5, 3))))
    write_relion4(tmp_path, centre)
    particles = starfile.read(tmp_path / "particles.star")["particles"]
    assert particles["rlnCoordinateX"].tolist() == [19.0] * 5 and "rlnCenteredCoordinateXAngst" not in particles


def test_relion4_tomograms_project_as_angles_do(dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_relion4(tmp_path, dataset)
    series = dataset.tilt_series[0]
    table = starfile.read(tmp_path / "tomograms.star")[series.name]
    rows = [[np.fromstring(table[f"rlnTomoProj{axis}"][tilt].strip("[]"), sep=",") for axis in "XYZW"] for tilt in range(3)]
    centre = np.array([20, 19, 10, 1])
    projected = np.array(rows)[:, :2] @ centre
    np.testing.assert_allclose(projected, [6, 5] + series.shift_angstrom / 2.5, atol=1e-8)
    np.testing.assert_allclose(np.array(rows)[:, :3, :3], series.rotation, atol=1e-9)


def test_artiax_lists_are_flat_and_count_from_zero(dataset, tmp_path):
    files = write_artiax(tmp_path, dataset, TomogramGrid.of(dataset.tilt_series, 2.0))
    assert [file.name for file in files] == ["0001.star", "TS_two.a.star"]
    table = starfile.read(files[1])
    ours = np.flatnonzero(dataset.particles.tilt_series == 1)
    angles = table[["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]].to_numpy()
    np.testing.assert_allclose(matrix_from_euler(angles), dataset.particles.rotation[ours], atol=1e-7)
    voxels = table[["rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ"]].to_numpy()
    expected = dataset.particles.centre_angstrom[ours] / 5 + np.array([40, 38, 21]) / 4
    np.testing.assert_allclose(voxels, expected, atol=1e-5)
    assert (table[["rlnOriginX", "rlnOriginY", "rlnOriginZ"]] == 0).all().all()
    assert table["rlnTomoParticleId"].tolist() == (ours + 1).tolist()
    assert not any("Subtomogram" in label for label in table)


def test_chimerax_scripts_put_the_middle_of_a_map_at_each_particle(dataset, tmp_path):
    placed = PlacedMap(tmp_path / "map.mrc", 9)
    markers, script, *_ = write_chimerax(tmp_path, dataset, TomogramGrid.of(dataset.tilt_series, 2.0), 80.0, placed)
    lines = script.read_text().splitlines()
    assert lines[0] == 'open "0001.bild" id 1' and lines[1].endswith('map.mrc" id 2') and lines[2] == "volume #2 originIndex 4,4,4"
    matrix = np.array([float(word) for word in lines[3].split("#2,")[1].split(",")]).reshape(3, 4)
    scene = dataset.particles.centre_angstrom[0] + np.array([40, 38, 21]) * 2.5 / 2
    np.testing.assert_allclose(matrix, np.column_stack([dataset.particles.rotation[0], scene]), atol=1e-5)
    arrow = next(line for line in markers.read_text().splitlines() if line.startswith(".arrow"))
    ends = np.array([float(word) for word in arrow.split()[1:7]]).reshape(2, 3)
    np.testing.assert_allclose(ends[1] - ends[0], 80 * dataset.particles.rotation[0][:, 2], atol=2e-3)


@pytest.mark.parametrize(("name", "separator"), [("p.csv", ","), ("p.tsv", "\t")])
def test_tables_hold_poses_flat_and_raw(name, separator, dataset, tmp_path):
    write_pose_table(tmp_path / name, dataset, TomogramGrid.of(dataset.tilt_series), separator)
    with (tmp_path / name).open(newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter=separator))

    def numbers(pattern: str) -> np.ndarray:
        return np.array([[float(value) for label, value in row.items() if re.fullmatch(pattern, label)] for row in rows])

    particles = dataset.particles
    np.testing.assert_allclose(numbers(r"flat_[xyz]_angstrom"), particles.centre_angstrom, atol=1e-6)
    np.testing.assert_allclose(numbers(r"flat_r\d\d").reshape(-1, 3, 3), particles.rotation, atol=1e-6)
    np.testing.assert_allclose(matrix_from_euler(numbers(r"flat_.*_degrees")), particles.rotation, atol=1e-6)
    raw = matrix_from_euler(numbers(r"raw_subtomogram_.*")) @ matrix_from_euler(numbers(r"raw_particle_.*"))
    np.testing.assert_allclose(raw, particles.rotation, atol=1e-6)
    np.testing.assert_allclose(numbers(r"raw_extraction_.*"), particles.position_angstrom, atol=1e-6)
    np.testing.assert_allclose(numbers(r"raw_origin_.*"), particles.origin_angstrom, atol=1e-6)


def test_flattened_particles_are_where_they_were(dataset):
    flat = flattened(dataset.particles)
    np.testing.assert_allclose(flat.centre_angstrom, dataset.particles.centre_angstrom)
    np.testing.assert_allclose(flat.rotation, dataset.particles.rotation)
    np.testing.assert_allclose(flat.position_angstrom, flat.centre_angstrom)
    assert np.allclose(flat.rotation_subtomogram, np.eye(3)) and np.isnan(flat.tilt_prior_degrees).all()

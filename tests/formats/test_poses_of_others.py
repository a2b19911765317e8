"""Particles of Dynamo tables and plain coordinates, against their programs' conventions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tomobayes.formats.coordinates import EULER, read_coordinates
from tomobayes.formats.dynamo import read_dynamo, rotation_from_dynamo
from tomobayes.formats.euler import matrix_from_euler
from tomobayes.formats.poses import centred_position
from tomobayes.model import BadInput


def dynamo_line(tomogram: int = 3, position: tuple[float, ...] = (10, 20, 30), shift: tuple[float, ...] = (0.5, 0, -1)) -> str:
    cells = [1.0] * 35
    cells[3:6], cells[6:9], cells[19], cells[21], cells[23:26] = shift, (-47.273, 1.1777, -132.3), tomogram, 2, position
    return " ".join(str(cell) for cell in cells).replace(" 1.0 1.0 1.0 1.0 1.0 1.0 1.0 1.0 1.0", " 1.0 1.0 1.0 1.0 1+0i 1.0 1.0 1.0 1.0", 1)


def test_dynamo_and_relion_angles_known_to_give_the_same_average_are_the_same_rotation() -> None:
    """A pair published with dynamo2m: both programs average the same particle alike with them."""
    dynamo = rotation_from_dynamo(np.array([-47.2730, 1.1777, -132.3000]))
    assert np.allclose(dynamo, matrix_from_euler(np.array([137.7000, 1.1777, 42.7270])), atol=1e-6)


def test_stopgap_angles_turn_the_reference_about_fixed_axes_phi_theta_psi() -> None:
    phi, psi, theta = 20.0, -50.0, 70.0
    expected = Rotation.from_euler("zxz", [phi, theta, psi], degrees=True).as_matrix()
    assert np.allclose(EULER["stopgap"](np.array([[phi, psi, theta]]))[0], expected)


def test_a_dynamo_table_has_its_shift_added_and_its_tomogram_named(tmp_path: Path) -> None:
    (tmp_path / "t.tbl").write_text(dynamo_line() + "\n")
    assert read_dynamo(tmp_path / "t.tbl").tomogram.tolist() == ["3"]
    (tmp_path / "t.doc").write_text("3 /data/TS_03.rec\n")
    poses = read_dynamo(tmp_path / "t.tbl")
    assert poses.tomogram.tolist() == ["/data/TS_03.rec"]
    assert np.allclose(poses.position, [[10.5, 20, 29]])
    assert poses.zero == "first voxel is 1"
    assert poses.class_number is not None and poses.class_number.tolist() == [2]


def test_a_doc_without_a_tomogram_of_the_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.tbl").write_text(dynamo_line())
    (tmp_path / "t.doc").write_text("4 /data/TS_04.rec\n")
    with pytest.raises(BadInput, match="names no file for tomogram 3"):
        read_dynamo(tmp_path / "t.tbl")


@pytest.mark.parametrize("text", ["", "1 2 3\n", "a " * 30, "nan " * 30])
def test_what_is_no_dynamo_table_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.tbl").write_text(text)
    with pytest.raises(BadInput):
        read_dynamo(tmp_path / "t.tbl")


@pytest.mark.parametrize(
    ("text", "tomogram"),
    [
        ("1 2 3\n4 5 6\n", "TS_01"),
        ("a,1,2,3\nb,4,5,6\n", "a"),
        ("tomogram,x,y,z\na,1,2,3\nb,4,5,6\n", "a"),
        ("17 1 2 3\n18 4 5 6\n", "17"),
        ("# picked by hand\n\nx y z\n1 2 3\r\n4 5 6\n", "TS_01"),
    ],
)
def test_plain_coordinates(tmp_path: Path, text: str, tomogram: str) -> None:
    (tmp_path / "TS_01.txt").write_text(text)
    poses = read_coordinates(tmp_path / "TS_01.txt")
    assert poses.tomogram[0] == tomogram
    assert np.array_equal(poses.position, [[1, 2, 3], [4, 5, 6]])
    assert poses.rotation is None and poses.zero is None


def test_angles_of_a_text_table_need_a_convention_unless_its_names_tell(tmp_path: Path) -> None:
    bare, named = tmp_path / "bare.txt", tmp_path / "named.csv"
    bare.write_text("1 2 3 10 20 30\n")
    named.write_text("x,y,z,tdrot,tilt,narot\n1,2,3,10,20,30\n")
    with pytest.raises(BadInput, match="--euler"):
        read_coordinates(bare)
    known, told = read_coordinates(bare, "dynamo").rotation, read_coordinates(named).rotation
    assert known is not None and told is not None and np.array_equal(known, told)


@pytest.mark.parametrize("text", ["", "1 2\n", "1 2 3\n1 2\n", "1 2 nan\n", "x,y\n1,2\n", "tomogram,x,y,z\n"])
def test_faulty_coordinates_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.txt").write_text(text)
    with pytest.raises(BadInput):
        read_coordinates(tmp_path / "p.txt")


def test_star_coordinates_are_voxels_or_centred_lengths(tmp_path: Path) -> None:
    labels = "_rlnMicrographName\n_rlnCoordinateX\n_rlnCoordinateY\n_rlnCoordinateZ\n_rlnAngleRot\n_rlnAngleTilt\n_rlnAnglePsi\n"
    (tmp_path / "p.star").write_text(f"data_\n\nloop_\n{labels}TS_1.tomostar 1 2 3 40 50 60\n")
    poses = read_coordinates(tmp_path / "p.star")
    assert poses.zero is None and not poses.in_angstrom and poses.tomogram[0] == "TS_1.tomostar"
    assert poses.rotation is not None and np.allclose(poses.rotation[0], matrix_from_euler(np.array([40.0, 50, 60])))


@pytest.mark.parametrize("binning", [1, 2, 4])
def test_the_middle_of_a_binned_volume_is_the_tomograms_centre(binning: int) -> None:
    """Blocks of pixels: the middle lies between the two middle voxels; RELION's keep it on voxel n/2."""
    size, pixel = (64, 128, 32), 1.5
    middle = np.array([size]) / binning / 2
    for zero, first in (("first voxel is 0", 0), ("first voxel is 1", 1)):
        block = centred_position(middle - 0.5 + first, zero, pixel * binning, size, pixel, block=True)  # type: ignore[arg-type]
        voxel = centred_position(middle + first, zero, pixel * binning, size, pixel, block=False)  # type: ignore[arg-type]
        assert np.allclose(block, 0) and np.allclose(voxel, 0)
    assert np.allclose(centred_position(np.array([[2.0, 0, 0]]), "centre", 6.0, size, pixel, block=True), [[12, 0, 0]])

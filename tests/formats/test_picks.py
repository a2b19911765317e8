"""Picked points from STAR files and text tables."""

import numpy as np
import pytest

from tomobayes.formats.picks import read_picks
from tomobayes.model import BadInput

STAR = (
    "data_\n\nloop_\n_rlnTomoName\n_rlnCoordinateX\n_rlnCoordinateY\n_rlnCoordinateZ\n_rlnSphereRadius\nTS_01 1 2 3 40\nTS_02 4 5 6 50.5\n"
)


def test_relions_spheres(tmp_path):
    path = tmp_path / "spheres.star"
    path.write_text(STAR)
    picks = read_picks(path, radii=True)
    assert picks.tomogram.tolist() == ["TS_01", "TS_02"]
    np.testing.assert_allclose(picks.position, [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_allclose(picks.radius, [40, 50.5])
    assert not picks.centred and picks.object_ is None


def test_centred_coordinates_and_objects(tmp_path):
    path = tmp_path / "picks.star"
    centred = "\n".join(f"_rlnCenteredCoordinate{axis}Angst" for axis in "XYZ")
    path.write_text(f"data_particles\nloop_\n_rlnTomoName\n{centred}\n_rlnHelicalTubeID\na -1 2 3 7\n")
    picks = read_picks(path, radii=False)
    assert picks.centred and picks.object_.tolist() == ["7"]
    assert np.isnan(picks.radius).all()


def test_text_tables(tmp_path):
    path = tmp_path / "picks.csv"
    path.write_text("# tomogram, x, y, z, object\nTS_01, 1, 2, 3, b\n\nTS_01 4 5 6 a # rim\n")
    picks = read_picks(path, radii=False)
    np.testing.assert_allclose(picks.position, [[1, 2, 3], [4, 5, 6]])
    assert picks.object_.tolist() == ["b", "a"]
    with pytest.raises(BadInput, match="'b' is not a number"):
        read_picks(path, radii=True)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.star", "data_\nloop_\n_rlnCoordinateX\n1\n", "rlnTomoName"),
        ("a.star", "data_\nloop_\n_rlnTomoName\n_rlnCoordinateX\nTS_01 1\n", "rlnCoordinateY"),
        ("a.txt", "TS_01 1 2 3\nTS_01 1 2\n", "line 2"),
        ("a.txt", "1 2 3\n", "line 1"),
        ("a.txt", "", "no points"),
        ("a.txt", "TS_01 1 2 x\n", "'x' is not a number"),
    ],
)
def test_faults_are_said(tmp_path, name, content, said):
    (tmp_path / name).write_text(content)
    with pytest.raises(BadInput, match=said):
        read_picks(tmp_path / name, radii=False)

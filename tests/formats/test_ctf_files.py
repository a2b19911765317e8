"""Defocus files of CTFFIND, gctf and ctfplotter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tomobayes.formats.ctf_files import read_ctf
from tomobayes.formats.series_names import series_of
from tomobayes.model import BadInput

FOLDER = "data/geometry/cryocat_TS_017_018/TS_017"


def test_real_ctffind_file(shared: Path) -> None:
    found = read_ctf(shared / FOLDER / "017_ctffind4.txt")
    first = found.views[0]
    assert (first.defocus_u_angstrom, first.defocus_v_angstrom, first.astigmatism_degrees) == (14477.870117, 13500.001953, 75.000012)
    assert first.resolution_angstrom == 12.144508 and first.key.section == 0
    assert (len(found.views), found.voltage_kv, found.spherical_aberration_mm, found.amplitude_contrast) == (60, 300, 2.7, 0.07)


def test_real_gctf_file(shared: Path) -> None:
    found = read_ctf(shared / FOLDER / "017_gctf.star")
    assert len(found.views) == 60 and found.views[1].defocus_v_angstrom == 35647.824219
    assert found.views[0].key.frames == "" and found.views[59].key.section == 59
    assert (found.voltage_kv, found.amplitude_contrast) == (300, 0.07)


def test_real_ctfplotter_file(shared: Path) -> None:
    found = read_ctf(shared / "data/geometry/pytom-match-pick/test_imod.defocus")
    assert found.views[0].defocus_u_angstrom == found.views[0].defocus_v_angstrom == 30830.0
    assert found.views[1].key.stage_degrees == pytest.approx(-47.99) and found.views[1].key.section == 1


def test_real_files_of_emclarity(shared: Path) -> None:
    """The figures that the converters of its users give for CTFFIND; tilts in the order of the stack's own angles."""
    folder = shared / "data/geometry/emClarity_riboNew"
    for path in sorted((folder / "ctf").glob("*_ctf.tlt")):
        found, angles = read_ctf(path), np.loadtxt(folder / f"{series_of(path.name, {path.name[:9]})}.tlt")
        rows = {int(line.split()[0]): [float(word) for word in line.split()] for line in path.read_text().splitlines()}
        assert (found.voltage_kv, found.spherical_aberration_mm, found.amplitude_contrast) == (300, 2.7, 0.085)
        assert sorted(view.key.section for view in found.views) == list(range(len(angles)))
        for view in found.views:
            row = rows[view.key.section + 1]
            assert abs(row[3] - angles[view.key.section]) < 5, "refined, of the same view"
            u, v = 1e10 * (row[11] - row[14]), -1e10 * (row[11] + row[14])
            assert np.allclose((view.defocus_u_angstrom, view.defocus_v_angstrom, view.astigmatism_degrees), (u, v, np.degrees(row[12])))
            assert 15_000 < v < u < 60_000


@pytest.mark.parametrize(("row", "what"), [("1 " * 21, "emClarity"), ("0 " * 22, "does not number"), ("1 " * 22, "no wavelength")])
def test_other_files_are_none_of_emclarity(tmp_path: Path, row: str, what: str) -> None:
    (tmp_path / "a_ctf.tlt").write_text(row + "\n")
    with pytest.raises(BadInput, match=what):
        read_ctf(tmp_path / "a_ctf.tlt")


def test_phase_shifts_are_degrees(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1 20000 19000 30 1.5707963 0.1 5\n")
    assert read_ctf(tmp_path / "a.txt").views[0].phase_shift_degrees == pytest.approx(90)


def test_ctfplotter_version_3_with_astigmatism_and_phase(tmp_path: Path) -> None:
    (tmp_path / "a.defocus").write_text("5 0 0. 0. 0 3\n1 1 -60.0 -60.0 3000 2900 40 90\n2 2 -57.0 -57.0 3100 3000 -45 80\n")
    one, two = read_ctf(tmp_path / "a.defocus").views
    assert [one.defocus_u_angstrom, one.defocus_v_angstrom, one.astigmatism_degrees] == pytest.approx([30000, 29000, 40])
    assert one.phase_shift_degrees == 90
    assert two.astigmatism_degrees == pytest.approx(-45)


def test_ctfplotter_ranges_are_those_of_their_middles(tmp_path: Path) -> None:
    (tmp_path / "a.defocus").write_text("1 3 -60.0 -54.0 3000 2\n3 5 -54.0 -48.0 3200\n")
    views = read_ctf(tmp_path / "a.defocus").views
    assert [view.defocus_u_angstrom for view in views] == [30000, 30000, 31000, 32000, 32000]


@pytest.mark.parametrize("name", ["a.txt", "a.star", "a.defocus"])
@pytest.mark.parametrize("text", ["", "1 2 3\n", "data_\n\nloop_\n_rlnDefocusU\n1\n", "1,0 2 3 4 5 6 7\n"])
def test_what_holds_no_defoci_is_refused(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BadInput):
        read_ctf(tmp_path / name)

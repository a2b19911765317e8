"""Alignments of IMOD and AreTomo: points must land where those programs put them."""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from aligned_points import imported_places

from tomobayes.formats.alignment import geometry_of, split_projection
from tomobayes.formats.aretomo import read_aretomo
from tomobayes.formats.euler import matrix_from_tilt_angles, tilt_angles_from_matrix
from tomobayes.formats.imod import read_imod
from tomobayes.formats.imod_files import views_of_list
from tomobayes.formats.views import Aligned
from tomobayes.model import BadInput

FIDUCIALS = [("BB/BBa", ""), ("BB/BBa", "_patch-tracking"), ("BB/BBb", ""), ("midzone2/midzone2a", ""), ("midzone2/midzone2b", "")]


def written_imod(folder: Path, n: int = 3, tilt_com: str = "", xf: str = "") -> Path:
    (folder / "TS.xf").write_text(xf or "1 0 0 1 0 0\n" * n)
    (folder / "TS.tlt").write_text("".join(f"{angle:8.2f}\n" for angle in np.linspace(-60, 60, n)))
    if tilt_com:
        (folder / "tilt.com").write_text(f"$tilt -StandardInput\nTILTFILE TS.tlt\n{tilt_com}\n")
    return folder / "TS.xf"


@pytest.mark.parametrize(("name", "run"), FIDUCIALS)
def test_fiducials_land_where_tiltalign_measured_them_but_for_its_residuals(shared: Path, tmp_path: Path, name: str, run: str) -> None:
    """Real solutions, with magnification, stretch and Z factors; ``listed + residual`` is tiltalign's own projection, to two decimals."""
    base = shared / "data/geometry/imod_etomo_BB_midzone2" / name
    for ending, source in ((".xf", f"{run}.tltxf"), (".tlt", f"{run}.tlt"), *([(".zfac", ".zfac")] if not run else [])):
        shutil.copy(f"{base}{source}", tmp_path / f"TS{ending}")
    lines = Path(f"{base}fid{run}.xyz").read_text().splitlines()
    width, height = (int(word) for word in lines[0].split()[-2:])
    points = np.array([line.split()[1:4] for line in lines], dtype=float) - [width / 2, height / 2, 0]
    residuals = np.loadtxt(f"{base}{run}.resid", skiprows=1)
    places = imported_places(read_imod(tmp_path / "TS.xf").views, points, (width, height), (width, height, 100))
    projected = residuals[:, :2] + residuals[:, 3:] - 0.5  # IMOD counts from the corner of the first pixel
    off = np.linalg.norm(places[:, residuals[:, 2].astype(int)] - projected, axis=-1).min(axis=0)
    assert np.sqrt(np.mean(off**2)) < 0.02


def test_x_axis_tilt_makes_the_section_of_the_fiducials_flat(shared: Path) -> None:
    """XAXISTILT of tilt.com undoes the slope along y of tiltalign's fiducials, beads on both surfaces of the section."""
    base = shared / "data/geometry/imod_etomo_BB_midzone2/BB"
    lines = (base / "BBafid.xyz").read_text().splitlines()
    points = np.array([line.split()[1:4] for line in lines], dtype=float) - [256, 256, 0]
    views = read_imod(base / "BBa.xf").views
    rotation, _ = split_projection(np.stack([view.matrix for view in views]))
    x_tilt = float(np.median(tilt_angles_from_matrix(rotation)[20:40, 0]))
    assert x_tilt == pytest.approx(-1.94, abs=0.2)
    in_tomogram = points @ matrix_from_tilt_angles(np.array([x_tilt, 0.0, 0.0]))
    assert abs(_slope_degrees(in_tomogram)) < 0.5 < 2.0 < abs(_slope_degrees(points))


def _slope_degrees(cloud: np.ndarray) -> float:
    """Of two parallel planes along y."""
    above = cloud[:, 2] > 0
    fit = np.linalg.lstsq(np.c_[above, ~above, cloud[:, :2]].astype(float), cloud[:, 2], rcond=None)[0]
    return float(np.degrees(np.arctan(fit[3])))


def test_offset_shift_and_x_tilt_of_tilt_com_are_as_tilt_has_them(tmp_path: Path) -> None:
    com = "OFFSET 2.0\nSHIFT 10.0 -5.0\nXAXISTILT 3.0\nFULLIMAGE 200 100\nTHICKNESS 60\nEXCLUDELIST 1-1,3"
    aligned = read_imod(written_imod(tmp_path, tilt_com=com))
    rotation = matrix_from_tilt_angles(np.array([[-3.0, angle + 2.0, 0.0] for angle in (-60, 0, 60)]))
    assert np.allclose([view.matrix for view in aligned.views], rotation[:, :2])
    assert np.allclose([view.offset_px for view in aligned.views], rotation[:, :2] @ [-10, 0, -5])
    assert [view.excluded for view in aligned.views] == [True, False, True]
    assert aligned.tomogram_size == (200, 100, 60)


def test_warp_and_we_read_the_same_axis_and_shift_from_the_same_transforms(shared: Path) -> None:
    """Warp's own import of an .xf: AxisAngle and AxisOffset (Å at 1 Å per pixel), which it has in one frame with the raw image."""
    folder = shared / "data/geometry/warpylib_EMPIAR10491_10499/xf_import"
    root = ElementTree.parse(folder / "00254.xml").getroot()
    values = {name: np.array((root.findtext(name) or "").split(), dtype=float) for name in ("AxisAngle", "AxisOffsetX", "AxisOffsetY")}
    views = read_imod(folder / "00254.xf").views
    rotation, _ = split_projection(np.stack([view.matrix for view in views]))
    assert np.allclose(tilt_angles_from_matrix(rotation)[:, 2], values["AxisAngle"], atol=1e-3)
    ours = np.stack([view.offset_px for view in views])
    theirs = np.stack([values["AxisOffsetX"], values["AxisOffsetY"]], -1)
    scale = (ours * theirs).sum() / (ours**2).sum()
    assert scale > 0 and np.allclose(ours * scale, theirs, atol=2e-2)


def test_middles_of_even_and_odd_images_and_tomograms_stay_middles(tmp_path: Path) -> None:
    views = read_imod(written_imod(tmp_path)).views
    for size in ((64, 48), (65, 47)):
        for depth in (20, 21):
            places = imported_places(views, np.zeros((1, 3)), size, (*size, depth))
            assert np.allclose(places, (np.array(size) - 1) / 2)


def test_a_stretch_becomes_a_deformation_and_a_pure_rotation_none(tmp_path: Path) -> None:
    stretched = read_imod(written_imod(tmp_path, xf="1.01 0.02 -0.01 0.98 5 6\n" * 3)).views
    geometry = geometry_of(stretched, 1.0, 1.0, (400, 400), (400, 400, 100))
    assert geometry.deformation is not None and geometry.deformation.kind == "affine"
    point = np.array([[100.0, -50.0, 30.0]])
    aligned = (matrix_from_tilt_angles(np.array([[0.0, angle, 0.0] for angle in (-60, 0, 60)])) @ point[0])[:, :2]
    raw = np.linalg.solve(np.array([[1.01, 0.02], [-0.01, 0.98]]), (aligned - [5, 6]).T).T + 199.5
    assert np.allclose(imported_places(stretched, point, (400, 400), (400, 400, 100))[0], raw)
    rounded = read_imod(written_imod(tmp_path, xf="0.087 0.996 -0.996 0.087 5 6\n" * 3)).views
    assert geometry_of(rounded, 1.0, 1.0, (4096, 4096), (400, 400, 100)).deformation is None


def test_etomo_alignments_know_stage_angles_axis_and_what_is_left_out(shared: Path) -> None:
    aligned = read_imod(shared / "data/geometry/etomofiles/test_data/TS_001/TS_001.xf")
    assert len(aligned.views) == 40 and aligned.views[0].key.stage_degrees == -60.0 and aligned.views[0].tilt_degrees == -57.12
    assert aligned.axis_degrees == pytest.approx(84.2, abs=0.1)
    local = read_imod(shared / "data/geometry/imod_etomo_BB_midzone2/BB/BBa.xf")
    assert not local.left_out and local.local_shift is not None and local.tomogram_size == (512, 512, 84) and local.views[0].excluded


LOCAL = [("BB/BBa", ""), ("BB/BBa", "_patch-tracking"), ("BB/BBb", ""), ("midzone2/midzone2a", ""), ("midzone2/midzone2b", "")]


@pytest.mark.parametrize(("name", "run"), LOCAL)
def test_local_alignments_bring_beads_nearer_to_where_they_were_measured(shared: Path, tmp_path: Path, name: str, run: str) -> None:
    """Every bead's best position explains its measured places better with the local alignment than without."""
    base = shared / "data/geometry/imod_etomo_BB_midzone2" / name
    lines = Path(f"{base}fid{run}.xyz").read_text().splitlines()
    width, height = (int(word) for word in lines[0].split()[-2:])
    for ending, source in (
        (".xf", f"{run}.tltxf"),
        (".tlt", f"{run}.tlt"),
        ("local.xf", f"local{run}.xf"),
        *([(".zfac", ".zfac")] if not run else []),
    ):
        shutil.copy(f"{base}{source}", tmp_path / f"TS{ending}")
    factors = "" if run else "ZFACTORFILE TS.zfac\n"
    (tmp_path / "tilt.com").write_text(f"TILTFILE TS.tlt\nFULLIMAGE {width} {height}\nLOCALFILE TSlocal.xf\n{factors}")
    aligned = read_imod(tmp_path / "TS.xf")
    points = np.array([line.split()[1:4] for line in lines], dtype=float) - [width / 2, height / 2, 0]
    residuals = np.loadtxt(f"{base}{run}.resid", skiprows=1)
    measured, view = residuals[:, :2] - [width / 2, height / 2], residuals[:, 2].astype(int)
    seen = np.stack([one.matrix @ points.T + one.offset_px[:, None] for one in aligned.views])
    bead = np.linalg.norm(seen[view] - (measured + residuals[:, 3:])[..., None], axis=1).argmin(1)
    matrices = np.stack([one.matrix for one in aligned.views])
    left = {False: 0.0, True: 0.0}
    for which, point in enumerate(points):
        rows = np.flatnonzero(bead == which)
        for is_local in left:
            at = point
            for _ in range(4 if len(rows) > 5 else 0):
                off = measured[rows] - _seen(aligned, at, is_local)[view[rows]]
                at = at + np.linalg.lstsq(matrices[view[rows]].reshape(-1, 3), off.ravel(), rcond=None)[0]
                best = (off**2).sum()
            left[is_local] += best if len(rows) > 5 else 0.0
    assert left[True] < 0.9 * left[False]


def _seen(aligned: Aligned, point: np.ndarray, is_local: bool) -> np.ndarray:
    places = np.stack([view.matrix @ point + view.offset_px for view in aligned.views])
    if is_local and aligned.local_shift is not None:
        places += np.concatenate([aligned.local_shift(view, point[None]) for view in range(len(aligned.views))])
    return places


@pytest.mark.parametrize("text", ["", "2 2 1 1 10 10 0 1.0 0\n1 2 3\n", "0 0 1 1 10 10\n", "1 1 1 1 10 0\n", "x\n"])
def test_what_is_no_local_alignment_is_refused(tmp_path: Path, text: str) -> None:
    written_imod(tmp_path, tilt_com="FULLIMAGE 64 48\nLOCALFILE TSlocal.xf")
    (tmp_path / "TSlocal.xf").write_text(text)
    with pytest.raises(BadInput, match="is not a local alignment"):
        read_imod(tmp_path / "TS.xf")


@pytest.mark.parametrize("ending", [".tlt", ".rawtlt", ".xtilt", ".zfac"])
def test_files_of_one_alignment_must_have_as_many_lines(tmp_path: Path, ending: str) -> None:
    transforms = written_imod(tmp_path)
    transforms.with_suffix(ending).write_text("1 2\n" * 4)
    with pytest.raises(BadInput, match=r"has 4 lines, but .* has 3"):
        read_imod(transforms)


def test_lists_of_views_have_ranges() -> None:
    assert views_of_list("1-3,28-30 41", Path("tilt.com")) == [1, 2, 3, 28, 29, 30, 41]
    for wrong in ("1-", "a", "1-99999999", "-"):
        with pytest.raises(BadInput):
            views_of_list(wrong, Path("tilt.com"))


def test_aretomo_global_alignment_and_its_imod_transforms_are_one_geometry(shared: Path, tmp_path: Path) -> None:
    """AreTomo writes aligned = R(−ROT)·(raw − T) as its .xf (ImodUtil/CSaveXF); through it, points land where the .aln puts them."""
    path = shared / "data/geometry/alnfile_aretomo/global_no_local.aln"
    table = np.array([line.split() for line in path.read_text().splitlines() if line.strip() and line[0] != "#"], dtype=float)
    turn = np.radians(-table[:, 1])
    matrix = np.stack([np.cos(turn), -np.sin(turn), np.sin(turn), np.cos(turn)], -1).reshape(-1, 2, 2)
    moved = -np.einsum("fij,fj->fi", matrix, table[:, 3:5])
    np.savetxt(tmp_path / "TS.xf", np.c_[matrix.reshape(-1, 4), moved], fmt="%.7f")
    np.savetxt(tmp_path / "TS.tlt", table[:, 9], fmt="%.2f")
    points = np.random.default_rng(0).uniform(-1000, 1000, (20, 3))
    aln, imod = read_aretomo(path), read_imod(tmp_path / "TS.xf")
    size = (4096, 4096)
    assert (
        np.abs(imported_places(aln.views, points, size, (*size, 800)) - imported_places(imod.views, points, size, (*size, 800))).max()
        < 1e-3
    )


def test_aretomo_local_alignment_puts_patches_where_they_were_measured(shared: Path) -> None:
    """At its own patch a local shift is nearly the patch's; the Gaussian weights of the others are small."""
    path = shared / "data/geometry/alnfile_aretomo/global_and_local.aln"
    aligned = read_aretomo(path)
    rows = [line.split() for line in path.read_text().splitlines()]
    patches = np.array([row for row in rows if len(row) == 7 and row[0].isdigit()], dtype=float)
    assert aligned.local_shift is not None and len(patches) == 37 * 16
    mine = patches[patches[:, 0] == 20]
    rotation = split_projection(np.stack([aligned.views[20].matrix]))[0][0]
    found = aligned.local_shift(20, np.c_[mine[:, 2:4], np.zeros(len(mine))] @ rotation)
    good = mine[:, 6] > 0.9
    weight = np.exp(-100 * (((mine[:, None, 2:4] - mine[None, :, 2:4]) / 4096) ** 2).sum(-1)) * good
    assert np.allclose(found, weight @ mine[:, 4:6] / weight.sum(1, keepdims=True))
    assert np.corrcoef(found[good, 0], mine[good, 4])[0, 1] > 0.95


def test_aretomo_sections_count_the_dark_images(shared: Path) -> None:
    folder = shared / "data/geometry/alnfile_aretomo"
    dark = read_aretomo(folder / "global_and_local.aln").views
    assert [view.key.section for view in dark] == [*range(14, 51), *range(14)]
    assert [view.excluded for view in dark] == [False] * 37 + [True] * 14
    assert dark[0].key.stage_degrees == pytest.approx(-40.01)
    assert [view.key.section for view in read_aretomo(folder / "global_no_local.aln").views] == list(range(61))


@pytest.mark.parametrize("text", ["", "# AreTomo Alignment\n", "1 2 3\n", "# SEC\n" + "x " * 10, "# Local Alignment\n0 0 1 1 1 1 1\n"])
def test_what_is_no_alignment_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.aln").write_text(text)
    with pytest.raises(BadInput):
        read_aretomo(tmp_path / "a.aln")

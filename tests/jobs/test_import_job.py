"""``import`` of files of several programs: every view gets what is its own, and what is not known is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import tomobayes as tb
from tomobayes.cli import main
from tomobayes.formats.euler import matrix_from_euler, matrix_from_tilt_angles, tilt_angles_from_matrix
from tomobayes.formats.mrc import write_stack
from tomobayes.formats.relion import read_dataset, read_tomograms
from tomobayes.formats.star import read_star
from tomobayes.geometry.projection import project
from tomobayes.jobs.import_files import find_files

ANGLES = (0.0, 3.0, -3.0, -6.0, 6.0)
"""Stage angles in the order in which they were taken: dose-symmetric."""

SORTED = sorted(ANGLES)
TILT_LABELS = (
    *("rlnTomoXTilt", "rlnTomoYTilt", "rlnTomoZRot", "rlnTomoXShiftAngst", "rlnTomoYShiftAngst"),
    *("rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle", "rlnMicrographPreExposure"),
)
SIZE, TOMOGRAM, PIXEL, AXIS, OFFSET = (64, 48), (64, 48, 32), 2.0, 85.0, 2.9


def write_sources(folder: Path, name: str = "TS_01", *, doses: bool = True, times: bool = True, local: bool = False) -> None:
    """An mdoc in the order of time; stack, angles and CTF by angle; an alignment that found -6° too dark and the stage 2.9° off."""
    folder.mkdir(exist_ok=True)
    head = f"PixelSpacing = {PIXEL}\nVoltage = 300\nImageSize = 64 48\n\n[T =   Tilt axis angle = {AXIS}, binning = 1]\n\n"
    sections = [
        f"[ZValue = {i}]\nTiltAngle = {angle + 0.01}\nSubFramePath = D:\\frames\\{name}_{i:03d}_{angle}.eer\n"
        + (f"ExposureDose = {3 + i}\n" if doses else "ExposureDose = 0\n")
        + (f"DateTime = 06-Jun-23  23:{10 + i}:00\n" if times else "")
        for i, angle in enumerate(ANGLES)
    ]
    (folder / f"{name}.mdoc").write_text(head + "\n".join(sections))
    write_stack(folder / f"{name}.mrc", np.stack([np.full(SIZE[::-1], angle) + np.eye(48, 64) for angle in SORTED]), PIXEL)
    (folder / f"{name}.rawtlt").write_text("".join(f"{angle}\n" for angle in SORTED))
    rows = [f"{i} {AXIS} 1.0 {10 + i} {-i} 1 1 1 0 {angle + OFFSET}" for i, angle in enumerate(SORTED) if angle != -6]
    patches = [f"{view} {i} {x} {y} {1.5 * i - 2} {view - i} 1" for view in range(4) for i, (x, y) in enumerate([(-20, -15), (20, 15)])]
    text = ["# AreTomo Alignment / Priims bprmMn", "# RawSize = 64 48 5", "# DarkFrame = 0 0 -6.00", f"# AlphaOffset = {OFFSET}", *rows]
    (folder / f"{name}.aln").write_text("\n".join([*text, *(["# Local Alignment", *patches] if local else []), ""]))
    comment = "# Pixel size: 2.0 ; acceleration voltage: 300.0 keV ; spherical aberration: 2.70 mm ; amplitude contrast: 0.10\n"
    lines = [f"{i + 1}.0 {2e4 + 100 * angle} {1.9e4 + 100 * angle} {angle} 0 0.1 6" for i, angle in enumerate(SORTED)]
    (folder / f"{name}_ctffind4.txt").write_text(comment + "\n".join(lines) + "\n")


def imported(*words: str) -> int:
    size = [str(edge) for edge in TOMOGRAM]
    given = ["import", "--mdoc", "in", "--alignment", "in", "--ctf", "in", "--tomogram-size", *size, "--o", "out"]
    return main([*given, *words])


def test_views_of_four_programs_come_together(capsys: pytest.CaptureFixture[str]) -> None:
    write_sources(Path("in"))
    Path("picks.csv").write_text("tomogram,x,y,z,rot,tilt,psi\nTS_01_bin2.mrc,16,12,8,10,20,30\n")
    words = ["--tilt-images", "in", "--particles", "picks.csv", "--coordinates-angpix", "4", "--coordinates-centre", "corner"]
    assert imported(*words) == 0
    dataset = read_dataset(Path("out"))
    series = dataset.tilt_series[0]
    assert [series.images.read(i)[40, 0] for i in range(4)] == SORTED[1:]
    stage = np.array(SORTED[1:])
    assert np.allclose(tilt_angles_from_matrix(series.rotation), [[0, angle + OFFSET, AXIS] for angle in stage], atol=1e-5)
    dose = {0.0: 0, 3.0: 3, -3.0: 7, 6.0: 18}
    assert np.allclose(series.dose, [dose[angle] for angle in stage])
    assert np.allclose(series.defocus_u_angstrom, 2e4 + 100 * stage) and np.allclose(np.degrees(series.astigmatism_radians), stage)
    assert np.allclose(series.shift_angstrom / PIXEL, [[10.5 + i, -0.5 - i] for i in range(4)] + np.array([0, -1]), atol=1e-5)
    assert np.allclose(dataset.particles.position_angstrom, [[2, 2, 2]]), "half a binned voxel beyond the middle"
    assert np.allclose(dataset.particles.rotation[0], matrix_from_euler(np.array([10.0, 20, 30])), atol=1e-6)
    shown = capsys.readouterr().err
    assert "4 of 5" in shown and "excluded by AreTomo" in shown and "−1 is assumed" in shown


def test_single_images_are_found_by_the_names_of_their_frames() -> None:
    write_sources(Path("in"))
    Path("mc").mkdir()
    for i, angle in enumerate(ANGLES):
        write_stack(Path(f"mc/TS_01_{i:03d}_{angle}".replace(".", "_") + ".mrc"), np.full((1, 48, 64), angle) + np.eye(48, 64), PIXEL)
    assert imported("--tilt-images", "mc") == 0
    series = read_tomograms(Path("out/tomograms.star"))[0]
    assert series.images is not None and [float(series.images.read(i)[40, 0]) for i in range(4)] == SORTED[1:]


def test_a_local_alignment_puts_particles_where_it_saw_them() -> None:
    """u + T + S(u), as AreTomo has it, is where position plus motion lands."""
    write_sources(Path("in"), local=True)
    Path("picks.txt").write_text("TS_01 10 5 -8\nTS_01 -20 12 9\n")
    assert imported("--particles", "picks.txt", "--coordinates-angpix", "2", "--coordinates-centre", "middle") == 0
    dataset = read_dataset(Path("out"), require_images=False)
    series, position = dataset.tilt_series[0], dataset.particles.position_angstrom
    assert dataset.motion_angstrom is not None
    moved = position[:, None] + np.stack(dataset.motion_angstrom)
    geometry = torch.from_numpy(series.rotation), torch.from_numpy(series.shift_angstrom)
    places = project(torch.from_numpy(moved), *geometry, PIXEL, TOMOGRAM, SIZE).numpy()
    patches = np.array([[-20, -15], [20, 15]])
    for view, angle in enumerate(SORTED[1:]):
        seen = (position / PIXEL) @ matrix_from_tilt_angles(np.array([0, angle + OFFSET, AXIS]))[:2].T
        weight = np.exp(-100 * (((seen[:, None] - patches) / SIZE) ** 2).sum(-1))
        shift = np.array([[-2, view], [-0.5, view - 1]])
        expected = seen + weight @ shift / weight.sum(1, keepdims=True) + [11 + view, -1 - view] + [31.5, 23.5]
        assert np.allclose(places[:, view], expected, atol=1e-4)


def test_a_local_alignment_without_particles_is_left_out_aloud(capsys: pytest.CaptureFixture[str]) -> None:
    write_sources(Path("in"), local=True)
    assert imported() == 0
    assert "the local alignment is left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("sources", "words", "said"),
    [
        ({"doses": False}, (), "Give --dose-per-tilt"),
        ({"times": False}, (), "no DateTime"),
        ({"times": False, "doses": False}, ("--dose-per-tilt", "3"), "Give --order"),
        ({}, ("--tilt-axis", "-95"), "a tilt axis of 85.0°, not -95° as --tilt-axis says"),
        ({}, ("--mdoc", "nothing*"), "matches nothing"),
    ],
)
def test_what_is_not_known_is_asked_for(
    sources: dict[str, bool], words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sources(Path("in"), **sources)
    assert imported(*words) == 2
    assert said in capsys.readouterr().err and not Path("out").exists()


def test_order_and_dose_of_the_user_count() -> None:
    write_sources(Path("in"), doses=False, times=False)
    Path("order.txt").write_text("".join(f"{angle}\n" for angle in (6, 3, 0, -3, -6)))
    assert imported("--dose-per-tilt", "3", "--order", "order.txt") == 0
    assert np.allclose(read_tomograms(Path("out/tomograms.star"), images="optional")[0].dose, [9, 6, 3, 0])
    assert imported("--dose-per-tilt", "3", "--order", "section", "--overwrite") == 0
    assert np.allclose(read_tomograms(Path("out/tomograms.star"), images="optional")[0].dose, [6, 0, 3, 12])


def test_fewer_defoci_than_images_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    write_sources(Path("in"))
    path = Path("in/TS_01_ctffind4.txt")
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    assert imported() == 2
    assert "has 4 views" in capsys.readouterr().err


def test_an_alignment_of_other_angles_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    write_sources(Path("in"))
    path = Path("in/TS_01.aln")
    path.write_text(path.read_text().replace(f" {3 + OFFSET}", f" {4.5 + OFFSET}"))
    assert imported() == 2
    assert "has views that" in capsys.readouterr().err


def write_imod(folder: Path, tilts: list[float], name: str = "TS_01") -> None:
    """An alignment of IMOD, with its stage angles, in place of AreTomo's."""
    (folder / f"{name}.aln").unlink()
    (folder / f"{name}.xf").write_text("0.0871557 0.9961947 -0.9961947 0.0871557 3 4\n" * len(tilts))
    (folder / f"{name}.tlt").write_text("".join(f"{tilt}\n" for tilt in tilts))
    (folder / "tilt.com").write_text(
        f"$tilt\nTILTFILE {name}.tlt\nFULLIMAGE 64 48\nTHICKNESS 32\nEXCLUDELIST 1-2\nLOCALFILE {name}local.xf\n"
    )


def test_alignments_of_imod_leave_out_what_they_exclude_and_say_what_is_local(capsys: pytest.CaptureFixture[str]) -> None:
    write_sources(Path("in"))
    write_imod(Path("in"), [angle - 1.3 for angle in SORTED])
    assert main(["import", "--mdoc", "in", "--alignment", "in", "--ctf", "in", "--o", "out"]) == 0
    series = read_tomograms(Path("out/tomograms.star"), images="optional")[0]
    assert series.tomogram_size == TOMOGRAM
    assert np.allclose(tilt_angles_from_matrix(series.rotation)[:, 1:], [[angle - 1.3, AXIS] for angle in SORTED[2:]], atol=1e-4)
    assert np.allclose(series.defocus_u_angstrom, 2e4 + 100 * np.array(SORTED[2:]))
    shown = capsys.readouterr().err
    assert "the local alignment is left out, because TS_01local.xf is not there" in shown and "excluded by IMOD" in shown


def test_alignments_of_binned_images_are_scaled_or_asked_about(capsys: pytest.CaptureFixture[str]) -> None:
    write_sources(Path("in"))
    path = Path("in/TS_01.aln")
    path.write_text(path.read_text().replace("RawSize = 64 48 5", "RawSize = 32 24 5"))
    assert imported("--tilt-images", "in") == 0
    assert np.allclose(read_tomograms(Path("out/tomograms.star"))[0].shift_angstrom[0] / PIXEL, [21.5, -2.5], atol=1e-5)
    write_imod(Path("in"), SORTED)
    commands = Path("in/tilt.com")
    commands.write_text(commands.read_text().replace("64 48", "32 24"))
    assert imported("--tilt-images", "in", "--overwrite") == 2
    assert "--alignment-angpix" in capsys.readouterr().err
    assert imported("--tilt-images", "in", "--overwrite", "--alignment-angpix", "4") == 0


def test_angles_that_do_not_follow_the_stage_are_views_mixed_up(capsys: pytest.CaptureFixture[str]) -> None:
    write_sources(Path("in"))
    write_imod(Path("in"), SORTED[::-1])
    assert main(["import", "--mdoc", "in", "--alignment", "in", "--ctf", "in", "--o", "out"]) == 2
    assert "tilt angles that are not those of the stage" in capsys.readouterr().err


def test_relions_own_files_tell_of_views_before_any_alignment() -> None:
    write_sources(Path("in"))
    Path("in/TS_01.mdoc").unlink()
    Path("relion").mkdir()
    labels = ("rlnMicrographMovieName", "rlnTomoNominalStageTiltAngle", "rlnTomoNominalTiltAxisAngle", "rlnMicrographPreExposure")
    rows = [f"frames/TS_01_{i:03d}_{angle}.eer {angle} {AXIS} {3 * i}" for i, angle in enumerate(ANGLES)]
    text = "\n".join(["data_TS_01", "", "loop_", *(f"_{label}" for label in labels), *rows, ""])
    Path("relion/TS_01.star").write_text(text)
    words = ["--angpix", str(PIXEL), "--tomogram-size", "64", "48", "32", "--tilt-images", "in"]
    assert main(["import", "--mdoc", "relion", "--alignment", "in", "--ctf", "in", *words, "--o", "out"]) == 0
    assert np.allclose(read_tomograms(Path("out/tomograms.star"))[0].dose, [6, 0, 3, 12])
    Path("relion/TS_01.star").write_text(text.replace(f" {AXIS} 6", f" {AXIS} 3"))
    assert main(["import", "--mdoc", "relion", "--alignment", "in", "--ctf", "in", *words, "--o", "again"]) == 2


def test_all_tilt_series_that_lack_the_same_are_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    for i in range(8):
        write_sources(Path("in"), f"TS_{i}")
    assert main(["import", "--mdoc", "in", "--alignment", "in", "--tomogram-size", "64", "48", "32"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and "TS_0, TS_1, TS_2, TS_3, TS_4 and 3 more" in lines[0] and "--ctf" in lines[0]


def test_picks_of_other_programs_go_into_tilt_series_of_relion(capsys: pytest.CaptureFixture[str]) -> None:
    write_sources(Path("in"))
    assert imported() == 0
    cells = [1.0] * 35
    cells[3:6], cells[6:9], cells[19], cells[23:26] = (0, 0, 0), (10, 20, 30), 1, (33, 25, 17)
    Path("crop.tbl").write_text(" ".join(map(str, cells)) + "\n")
    Path("crop.doc").write_text("1 /somewhere/TS_01.rec\n")
    assert main(["import", "--i", "out", "--particles", "crop.tbl", "--o", "with_picks"]) == 2
    assert "--coordinates-angpix" in capsys.readouterr().err
    assert main(["import", "--i", "out", "--particles", "crop.tbl", "--coordinates-angpix", "2", "--o", "with_picks"]) == 0
    particles = read_dataset(Path("with_picks"), require_images=False).particles
    assert np.allclose(particles.position_angstrom, 0), "voxel n/2, counted from 1, is RELION's centre"
    Path("far.csv").write_text("tomogram,x,y,z\nTS_01,900,1,1\n")
    words = ["import", "--i", "out", "--particles", "far.csv", "--coordinates-angpix", "2", "--coordinates-centre", "corner"]
    assert main(words) == 2
    assert "would lie outside" in capsys.readouterr().err


def test_motive_lists_of_stopgap_name_their_tomograms_beside_them() -> None:
    write_sources(Path("in"))
    assert imported() == 0
    labels = ["tomo_num", "orig_x", "orig_y", "orig_z", "x_shift", "y_shift", "z_shift", "psi", "the", "phi", "class"]
    text = "\n".join(["data_stopgap_motivelist", "", "loop_", *(f"_{label}" for label in labels), "7 33 25 17 0 0 1 10 20 30 1", ""])
    Path("motl.star").write_text(text)
    words = ["import", "--i", "out", "--particles", "motl.star", "--coordinates-angpix", "2"]
    assert main([*words, "--o", "unnamed"]) == 2
    Path("motl.doc").write_text("7 TS_01.mrc\n")
    assert main([*words, "--o", "named"]) == 0
    assert np.allclose(read_dataset(Path("named"), require_images=False).particles.position_angstrom, [[0, 0, 2]])


def test_folders_give_aretomos_own_files_and_several_of_one_kind_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    write_sources(Path("in"))
    Path("in/TS_01_Imod").mkdir()
    Path("in/TS_01_Imod/TS_01_st.xf").write_text("1 0 0 1 0 0\n" * 5)
    assert find_files("--alignment", ["in"]) == [Path("in/TS_01.aln")]
    assert find_files("--alignment", ["in/TS_01_Imod"]) == [Path("in/TS_01_Imod/TS_01_st.xf")]
    assert find_files("--ctf", ["in/*ctffind*", "in/TS_01_ctffind4.txt"]) == [Path("in/TS_01_ctffind4.txt")]
    assert imported("--ctf", "in", "in/TS_01.rawtlt") == 2
    assert "has several" in capsys.readouterr().err


def test_mixed_files_and_a_project_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="either a project"):
        tb.ImportProject(i=Path("x"), mdoc=("y",))
    with pytest.raises(ValueError, match="--hand must be 1 or -1"):
        tb.ImportProject(mdoc=("y",), hand=0)


def test_what_a_project_says_itself_is_not_taken_from_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="--dose-per-tilt, --hand: only where files of several programs"):
        tb.ImportProject(i=Path("x"), hand=1, dose_per_tilt=3)
    write_sources(Path("in"))
    assert imported() == 0
    assert main(["import", "--i", "out", "--angpix", "3", "--o", "again"]) == 2
    assert main(["import", "--i", "out", "--coordinates-angpix", "3", "--o", "again"]) == 2
    shown = capsys.readouterr().err
    assert "--angpix: is known from the project" in shown and "--coordinates-angpix: is known" in shown
    for option in ({"coordinates_centre": "corner"}, {"euler": "relion"}):
        with pytest.raises(ValueError, match="only with --particles"):
            tb.ImportProject(i=Path("x"), **option)
    with pytest.raises(ValueError, match="--mot belongs to a project"):
        tb.ImportProject(mdoc=("x",), mot=Path("y"))
    with pytest.raises(ValueError, match="--kv"):
        tb.ImportProject(i=Path("frames/warp.settings"), kv=200)


def test_relions_own_alignment_of_empiar_10164_comes_out_of_files_in_aretomos_form(shared: Path) -> None:
    """Real mdoc, 41 views in the order of time; RELION's alignment and defoci of 40 of them, by angle, as AreTomo and CTFFIND write."""
    Path("in").mkdir()
    mdoc = shared / "data/geometry/tiltstack_EMPIAR10164_TS_01/mdoc/TS_01.mrc.mdoc"
    Path("in/TS_01.mrc.mdoc").write_text(mdoc.read_text())
    truth = read_star(shared / "data/empiar10164/AlignTiltSeries/job005/tilt_series/TS_01.star")["TS_01"].columns
    column = {label: truth[label].astype(float) for label in TILT_LABELS}
    table = zip(*(column[f"rlnTomo{name}"] for name in ("ZRot", "XShiftAngst", "YShiftAngst", "YTilt")), strict=True)
    rows = [f"{i} {axis} 1.0 {x / 1.35:.5f} {y / 1.35:.5f} 1 1 1 0 {tilt}" for i, (axis, x, y, tilt) in enumerate(table)]
    Path("in/TS_01.aln").write_text("\n".join([f"# RawSize = 3838 3710 {len(rows)}", "# AlphaOffset = 0", *rows, ""]))
    defoci = zip(*(column[f"rlnDefocus{name}"] for name in ("U", "V", "Angle")), strict=True)
    lines = [f"{i + 1} {u} {v} {angle} 0 0.1 6" for i, (u, v, angle) in enumerate(defoci)]
    Path("in/TS_01_ctffind4.txt").write_text("\n".join([*lines, ""]))
    optics = ["--angpix", "1.35", "--kv", "300", "--cs", "2.7", "--q0", "0.1"]
    words = ["--mdoc", "in", "--alignment", "in", "--ctf", "in", *optics, "--dose-per-tilt", "3", "--tomogram-size", "4000", "4000", "2000"]
    assert main(["import", *words, "--o", "out"]) == 0
    series = read_tomograms(Path("out/tomograms.star"), images="optional")[0]
    assert np.allclose(series.dose, column["rlnMicrographPreExposure"])
    assert np.allclose(series.defocus_u_angstrom, column["rlnDefocusU"])
    angles = np.stack([column[f"rlnTomo{name}"] for name in ("XTilt", "YTilt", "ZRot")], -1)
    assert np.allclose(series.rotation, matrix_from_tilt_angles(angles), atol=1e-7)
    shifts = np.stack([column["rlnTomoXShiftAngst"], column["rlnTomoYShiftAngst"]], -1)
    assert np.allclose(series.shift_angstrom, shifts - 1.35 / 2, atol=1e-3), "middles at (n-1)/2 there, at n/2 in RELION"

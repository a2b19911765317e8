"""Files of other programs, imported as a user would: points must land where those programs put them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tomobayes.cli import main
from tomobayes.formats.euler import matrix_from_tilt_angles
from tomobayes.formats.relion import read_dataset
from tomobayes.formats.star import read_star
from tomobayes.geometry.deformation import deformed
from tomobayes.geometry.projection import project
from tomobayes.jobs.describe import describe
from tomobayes.model import Dataset

Float = NDArray[np.float64]

SOLUTIONS = [
    *(("BB/BBa", run) for run in ("", "_patch-tracking", "_simple-align")),
    *(("midzone2/midzone2a", run) for run in ("", "_patch-tracking")),
    *((name, "") for name in ("BB/BBb", "midzone2/midzone2b")),
]
PIXEL = 2.0


def _imported(folder: Path, n_views: int, image_size: tuple[int, int], points_px: Float, *words: str) -> Dataset:
    """What ``import`` makes of an alignment in a folder, of defoci that say nothing, and of points from the middle of the tomogram."""
    (folder / "TS_ctffind4.txt").write_text("".join(f"{view + 1} 20000 20000 0 0 0.1 6\n" for view in range(n_views)))
    np.savetxt(folder / "TS.txt", points_px, fmt="%.6f")
    size = [str(edge) for edge in image_size]
    given = ["--angpix", str(PIXEL), "--kv", "300", "--cs", "2.7", "--q0", "0.1", "--order", "section", "--dose-per-tilt", "3"]
    given += ["--image-size", *size, "--tomogram-size", *size, "2000", "--coordinates-angpix", str(PIXEL), "--coordinates-centre", "middle"]
    files = ["--alignment", str(folder), "--ctf", str(folder / "TS_ctffind4.txt"), "--particles", str(folder / "TS.txt")]
    assert main(["import", *files, *given, *words, "--o", str(folder / "out")]) == 0
    return read_dataset(folder / "out", require_images=False)


def _places(dataset: Dataset, image_size: tuple[int, int], *, with_motion: bool = True) -> Float:
    """(P, F, 2) pixels from the middle of the image's first."""
    series, points = dataset.tilt_series[0], torch.from_numpy(dataset.particles.centre_angstrom)
    if dataset.motion_angstrom is not None and with_motion:
        points = points[:, None] + torch.from_numpy(np.stack(dataset.motion_angstrom))
    geometry = torch.from_numpy(series.rotation), torch.from_numpy(series.shift_angstrom)
    places = project(points, *geometry, series.pixel_size_angstrom, series.tomogram_size, image_size)
    return (deformed(places, series.deformation, image_size) if series.deformation is not None else places).numpy()


def test_fiducials_of_imod_land_where_tiltalign_saw_them(tmp_path, monkeypatch, claims, shared):
    """Seven real solutions, some with magnification, stretch and Z factors. Residuals are written with two decimals, positions with two."""
    monkeypatch.chdir(tmp_path)
    off, plain, rounding = [], [], 0.01 / np.sqrt(12) * 2
    for name, run in SOLUTIONS:
        base, folder = shared / "data/geometry/imod_etomo_BB_midzone2" / name, tmp_path / f"{Path(name).name}{run}"
        folder.mkdir()
        endings = [(".xf", f"{run}.tltxf"), (".tlt", f"{run}.tlt"), *([(".zfac", ".zfac")] if not run else [])]
        for ending, source in endings:
            shutil.copy(f"{base}{source}", folder / f"TS{ending}")
        lines = Path(f"{base}fid{run}.xyz").read_text().splitlines()
        size = tuple(int(word) for word in lines[0].split()[-2:])
        points = np.array([line.split()[1:4] for line in lines], dtype=float) - [size[0] / 2, size[1] / 2, 0]
        residuals = np.loadtxt(f"{base}{run}.resid", skiprows=1)
        projected, view = residuals[:, :2] + residuals[:, 3:] - 0.5, residuals[:, 2].astype(int)
        transforms, tilts = np.loadtxt(folder / "TS.xf"), np.loadtxt(folder / "TS.tlt")
        places = _places(_imported(folder, len(tilts), size, points), size)
        off.append(np.linalg.norm(places[:, view] - projected, axis=-1).min(axis=0))
        plain.append(np.linalg.norm(_rigid(transforms, tilts, points, size)[:, view] - projected, axis=-1).min(axis=0))
    figure, null = (float(np.sqrt(np.mean(np.concatenate(one) ** 2))) for one in (off, plain))
    claims.measured("fiducials off tiltalign's projections, rms (px)", figure, at_most=0.02, oracle=rounding, null=null)


def _rigid(transforms: Float, tilts: Float, points: Float, size: tuple[int, int]) -> Float:
    """Without magnification, stretch and Z factors, from n/2 to n/2, as RELION takes IMOD's alignments."""
    angle = np.degrees(np.arctan2(transforms[:, 1], transforms[:, 0]))
    rotation = matrix_from_tilt_angles(np.stack([0 * tilts, tilts, angle], -1))
    shift = -np.linalg.solve(transforms[:, :4].reshape(-1, 2, 2), transforms[:, 4:, None])[..., 0]
    return np.einsum("fij,pj->pfi", rotation[:, :2], points) + shift + np.array([edge // 2 for edge in size])


def test_particles_in_alignments_of_aretomo_land_where_it_puts_them(tmp_path, monkeypatch, claims, shared):
    """Its own formula, R(ROT)·Ry(TILT) + (TX, TY) + local shift, in lines of their own; local alignments come over as motion."""
    monkeypatch.chdir(tmp_path)
    points = np.random.default_rng(0).uniform(-1, 1, (200, 3)) * [1500, 1500, 300]
    size = (4096, 4096)
    for kind, depth in (("global_no_local", 61), ("global_and_local", 51)):
        folder = tmp_path / kind
        folder.mkdir()
        shutil.copy(shared / f"data/geometry/alnfile_aretomo/{kind}.aln", folder / "TS.aln")
        dataset = _imported(folder, depth, size, points)
        rows = [line.split() for line in (folder / "TS.aln").read_text().splitlines() if line.strip() and line[0] != "#"]
        views = np.array([row for row in rows if len(row) == 10], dtype=float)
        patches = np.array([row for row in rows if len(row) == 7], dtype=float).reshape(-1, 7)
        expected = _aretomo(views, patches, points, size)
        off = PIXEL * np.linalg.norm(_places(dataset, size) - expected, axis=-1).max()
        null = PIXEL * np.linalg.norm(_places(dataset, size, with_motion=False) - expected, axis=-1).max() if len(patches) else None
        claims.measured(f"particles off AreTomo's projections ({kind}), largest (Å)", off, at_most=1e-3, oracle=0.0, null=null)


def _aretomo(views: Float, patches: Float, points: Float, size: tuple[int, int]) -> Float:
    places = []
    for view, (_, axis, _, tx, ty, *_, tilt) in enumerate(views):
        a, t = np.radians(axis), np.radians(tilt)
        x = points[:, 0] * np.cos(t) + points[:, 2] * np.sin(t)
        u = np.stack([x * np.cos(a) - points[:, 1] * np.sin(a), x * np.sin(a) + points[:, 1] * np.cos(a)], -1)
        mine = patches[(patches[:, 0] == view) & (patches[:, 6] >= 0.9)]
        away = ((u[:, None] - mine[:, 2:4]) / size) ** 2
        weight = np.exp(-100 * away.sum(-1))
        local = weight @ mine[:, 4:6] / weight.sum(1, keepdims=True) if len(mine) else 0.0
        places.append(u + local + [tx, ty] + (np.array(size) - 1) / 2)
    return np.stack(places, 1)


def test_five_sources_of_empiar_10164_give_relions_own_tilt_series(tmp_path, monkeypatch, claims, shared):
    """Real mdoc in the order of time; RELION's alignment and defoci of 40 of its 41 views, in the form of AreTomo and CTFFIND, by angle."""
    monkeypatch.chdir(tmp_path)
    truth = read_star(shared / "data/empiar10164/AlignTiltSeries/job005/tilt_series/TS_01.star")["TS_01"].columns
    angles, shifts, doses, defoci = (
        np.stack([truth[label].astype(float) for label in labels], -1)
        for labels in (
            ("rlnTomoXTilt", "rlnTomoYTilt", "rlnTomoZRot"),
            ("rlnTomoXShiftAngst", "rlnTomoYShiftAngst"),
            ("rlnMicrographPreExposure",),
            ("rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle"),
        )
    )
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(shared / "data/geometry/tiltstack_EMPIAR10164_TS_01/mdoc/TS_01.mrc.mdoc", folder)
    rows = [
        f"{i} {z} 1 {x / 1.35:.6f} {y / 1.35:.6f} 1 1 1 0 {t}" for i, ((_, t, z), (x, y)) in enumerate(zip(angles, shifts, strict=True))
    ]
    (folder / "TS_01.aln").write_text("\n".join([f"# RawSize = 3838 3710 {len(rows)}", "# AlphaOffset = 0", *rows, ""]))
    (folder / "TS_01_ctffind4.txt").write_text("".join(f"{i + 1} {u} {v} {a} 0 0.1 6\n" for i, (u, v, a) in enumerate(defoci)))
    optics = [
        "--angpix",
        "1.35",
        "--kv",
        "300",
        "--cs",
        "2.7",
        "--q0",
        "0.1",
        "--dose-per-tilt",
        "3",
        "--tomogram-size",
        "4000",
        "4000",
        "2000",
    ]
    points = np.random.default_rng(0).uniform(-2000, 2000, (100, 3)) * [1, 1, 0.4]
    np.savetxt("TS_01.txt", points, fmt="%.6f")
    files = ["--mdoc", "in", "--alignment", "in", "--ctf", "in", "--particles", "TS_01.txt"]
    words = ["--coordinates-angpix", "1", "--coordinates-centre", "middle", "--o", "out"]
    assert main(["import", *files, *optics, *words]) == 0
    dataset = read_dataset("out", require_images=False)
    series, size = dataset.tilt_series[0], (3838, 3710)
    relion = np.einsum("fij,pj->pfi", matrix_from_tilt_angles(angles)[:, :2], points) + shifts + 1.35 * (np.array(size) - 1) / 2
    off = np.linalg.norm(1.35 * _places(dataset, size) - relion, axis=-1).max()
    claims.measured("points off RELION's, middles brought together, largest (Å)", off, at_most=1e-3, oracle=0.0, null=1.35 / np.sqrt(2))
    mixed_up = np.abs(series.dose - doses[:, 0]).max() + np.abs(series.defocus_u_angstrom - defoci[:, 0]).max()
    claims.measured("doses and defoci of other views", float(mixed_up), at_most=1e-3, oracle=0.0)


def test_the_project_of_empiar_10164_comes_in_without_a_warning_that_is_not_true(tmp_path, monkeypatch, claims, shared):
    """Five tilt series, 9,053 particles; no tilt images are there, which is all there is to warn of."""
    folder = shared / "data/empiar10164"
    monkeypatch.chdir(folder)
    untrue = 0
    for name, words in (
        ("refined", ["--t", "CtfRefine/job067/tomograms.star", "--p", "Refine3D/job074/run_data.star"]),
        ("polished", ["--i", "Polish/job070", "--mot", "none"]),
    ):
        assert main(["import", *words, "--o", str(tmp_path / name)]) == 0
        dataset = read_dataset(tmp_path / name, require_images=False)
        warnings = [one.text for one in describe(dataset).findings if one.kind == "warning"]
        untrue += sum("What needs pixels will refuse" not in text for text in warnings)
        before = read_star(folder / (words[-1] if name == "refined" else "Polish/job070/particles.star"))["particles"].columns
        after = read_star(tmp_path / name / "particles.star")["particles"].columns
        assert len(dataset.particles) == 9053 and all(np.array_equal(after[label], cells) for label, cells in before.items())
    claims.measured("warnings that are not true", untrue, at_most=0)


def test_local_alignments_of_imod_explain_beads_better_than_global_ones(tmp_path, monkeypatch, claims, shared):
    """Every bead at the position that explains its measured places best, by the imported geometry with motion and without."""
    monkeypatch.chdir(tmp_path)
    ratios = []
    for name, run in [one for one in SOLUTIONS if one[1] != "_simple-align"]:
        base, folder = shared / "data/geometry/imod_etomo_BB_midzone2" / name, tmp_path / f"{Path(name).name}{run}"
        folder.mkdir()
        endings = [
            (".xf", f"{run}.tltxf"),
            (".tlt", f"{run}.tlt"),
            ("local.xf", f"local{run}.xf"),
            *([(".zfac", ".zfac")] if not run else []),
        ]
        for ending, source in endings:
            shutil.copy(f"{base}{source}", folder / f"TS{ending}")
        lines = Path(f"{base}fid{run}.xyz").read_text().splitlines()
        size = tuple(int(word) for word in lines[0].split()[-2:])
        factors = "" if run else "ZFACTORFILE TS.zfac\n"
        (folder / "tilt.com").write_text(f"TILTFILE TS.tlt\nFULLIMAGE {size[0]} {size[1]}\nLOCALFILE TSlocal.xf\n{factors}")
        points = np.array([line.split()[1:4] for line in lines], dtype=float) - [size[0] / 2, size[1] / 2, 0]
        residuals = np.loadtxt(f"{base}{run}.resid", skiprows=1)
        measured, view = residuals[:, :2] - 0.5, residuals[:, 2].astype(int)
        n_views = len(np.loadtxt(folder / "TS.tlt"))
        around = (points[:, None] + np.concatenate([np.zeros((1, 3)), np.eye(3)])).reshape(-1, 3)  # a bead and a step along every axis
        dataset = _imported(folder, n_views, size, around)
        bead = np.linalg.norm(_places(dataset, size, with_motion=False)[::4][:, view] - (measured + residuals[:, 3:]), axis=-1).argmin(0)
        left = [_unexplained(_places(dataset, size, with_motion=local), measured, view, bead) for local in (True, False)]
        ratios.append(left[0] / left[1])
    claims.measured("residual of beads, local over global alignment, mean of six", float(np.mean(ratios)), at_most=0.9, null=1.0)
    claims.measured("the same, the worst of the six", float(np.max(ratios)), at_most=1.0, null=1.0)


def _unexplained(places: Float, measured: Float, view: NDArray[np.int64], bead: NDArray[np.int64]) -> float:
    """Rms (px) of what is left of measured places when every bead is moved to where it fits best, to first order."""
    there, steps = places[::4], np.stack([places[axis::4] - places[::4] for axis in (1, 2, 3)], -1)
    left = []
    for one in np.unique(bead):
        rows = np.flatnonzero(bead == one)
        off, slope = measured[rows] - there[one, view[rows]], steps[one, view[rows]].reshape(-1, 3)
        left.append(off.ravel() - slope @ np.linalg.lstsq(slope, off.ravel(), rcond=None)[0])
    return float(np.sqrt(np.mean(np.concatenate(left) ** 2)))

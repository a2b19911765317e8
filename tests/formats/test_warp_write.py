"""What is written for WarpTools and M means the same when it is read again, and leaves alone what has not changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tomobayes.formats.relion import read_dataset, write_dataset
from tomobayes.formats.star import read_star
from tomobayes.formats.warp import (
    WarpSizes,
    read_tomostar,
    read_warp,
    read_warp_tilt_series,
    write_tomostar,
    write_warp,
    write_warp_tilt_series,
)
from tomobayes.formats.warp_export_series import as_warp_series
from tomobayes.formats.warp_frame import WarpFrame
from tomobayes.formats.warp_geometry import as_optics, as_tilt_series
from tomobayes.formats.warp_sampling import sample_count, sampled
from tomobayes.imaging.views import transfer, views_of
from tomobayes.model import BadInput, Dataset, Deformation, DeformationKind
from warp_example import IMAGE, PIXEL, SIZES, VOLUME, refined_series, write_m_table, write_project

FREQUENCY = torch.tensor([[0.03, 0.01], [-0.02, 0.05], [0.0, 0.08]], dtype=torch.float64)


def assert_alike(first: Dataset, second: Dataset) -> None:
    """Projected positions to 1e-3 Å, orientations in the images to 1e-3°, transfer functions to 1e-3, tilt by tilt."""
    names = [one.name for one in second.tilt_series]
    for i, series in enumerate(first.tilt_series):
        rows = np.flatnonzero(first.particles.tilt_series == i)
        ours, theirs = views_of(first, rows), views_of(second, np.flatnonzero(second.particles.tilt_series == names.index(series.name)))
        assert ours.centre_px is not None
        assert theirs.centre_px is not None
        assert (ours.centre_px - theirs.centre_px).abs().max() * series.pixel_size_angstrom < 1e-3
        turned = [views.rotation.numpy() @ data.particles.rotation[rows][:, None] for views, data in ((ours, first), (theirs, second))]
        assert np.degrees(np.linalg.norm(turned[0] - turned[1], axis=(2, 3)).max() / 2**0.5) < 1e-3
        for tilt in range(series.n_tilts):
            assert (transfer(ours, tilt, FREQUENCY) - transfer(theirs, tilt, FREQUENCY)).abs().max() < 1e-3


def test_real_files_are_written_as_they_were(shared: Path, tmp_path: Path) -> None:
    """Warp 1, WarpTools and M, to the byte; and from nothing but the typed values, they mean the same."""
    files = sorted((shared / "data/geometry").rglob("*.xml"))
    assert len(files) >= 6
    for file in files:
        series = read_warp_tilt_series(file)
        write_warp_tilt_series(tmp_path / "same.xml", series)
        assert (tmp_path / "same.xml").read_bytes() == file.read_bytes(), file
        write_warp_tilt_series(tmp_path / f"{series.name}.xml", replace(series, document=None))
        again = read_warp_tilt_series(tmp_path / f"{series.name}.xml")
        for name in ("angle_degrees", "dose", "is_used", "axis_angle_degrees", "axis_offset_angstrom", "movie_paths", "field_of_view"):
            assert np.array_equal(getattr(again, name), getattr(series, name)), name
        assert (again.level_degrees, again.magnification, again.ctf, again.options) == (
            series.level_degrees,
            series.magnification,
            series.ctf,
            series.options,
        )
        for tag, grid in {**series.cubic, **series.linear}.items():
            assert np.array_equal({**again.cubic, **again.linear}[tag].values, grid.values)


def test_a_change_touches_its_own_elements_only(shared: Path, tmp_path: Path) -> None:
    file = shared / "data/geometry/warpylib_EMPIAR10491_10499/TS_1.xml"
    series = read_warp_tilt_series(file)
    write_warp_tilt_series(tmp_path / "TS_1.xml", replace(series, axis_offset_angstrom=series.axis_offset_angstrom + np.array([0.5, 0])))
    before, after = (path.read_text("utf-8-sig").splitlines() for path in (file, tmp_path / "TS_1.xml"))
    changed = [i for i, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
    assert changed == list(range(changed[0], changed[0] + 41))
    assert before[changed[0]].strip().startswith("<AxisOffsetX>")


@pytest.fixture
def refined(tmp_path: Path) -> Dataset:
    """Two tilt series with everything in them that M refines, and particles with trajectories."""
    folder = write_project(tmp_path / "m", [refined_series("TS_1", 1), refined_series("TS_2", 2, inverted=True)])
    return read_warp(folder, tmp_path / "m/ribosome_particles.star", sizes=SIZES).dataset


def test_what_is_written_is_read_again(refined: Dataset, tmp_path: Path) -> None:
    """Into new files: image warp, stage angles, magnification, weights, hand, motion."""
    written = write_warp(tmp_path / "new", refined, {})
    assert written.settings is not None
    again = read_warp(written.settings, written.m_particles, sizes=WarpSizes(image_size=SIZES.image_size))
    assert_alike(refined, again.dataset)
    assert again.dataset.particles.half.tolist() == refined.particles.half.tolist()
    assert (
        again.dataset.particles.columns["rlnAutopickFigureOfMerit"].tolist()
        == refined.particles.columns["rlnAutopickFigureOfMerit"].tolist()
    )
    assert any("exact at every tilt" in note for note in written.notes)


def test_a_series_becomes_optics_and_back() -> None:
    """Aberrations: the even ones as they are after a constant that Warp has not, the odd ones turned round."""
    series = refined_series("TS_1", 1)
    optics = as_optics(series, "one")
    assert optics.even_zernike[:4] == (0, 0.8, -0.1, -0.7)
    assert optics.odd_zernike == (-3, 11, -1, -2, 6, 1)
    own = as_tilt_series(series, WarpFrame(PIXEL, VOLUME, IMAGE, (700, 550)), "one")
    again = as_optics(as_warp_series(own, optics), "one")
    assert np.allclose(again.even_zernike, optics.even_zernike)
    assert np.allclose(again.odd_zernike[:6], optics.odd_zernike)
    assert again.spherical_aberration_mm == pytest.approx(optics.spherical_aberration_mm, rel=1e-8)
    assert again.magnification == optics.magnification


def test_originals_are_kept_but_for_what_changed(refined: Dataset, tmp_path: Path) -> None:
    originals = {name: read_warp_tilt_series(tmp_path / f"m/warp_tiltseries/{name}.xml") for name in ("TS_1", "TS_2")}
    written = write_warp(tmp_path / "same", refined, originals)
    for name in originals:
        assert (written.processing / f"{name}.xml").read_bytes() == (tmp_path / f"m/warp_tiltseries/{name}.xml").read_bytes()
    moved = replace(refined, tilt_series=tuple(replace(one, shift_angstrom=one.shift_angstrom + 3.0) for one in refined.tilt_series))
    written = write_warp(tmp_path / "moved", moved, originals)
    assert_alike(moved, read_warp(written.processing, written.m_particles, sizes=SIZES).dataset)
    after = read_warp_tilt_series(written.processing / "TS_1.xml")
    assert np.allclose(after.axis_offset_angstrom, originals["TS_1"].axis_offset_angstrom + 3)
    assert np.array_equal(after.linear["GridVolumeWarpX"].values, originals["TS_1"].linear["GridVolumeWarpX"].values)


def test_angles_that_are_no_common_inclination_move_points_by_volume_warp(refined: Dataset, tmp_path: Path) -> None:
    """Particles that do not move of themselves then need one position each, and still land where they did."""
    still = replace(refined, motion_angstrom=None)
    written = write_warp(tmp_path / "still", still, {})
    assert "wrpCoordinateX2" not in next(iter(read_star(written.m_particles or "").values())).columns
    assert_alike(still, read_warp(written.processing, written.m_particles, sizes=SIZES).dataset)
    assert_alike(still, read_warp(written.processing, written.particles, sizes=SIZES).dataset)


def test_a_relion_project_goes_to_warp_and_back(dataset: Dataset, tmp_path: Path) -> None:
    """Subtomogram frames, origins, odd sizes, any angles, motion."""
    tilt_series = tuple(
        replace(one, b_factor_per_dose=4.0, deformation=None, defocus_slope=1.0, optics_name=dataset.optics[0].name)
        for one in dataset.tilt_series
    )
    plain = replace(dataset.optics[0], even_zernike=(), odd_zernike=(), magnification=((1.0, 0.0), (0.0, 1.0)))
    given = replace(
        dataset,
        tilt_series=tilt_series,
        optics=(plain,),
        particles=replace(dataset.particles, optics=0 * dataset.particles.optics),
    )
    assert given.motion_angstrom is not None
    written = write_warp(tmp_path / "warp", given)
    again = read_warp(written.processing, written.m_particles).dataset
    assert_alike(given, again)


def test_b_factors_take_ms_decay_for_the_critical_dose(refined: Dataset, tmp_path: Path) -> None:
    """M knows no other; said so."""
    damped = tuple(replace(one, b_factor=np.full(9, 20.0), b_factor_per_dose=0.0) for one in refined.tilt_series)
    written = write_warp(tmp_path / "b", replace(refined, tilt_series=damped), {})
    factors = read_warp_tilt_series(written.processing / "TS_1.xml").grid("GridDoseBfacs").values[:, 0, 0]
    area = float(np.linalg.det(np.array(refined.optics[0].magnification)))
    assert np.allclose(factors, -20 * area - 4 * damped[0].dose)
    assert any("critical dose" in note for note in written.notes)


def test_a_project_of_warps_stays_one_through_relion_files(tmp_path: Path) -> None:
    """Imported, written as RELION 5 has it, read and exported: the files it came from, and particles that do not move still do not."""
    folder = write_project(tmp_path / "m", [replace(refined_series("TS_1", 1), linear={})])
    write_m_table(tmp_path / "still.star", ["TS_1"], samples=1)
    given = read_warp(folder, tmp_path / "still.star", sizes=SIZES).dataset
    relion = read_dataset(write_dataset(tmp_path / "relion", given), require_images=False)
    assert relion.tilt_series[0].image_size is None
    written = write_warp(tmp_path / "warp", relion)
    assert (written.processing / "TS_1.xml").read_bytes() == (folder / "TS_1.xml").read_bytes()
    assert "wrpCoordinateX2" not in next(iter(read_star(written.m_particles or "").values())).columns
    assert_alike(given, read_warp(written.processing, written.m_particles, sizes=SIZES).dataset)
    unsized = replace(relion, tilt_series=tuple(replace(one, globals_={}) for one in relion.tilt_series))
    with pytest.raises(BadInput, match="size of the images"):
        write_warp(tmp_path / "unsized", unsized)
    (folder / "TS_1.xml").unlink()
    assert any("is not there" in note for note in write_warp(tmp_path / "gone", relion).notes)


def test_another_magnification_leaves_the_envelope(refined: Dataset, tmp_path: Path) -> None:
    """In the file that it came from, whose B factors are of the image's frequencies."""
    wider = replace(refined, optics=tuple(replace(one, magnification=((1.05, 0.0), (0.0, 1.05))) for one in refined.optics))
    written = write_warp(tmp_path / "wider", wider)
    again = read_warp(written.processing, written.m_particles, sizes=SIZES).dataset
    ours, theirs = (one.tilt_series[0] for one in (wider, again))
    assert np.allclose(
        ours.b_factor + ours.b_factor_per_dose * ours.dose, theirs.b_factor + theirs.b_factor_per_dose * theirs.dose, atol=1e-4
    )


@pytest.mark.parametrize(
    ("kind", "grid", "count", "bar"), [("affine", (1, 1), 3, 1e-5), ("spline", (3, 2), 48, 0.05), ("fourier", (2, 2), 8, 0.02)]
)
def test_deformations_become_image_warps(
    refined: Dataset, kind: DeformationKind, grid: tuple[int, int], count: int, bar: float, tmp_path: Path
) -> None:
    """Affine ones exactly; splines with slopes of their own and waves to within hundredths of a pixel."""
    rng = np.random.default_rng(4)
    size = {"affine": 0.01, "spline": 1.0, "fourier": 1.0}[kind]
    deformation = Deformation(kind, rng.normal(0, size, (9, count)), grid)
    given = replace(refined, tilt_series=tuple(replace(one, deformation=deformation) for one in refined.tilt_series), motion_angstrom=None)
    written = write_warp(tmp_path / "warp", given, {})
    again = read_warp(written.processing, written.m_particles, sizes=SIZES).dataset
    ours, theirs = (views_of(one, np.flatnonzero(one.particles.tilt_series == 0)).centre_px for one in (given, again))
    assert ours is not None
    assert theirs is not None
    assert (ours - theirs).abs().max() < bar
    assert any("natural splines" in note for note in written.notes) == (kind != "affine")


def test_doses_find_their_samples() -> None:
    """Evenly dosed tilts are samples themselves; two kinds of series share samples; what lies between is on a line."""
    even, coarse = np.array([0.5, 0.0, 0.25, 0.75, 1.0]), np.array([0.0, 0.5, 1.0])
    assert sample_count([even]) == 5
    assert sample_count([even, np.array([0, 1 / 3, 1.0])]) == 13
    values = np.array([[5.0], [0.0], [2.0], [8.0], [9.0]])
    assert sampled(values, even, 5).ravel().tolist() == [0, 2, 5, 8, 9]
    assert sampled(np.array([[0.0], [4.0], [6.0]]), coarse, 5).ravel().tolist() == [0, 2, 4, 5, 6]


def test_tomostars_keep_what_they_have(tmp_path: Path) -> None:
    text = "data_\n\nloop_\n_wrpMovieName #1\n_wrpAngleTilt #2\n_wrpAxisAngle #3\n_wrpDose #4\n_wrpMaskedFraction #5\n"
    (tmp_path / "a.tomostar").write_text(text + "../f/a_1.tif -3.010 84.5 3.0 0.000\n../f/a_0.tif 0.00 84.5 0.0 0.001\n")
    found = read_tomostar(tmp_path / "a.tomostar")
    assert found.acquisition.tolist() == [1, 0]
    assert not found.axis_offset_angstrom.any()
    write_tomostar(tmp_path / "b.tomostar", replace(found, dose=np.array([3.0, 0.5])))
    cells = next(iter(read_star(tmp_path / "b.tomostar").values())).columns
    assert cells["wrpAngleTilt"].tolist() == ["-3.010", "0.00"]
    assert cells["wrpDose"].tolist() == ["3.0", "0.500000"]
    assert cells["wrpMaskedFraction"].tolist() == ["0.000", "0.001"]


def test_unassigned_halves_are_told(refined: Dataset, tmp_path: Path) -> None:
    unassigned = replace(refined, particles=replace(refined.particles, half=0 * refined.particles.half))
    written = write_warp(tmp_path / "a", unassigned)
    assert written.m_particles is None
    assert any("split-halves" in note for note in written.notes)

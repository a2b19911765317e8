"""MRC files: every mode and byte order, maps, stacks, and files that are not what they say."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from tomobayes.formats.mrc import read_map, write_map, write_stack
from tomobayes.formats.mrc_header import map_pixels, read_header
from tomobayes.formats.mrc_images import MrcImages, check_images
from tomobayes.formats.stored_particles import StoredStacks, StoredSubtomograms, check_stored, write_pseudo_subtomogram
from tomobayes.model import BadInput, Map, PseudoSubtomogram

RNG = np.random.default_rng(3)


@pytest.mark.parametrize("dtype", ["i1", "i2", "f4", "u2", "f2"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_modes_and_byte_orders_as_mrcfile_writes_them(tmp_path: Path, dtype: str, order: str) -> None:
    data = RNG.integers(0, 100, size=(3, 4, 5)).astype(np.dtype(dtype).newbyteorder(order))
    with mrcfile.new(tmp_path / "a.mrcs") as stream:
        stream.set_data(data)
        stream.set_extended_header(np.zeros(64, dtype="V1"))
        stream.voxel_size = 3.25
    images = MrcImages.of_stack(tmp_path / "a.mrcs")
    assert images.shape == (3, 4, 5)
    assert images.pixel_size_angstrom == pytest.approx(3.25)
    for tilt in range(3):
        assert images.read(tilt).dtype.isnative
        np.testing.assert_array_equal(images.read(tilt), data[tilt])


def test_images_are_views_and_travel_to_other_processes(tmp_path: Path) -> None:
    write_stack(tmp_path / "a.mrcs", RNG.normal(size=(2, 4, 4)), 2.0)
    images = MrcImages.of_stack(tmp_path / "a.mrcs", pixel_size_angstrom=2.1)
    assert images.read(1).base is not None
    other = pickle.loads(pickle.dumps(images))
    np.testing.assert_array_equal(other.read(1), images.read(1))
    assert other.pixel_size_angstrom == 2.1


@pytest.mark.parametrize(("mode", "number", "tolerance"), [("float32", 2, 1e-7), ("float16", 12, 1e-3)])
def test_maps_go_round(tmp_path: Path, mode: str, number: int, tolerance: float) -> None:
    volume = Map(RNG.normal(size=(6, 6, 6)).astype(np.float32), 1.35)
    write_map(tmp_path / "a.mrc", volume, mode)
    found = read_map(tmp_path / "a.mrc")
    np.testing.assert_allclose(found.data, volume.data, rtol=tolerance, atol=tolerance)
    assert found.data.dtype == np.float32 and found.pixel_size_angstrom == pytest.approx(1.35)
    with mrcfile.open(tmp_path / "a.mrc") as stream:
        assert stream.is_volume() and stream.header.mode == number
    assert mrcfile.validate(tmp_path / "a.mrc")


@pytest.mark.parametrize("n", [1, 3])
def test_stacks_are_stacks(tmp_path: Path, n: int) -> None:
    images = RNG.normal(size=(n, 4, 6)).astype(np.float32)
    write_stack(tmp_path / "a.mrcs", images, 8.0)
    with mrcfile.open(tmp_path / "a.mrcs") as stream:
        assert not stream.is_volume() and stream.voxel_size.x == pytest.approx(8)
        np.testing.assert_array_equal(stream.data.reshape(images.shape), images)
    assert read_header(tmp_path / "a.mrcs").shape == images.shape


def test_values_beyond_float16_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="do not fit into float16"):
        write_stack(tmp_path / "a.mrcs", np.full((1, 2, 2), 1e6), 1.0, "float16")
    assert not list(tmp_path.iterdir())


def write_unchecked(path: Path, images: np.ndarray, pixel_size_angstrom: float) -> None:
    """What other programs may write: anything."""
    with warnings.catch_warnings(action="ignore"), mrcfile.new(path) as stream:
        stream.set_data(images)
        stream.voxel_size = pixel_size_angstrom


def test_values_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 values are NaN"):
        write_stack(tmp_path / "a.mrcs", np.array([[[1, np.nan]]]), 1.0)
    assert not list(tmp_path.iterdir())


def spoil(path: Path, kind: str) -> None:
    raw = path.read_bytes()
    if kind == "truncated":
        path.write_bytes(raw[:-4])
    elif kind == "header":
        path.write_bytes(raw[:100])
    elif kind == "text":
        path.write_bytes(b"this is no map at all " * 100)
    elif kind == "mode":
        path.write_bytes(raw[:12] + (4).to_bytes(4, "little") + raw[16:])
    else:
        path.unlink()


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("truncated", "is truncated: 1276 bytes, but its header tells of 4 x 4 x 4 pixels, 1280 bytes"),
        ("header", "is truncated: 100 bytes are less than an MRC header"),
        ("text", "is not an MRC file"),
        ("mode", "MRC mode 4 is not supported"),
        ("missing", "is not there"),
    ],
)
def test_files_that_are_not_what_they_say(tmp_path: Path, kind: str, what: str) -> None:
    path = tmp_path / "a.mrc"
    write_map(path, Map(np.ones((4, 4, 4), dtype=np.float32), 1.0))
    spoil(path, kind)
    with pytest.raises(BadInput) as caught:
        read_header(path)
    (problem,) = caught.value.problems
    assert problem.file == path and problem.what == what and problem.remedy


def test_faulty_maps_are_told_all_at_once(tmp_path: Path) -> None:
    data = np.zeros((4, 5, 6), dtype=np.float32)
    data[1, 2, 3] = np.nan
    write_unchecked(tmp_path / "a.mrc", data, 0.0)
    with pytest.raises(BadInput) as caught:
        read_map(tmp_path / "a.mrc")
    told = [problem.what for problem in caught.value.problems]
    assert told == ["is not cubic: 6 x 5 x 4 voxels", "has no voxel size", "1 voxels are NaN or infinite"]


def test_spoilt_images_are_named(tmp_path: Path) -> None:
    images = RNG.normal(size=(9, 4, 4)).astype(np.float32)
    write_stack(tmp_path / "good.mrcs", images, 2.0)
    assert check_images(MrcImages.of_stack(tmp_path / "good.mrcs"), "TS_01") == []
    images[1, 0, 0], images[4], images[5, 2, 1] = np.nan, 3, np.inf
    write_unchecked(tmp_path / "bad.mrcs", images, 2.0)
    problems = check_images(MrcImages.of_stack(tmp_path / "bad.mrcs"), "TS_01")
    assert [(problem.where, problem.what) for problem in problems] == [
        ("image 2", "1 pixels are NaN or infinite"),
        ("image 5", "is constant: every pixel is 3.0"),
        ("image 6", "1 pixels are NaN or infinite"),
    ]
    write_stack(tmp_path / "flat.mrcs", np.zeros((9, 4, 4)), 2.0)
    assert str(check_images(MrcImages.of_stack(tmp_path / "flat.mrcs"), "TS_01")[-1]).startswith("TS_01: 4 more images")


@pytest.mark.parametrize("mode", ["float32", "float16"])
def test_pseudo_subtomograms_go_round(tmp_path: Path, mode: str) -> None:
    n = 6
    data, weight, multiplicity = (RNG.random(shape).astype(np.float32) for shape in [(n, n, n), (n, n, 4), (n, n, 4)])
    paths = tmp_path / "1_data.mrc", tmp_path / "1_weights.mrc"
    write_pseudo_subtomogram(*paths, PseudoSubtomogram(data, weight, multiplicity), 2.0, mode)
    headers = tuple(read_header(path) for path in paths)
    stored = StoredSubtomograms(headers[:1], headers[1:], 2.0)
    found = stored.read(0)
    for expected, value in zip((data, weight, multiplicity), (found.data, found.weight, found.multiplicity), strict=True):
        np.testing.assert_allclose(value, expected, atol=1e-3)
    assert headers[1].shape == (2 * n, n, n // 2 + 1)
    assert headers[1].pixel_size_angstrom == pytest.approx(0.5)
    assert stored.box == n and check_stored(stored) == []


def test_weights_lie_as_relion_lays_them(shared: Path) -> None:
    """W (sum of squared CTFs below 1) is nowhere above M, and both vanish beyond the sampled ball."""
    folder = shared / "data/simulated/ribosome/relion/three_b2/Subtomograms/TS_01"
    stored = StoredSubtomograms((read_header(folder / "1_data.mrc"),), (read_header(folder / "1_weights.mrc"),), 8.0)
    one = stored.read(0)
    assert (one.weight <= one.multiplicity * 1.001 + 1e-6).all() and one.multiplicity.max() > 10 * one.multiplicity.mean()
    assert one.multiplicity[24, 24, 24] == 0 < one.multiplicity[0, 0, 1]


def test_stacks_give_the_visible_tilts_whether_they_hold_them_all_or_not(tmp_path: Path) -> None:
    images = RNG.normal(size=(4, 6, 6)).astype(np.float32)
    visible = np.array([True, False, True, True])
    write_stack(tmp_path / "all.mrcs", images, 2.0)
    write_stack(tmp_path / "visible.mrcs", images[visible], 2.0)
    headers = tuple(read_header(tmp_path / name) for name in ("all.mrcs", "visible.mrcs"))
    stacks = StoredStacks(headers, (visible, visible), 2.0, premultiplied=True)
    for particle in (0, 1):
        np.testing.assert_array_equal(stacks.read(particle), images[visible])
    assert stacks.select([1]).headers == headers[1:]
    assert map_pixels(headers[1]).shape == (3, 6, 6)

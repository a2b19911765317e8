"""Where particles are in an image: what extraction does there, and what RELION's formulas say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from small_experiment import OPTICS, PIXEL, particles, positions, series
from tomobayes.formats.relion import read_dataset
from tomobayes.imaging.crops import crop_boxes
from tomobayes.imaging.reduced import grey_range, reduced, smoothed
from tomobayes.imaging.seen import seen_in
from tomobayes.imaging.views import views_of
from tomobayes.model import Dataset, Deformation


def test_positions_are_those_of_relions_projection_matrices(shared):
    """P = S1·S2·Rz·Ry·Rx·S0, written out here from the columns of the STAR files (facts of RELION 5), with its motion and centres."""
    folder = shared / "data" / "simulated" / "ribosome_errors"
    dataset = read_dataset(folder / "relion/align/optimisation_set.star", root=folder)
    assert dataset.motion_angstrom is not None
    for index, one in enumerate(dataset.tilt_series):
        rows = np.flatnonzero(dataset.particles.tilt_series == index)
        width, height = one.image_size
        for tilt in (0, 17, 40):
            angle = [float(one.columns[label][tilt]) for label in ("rlnTomoZRot", "rlnTomoYTilt", "rlnTomoXTilt")]
            shift = [float(one.columns[label][tilt]) for label in ("rlnTomoXShiftAngst", "rlnTomoYShiftAngst")]
            turn = Rotation.from_euler("ZYX", angle, degrees=True).as_matrix()
            place = dataset.particles.centre_angstrom[rows] + np.stack([dataset.motion_angstrom[row][tilt] for row in rows])
            expected = (place @ turn.T)[:, :2] + shift
            expected = expected / one.pixel_size_angstrom + [width // 2, height // 2]
            seen = seen_in(dataset, index, tilt)
            np.testing.assert_array_equal(seen.particles, rows)
            np.testing.assert_allclose(seen.position_px, expected, atol=1e-6)


def test_positions_are_where_boxes_are_cut(shared):
    folder = shared / "data" / "simulated" / "ribosome"
    dataset = read_dataset(folder / "optimisation_set.star", root=folder)
    seen, image = seen_in(dataset, 0, 20, 48.0), dataset.tilt_series[0].images.read(20)
    views = views_of(dataset, seen.particles, half_width_px=48.0)
    _, inside = crop_boxes([image] * len(seen.particles), views.centre_px[:, 20], 96)
    corner = np.round(seen.position_px) - 48
    np.testing.assert_allclose(seen.position_px, corner + inside.numpy(), atol=1e-6)
    np.testing.assert_array_equal(seen.visible, views.visible[:, 20].numpy())
    assert 0 < seen.visible.sum() <= len(seen.particles)


def test_deformation_motion_and_optics_groups_count():
    bent = replace(series(256), deformation=Deformation("affine", np.array([0.02, 0.0, -0.01])))
    table = replace(particles(positions(3, 40)), optics=np.arange(9) % 2)
    still = Dataset((bent,), (OPTICS, replace(OPTICS, name="b")), table)
    motion = tuple(np.tile([6.0, 0, 0], (13, 1)) for _ in range(9))
    moved = replace(still, motion_angstrom=motion)
    straight = replace(still, tilt_series=(replace(bent, deformation=None),))
    untilted = 6
    turn = np.array(bent.rotation[untilted][:2, :2]) @ [6.0, 0] / PIXEL
    here, there = seen_in(still, 0, untilted).position_px, seen_in(moved, 0, untilted).position_px
    np.testing.assert_allclose(there - here, np.tile(turn * [1.02, 0.99], (9, 1)), atol=1e-6)
    assert 0.1 < np.abs(here - seen_in(straight, 0, untilted).position_px).max() < 2


def test_defocus_has_the_depth():
    """At hand -1 what is 100 Å closer in z at tilt 0 is 100 Å less in focus."""
    table = particles(np.array([[0.0, 0, 100], [0, 0, -100]]))
    dataset = Dataset((replace(series(256), hand=-1.0),), (OPTICS,), table)
    first, second = seen_in(dataset, 0, 6).defocus_angstrom
    np.testing.assert_allclose(first - second, -200, atol=1e-6)


def test_without_images_there_are_no_positions():
    dataset = Dataset((replace(series(256), image_size=None),), (OPTICS,), particles(positions(2, 40)))
    seen = seen_in(dataset, 0, 0)
    assert seen.position_px is None and seen.visible.all()


def test_reduced_images_are_means_of_blocks():
    image = np.random.default_rng(0).integers(-100, 100, (97, 131)).astype(np.int8)
    small, factor = reduced(image, 40)
    assert factor == 4 and small.shape == (24, 32) and small.dtype == np.float32
    np.testing.assert_allclose(small, image[:96, :128].reshape(24, 4, 32, 4).mean((1, 3)), rtol=1e-6)
    same, one = reduced(image, 200)
    assert one == 1 and np.array_equal(same, image)


def test_smooth_images_keep_what_is_coarse():
    x = np.arange(120) * 4.0
    coarse, fine = (np.cos(2 * np.pi * x / period) * np.ones((60, 1)) for period in (96.0, 24.0))
    smooth = smoothed((coarse + fine).astype(np.float32), 4.0, 48.0)
    np.testing.assert_allclose(smooth, coarse, atol=1e-5)


def test_grey_values_leave_out_the_extremes():
    image = np.zeros((100, 100), dtype=np.float32)
    image[::2] = np.arange(100)
    low, high = grey_range(image, 10)
    assert 8 < low < 11 and 87 < high < 91

"""Copies of a map in a tomogram are where and as particles are, by other means: interpolation in real space, and tilt images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.spatial.transform import Rotation

from small_experiment import OPTICS, PIXEL, particles, phantom, series
from tomobayes.fourier.volume import from_map
from tomobayes.maps.placing import place, turned
from tomobayes.model import Dataset
from tomobayes.simulation.images import clean_images

BOX = 32
MAP = phantom(BOX, PIXEL).data
SPECTRUM = from_map(torch.from_numpy(MAP))
AXES = Rotation.random(4, random_state=0).as_matrix()[:, :, 0]
TURNS = Rotation.from_rotvec(1.7 * AXES).as_matrix()


def interpolated(rotation: np.ndarray, shift_px: np.ndarray) -> np.ndarray:
    """V(Aᵀ(x - s)) by splines, with axes in the order of the array."""
    flipped = rotation[::-1, ::-1]
    centre = np.full(3, BOX // 2)
    return ndimage.affine_transform(MAP, flipped.T, centre - flipped.T @ (centre + shift_px[::-1]), order=3)


def correlation(one: np.ndarray, two: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), two.ravel())[0, 1])


@pytest.mark.parametrize("rotation", TURNS)
def test_copies_are_turned_and_moved_as_interpolation_does(rotation):
    shift = np.array([1.3, -0.4, 2.2])
    copy = turned(SPECTRUM, rotation[None], shift[None])[0]
    assert correlation(copy, interpolated(rotation, shift)) > 0.998
    assert correlation(copy, interpolated(rotation.T, shift)) < 0.9
    assert correlation(copy, interpolated(rotation, -shift)) < 0.9
    assert correlation(copy, interpolated(rotation, shift)[::-1]) < 0.9


def test_an_unturned_copy_is_the_map_with_its_density():
    """To 2 %, which the gridding correction adds off the middle where samples lie on the grid; turned copies are better."""
    copy = turned(SPECTRUM, np.eye(3)[None], np.zeros((1, 3)))[0]
    np.testing.assert_allclose(copy, MAP, atol=0.02 * MAP.max())
    assert abs(copy.sum() / MAP.sum() - 1) < 0.02


def test_copies_add_up_where_they_are_and_end_at_the_faces():
    middle = np.array(ndimage.center_of_mass(MAP))[::-1] - BOX // 2
    where = np.array([[40.25, 30.5, 20.75], [70.0, 22.0, 30.0]])
    tomogram = np.zeros((50, 60, 90), dtype=np.float32)
    place(tomogram, SPECTRUM, where, np.stack([np.eye(3)] * 2))
    alone = tomogram.copy()
    alone[:, :, 56:] = 0
    np.testing.assert_allclose(np.array(ndimage.center_of_mass(np.maximum(alone, 0.05) - 0.05))[::-1], where[0] + middle, atol=0.15)
    assert abs(tomogram.sum() / (2 * alone.sum()) - 1) < 1e-3

    at_the_edge = np.zeros((50, 60, 90), dtype=np.float32)
    place(at_the_edge, SPECTRUM, np.array([[0.0, 59.0, 25.0], [-100.0, 0.0, 0.0]]), np.stack([np.eye(3)] * 2))
    whole = turned(SPECTRUM, np.eye(3)[None], np.zeros((1, 3)))[0]
    np.testing.assert_allclose(at_the_edge[9:41, 43:60, :16], whole[:, :17, 16:], atol=1e-5)
    assert np.count_nonzero(at_the_edge) <= 32 * 17 * 16


def test_a_tomogram_of_copies_projects_to_the_untilted_image():
    """In focus nothing but the projection is left, so the image of tilt 0 is the tomogram summed along z; of the other hand it is not."""
    place_angstrom = PIXEL * np.array([[-30.0, -20, 10], [20.4, -25.2, -8], [5, 30, 0], [35, 24, 20]])
    table = particles(place_angstrom)
    flat = replace(
        series(128, defocus=0.0),
        rotation=np.eye(3)[None].repeat(13, 0),
        shift_angstrom=np.zeros((13, 2)),
        dose=np.zeros(13),
        defocus_u_angstrom=np.full(13, 200.0),
        defocus_v_angstrom=np.full(13, 200.0),
    )
    optics = replace(OPTICS, amplitude_contrast=1.0, spherical_aberration_mm=0.0)
    dataset = Dataset((flat,), (optics,), table)
    image = next(iter(clean_images(dataset, 0, [phantom(BOX, PIXEL)])))
    summed = []
    for rotation in (table.rotation, table.rotation.transpose(0, 2, 1)):
        tomogram = np.zeros((64, 128, 128), dtype=np.float32)
        place(tomogram, SPECTRUM, place_angstrom / PIXEL + [64, 64, 32], rotation)
        summed.append(correlation(tomogram.sum(0), image))
    assert summed[0] > 0.99 and summed[1] < 0.95, summed

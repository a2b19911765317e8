"""Coloured pictures show the right side in the right colour."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tomobayes.model import Map
from tomobayes.report import ColourScale, Report, Section, coloured_slices, coloured_surfaces, render
from tomobayes.report.surface import first_surface

BOX = 32
SCALE = ColourScale("Local resolution", "Å", 5, 15)
Z, Y, X = np.indices((BOX,) * 3).astype(np.float32) - BOX // 2
BALL = np.clip(10 - np.sqrt(X**2 + Y**2 + Z**2), 0, 1).astype(np.float32)


def test_surface_of_a_ball_is_where_it_is():
    surface = first_surface(BALL, 0.5)
    expected = BOX // 2 - np.sqrt(np.maximum(9.5**2 - Y[0] ** 2 - X[0] ** 2, 0))
    inner = np.hypot(X[0], Y[0]) < 8
    assert surface.hit[inner].all() and not surface.hit[np.hypot(X[0], Y[0]) > 10].any()
    assert np.abs(surface.depth - expected)[inner].max() < 0.3
    middle = BOX // 2
    assert surface.brightness[middle + 5, middle - 5] > 1.5 * surface.brightness[middle - 5, middle + 5]


def test_each_view_shows_the_side_it_names():
    views = {"xy, seen from +z": Z, "xz, seen from −y": -Y, "yz, seen from +x": X}
    for side in views:
        quantity = np.where(views[side] > 0, 5, 15).astype(np.float32)
        pictures = coloured_surfaces(Map(BALL, 2.0), quantity, 0.5, SCALE, "Surface", "surface").images
        for label, picture in pictures.items():
            red, _, blue = picture[BOX // 2 - 3 : BOX // 2 + 3, BOX // 2 - 3 : BOX // 2 + 3].astype(float).mean((0, 1))
            assert (blue > 2 * red) == (label == side)


def test_views_are_turned_as_the_slices_are():
    block = np.zeros((BOX,) * 3, dtype=np.float32)
    block[18:28, 14:18, 20:24] = 1
    values = np.full_like(block, 9)
    surfaces = coloured_surfaces(Map(block, 2.0), values, 0.5, SCALE, "Surface", "surface").images
    for (label, picture), axis in zip(surfaces.items(), (0, 1, 2), strict=True):
        outline = block.max(axis)[::-1] > 0.5
        assert np.array_equal(picture.max(-1) > 20, outline), label


def test_slices_show_density_as_brightness_and_the_quantity_as_colour():
    values = np.where(X > 0, 5, 15).astype(np.float32)
    picture = coloured_slices(Map(BALL, 2.0), values, SCALE, "Slices", "slices").images["xy"].astype(float)
    left, right = picture[BOX // 2, BOX // 2 - 5], picture[BOX // 2, BOX // 2 + 5]
    assert left[0] > 2 * left[2] and right[2] > 2 * right[0]
    assert picture[0].max() == 0


def test_colours_run_from_blue_to_red_and_stay_within():
    colours = SCALE.colour(np.array([-100, 5, 10, 15, 100], dtype=np.float32))
    assert np.array_equal(colours[0], colours[1]) and np.array_equal(colours[3], colours[4])
    assert colours[0, 2] > colours[0, 0] and colours[3, 0] > colours[3, 2]
    assert np.isfinite(ColourScale("", "", 3, 3).colour(np.array([2.0, 3.0, 4.0]))).all()


@pytest.mark.parametrize("level", [-1.0, 0.5, 9.0])
def test_page_holds_pictures_and_what_their_colours_mean(level):
    item = coloured_surfaces(Map(BALL, 2.0), Z + 10, level, SCALE, "Surface", "surface")
    page = render(Report("Title", sections=[Section("Map", [item])]))
    assert page.count("data:image/png") == 3
    labels = re.findall(r">(\d+) Å</text>", page)
    assert {"6", "8", "10", "12", "14"} <= set(labels)

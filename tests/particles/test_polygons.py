"""Polygons over two columns: what lies inside, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tomobayes.particles.polygons import Polygon, parse_polygon, winding_number

SQUARE = "a,b: 0,0 4,0 4,4 0,4"
corner = st.tuples(st.floats(-10, 10), st.floats(-10, 10))


def by_angles(x: float, y: float, vertices: np.ndarray) -> float:
    """How often a line goes around a point, as the sum of the angles under which its edges are seen from there."""
    seen = vertices - (x, y)
    after = np.roll(seen, -1, axis=0)
    cross = seen[:, 0] * after[:, 1] - seen[:, 1] * after[:, 0]
    return float(np.arctan2(cross, (seen * after).sum(1)).sum() / (2 * np.pi))


def distance(x: float, y: float, vertices: np.ndarray) -> float:
    """How far a point is from a closed line."""
    edge = np.roll(vertices, -1, axis=0) - vertices
    along = ((np.array([x, y]) - vertices) * edge).sum(1) / np.maximum((edge**2).sum(1), 1e-300)
    nearest = vertices + np.clip(along, 0, 1)[:, None] * edge
    return float(np.hypot(*(nearest - (x, y)).T).min())


@given(st.lists(corner, min_size=3, max_size=12), corner)
def test_winding_is_that_of_the_angles_under_which_edges_are_seen(line, point):
    vertices = np.array(line)
    assume(distance(*point, vertices) > 1e-6)
    x, y = (np.array([value]) for value in point)
    assert winding_number(x, y, vertices)[0] == round(by_angles(*point, vertices))


def test_neighbouring_polygons_share_no_point_and_lose_none():
    x, y = (grid.ravel().astype(float) for grid in np.meshgrid(np.arange(9), np.arange(9)))
    parts = ["0,0 8,0 4,4", "8,0 8,8 4,4", "8,8 0,8 4,4", "0,8 0,0 4,4"]
    inside = [winding_number(x, y, np.array(parse_polygon(f"a,b: {part}").vertices)) for part in parts]
    whole = winding_number(x, y, np.array(parse_polygon("a,b: 0,0 8,0 8,8 0,8").vertices))
    assert (np.sum(inside, axis=0) == whole).all() and whole.sum() == 64


def test_what_a_line_goes_around_twice_is_inside():
    columns = {"a": np.array(["2", "9", "nan"]), "b": np.array(["2", "2", "2"])}
    twice = Polygon("a", "b", parse_polygon(SQUARE).vertices * 2)
    assert twice.holds(columns).tolist() == [True, False, False]


@pytest.mark.parametrize(("text", "said"), [("c,b: 0,0 1,0 1,1", "no column c"), ("a,t: 0,0 1,0 1,1", "cells of t are not numbers")])
def test_columns_that_cannot_be_drawn_over_are_told(text, said):
    with pytest.raises(ValueError, match=said):
        parse_polygon(text).holds({"a": np.array(["1"]), "b": np.array(["1"]), "t": np.array(["x"])})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 0,0 1,0 1,1", "not a polygon"),
        ("a,b 0,0 1,0 1,1", "not a polygon"),
        ("a,b: 0,0 1,0", "three or more corners"),
        ("a,b: 0,0 1,0 1", "pairs of numbers"),
        ("a,b: 0,0 1,x 1,1", "pairs of numbers"),
        ("a,b: 0,0 nan,0 1,1", "finite"),
    ],
)
def test_other_text_is_no_polygon(text, said):
    with pytest.raises(ValueError, match=said):
        parse_polygon(text)

"""The graph of what fed what: everything right of what it needs, nothing on top of anything."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from tomobayes.report import Box, draw_graph
from tomobayes.report.graph import places_of

links = st.lists(st.lists(st.integers(0, 30), max_size=4), max_size=30)


def boxes(inputs: list[list[int]], backwards: bool = False) -> list[Box]:
    """Each box fed by earlier ones."""
    made = [Box(f"b{at}", "<title>", "about", "running", [f"b{one}" for one in given if one < at], "#") for at, given in enumerate(inputs)]
    return made[::-1] if backwards else made


@settings(derandomize=True, deadline=None, max_examples=60)
@given(links, st.booleans())
def test_boxes_stand_right_of_what_feeds_them_and_apart(inputs: list[list[int]], backwards: bool):
    given_boxes = boxes(inputs, backwards)
    places = places_of(given_boxes)
    assert len(set(places.values())) == len(places) >= len(given_boxes)
    for box in given_boxes:
        assert all(places[name].column < places[box.name].column for name in box.inputs)
    drawn = ElementTree.fromstring(draw_graph(given_boxes))
    assert len(drawn.findall(".//a")) == len(given_boxes)
    assert len(drawn.findall(".//path")) == sum(len(box.inputs) for box in given_boxes)


def test_lines_run_around_boxes_that_they_pass():
    places = places_of(boxes([[], [0], [0, 1], [0, 2]]))
    assert [places[f"b{at}"].row for at in range(3)] == [0, 0, 0]
    assert places["b0", 1].row == places["b0", 2].row == 1


def test_long_chains_and_circles_are_drawn():
    chain = boxes([[at - 1] if at else [] for at in range(3000)], backwards=True)
    assert max(place.column for place in places_of(chain).values()) == 2999
    circle = [Box("a", "a", "", "running", ["b"], "#"), Box("b", "b", "", "running", ["a", "b", "gone"], "#")]
    assert places_of(circle).keys() >= {"a", "b"}
    assert "<svg" in draw_graph(circle)

"""A page that stands alone, says what the numbers say, and survives any label and any number."""

from __future__ import annotations

import base64
import io
import json
import math
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.spatial.transform import Rotation

from tomobayes.model import Map
from tomobayes.report import (
    Axis,
    Chart,
    Fact,
    Finding,
    Report,
    Section,
    Series,
    Table,
    Text,
    directions_of,
    format_number,
    fsc_chart,
    histogram_chart,
    iteration_chart,
    render,
    slices_of,
    theme_script,
    write_report,
)
from tomobayes.report.chart import draw_chart
from tomobayes.report.sphere import draw_directions, hammer
from tomobayes.report.ticks import nice_range, nice_ticks, resolution_ticks

BLOB = Map(np.pad(np.ones((2, 4, 6), np.float32), ((3, 3), (2, 2), (1, 1))), 2.5)


def points(svg: str) -> np.ndarray:
    line = ElementTree.fromstring(svg).find(".//polyline[@class='curve']")
    assert line is not None
    return np.array([[float(part) for part in pair.split(",")] for pair in line.attrib["points"].split()])


def full_report() -> Report:
    items = [
        fsc_chart({"A & B <script>": np.linspace(1, 0, 20), "Second": np.full(20, np.nan)}, 40, 2.0),
        slices_of(BLOB, "Half-map 1", "half1"),
        directions_of(Rotation.random(50, random_state=1).as_matrix()),
        histogram_chart("Offsets", [1.0, 2.0, math.nan], "Offset", "Å"),
        iteration_chart("Resolution", "Resolution", "Å", {"Half-maps": [30.0]}),
        Table("Series", ["Name", "Tilts"], [["TS_01", 41], ["<b>", None]]),
        Text("A sentence."),
    ]
    return Report("Title", "Sub", [Fact("Particles", "128")], [Finding("warning", "Few tilts.")], [Section("All", items)])


class Links(HTMLParser):
    """Collects everything a page would fetch, and the tags it opens."""

    def __init__(self):
        super().__init__()
        self.sources: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href", "xlink:href")]


def test_page_needs_nothing_else_and_escapes_everything():
    page = render(full_report())
    parser = Links()
    parser.feed(page)
    assert parser.sources and all(source.startswith(("data:image/png", "data:,")) for source in parser.sources)
    assert parser.tags.count("script") == page.count(theme_script()) == 1 and "b" not in parser.tags
    assert not re.search(r"url\(|@import", page)


def test_files_are_written_and_json_holds_the_numbers(tmp_path):
    path = write_report(full_report(), tmp_path)
    content = json.loads((tmp_path / "report.json").read_text())
    chart, slices = content["sections"][0]["items"][:2]
    assert chart["kind"] == "chart" and chart["series"][0]["y"][0] == 1.0 and chart["series"][1]["y"] == [None] * 20
    assert chart["x"]["scale"] == "resolution"
    assert {label: (tmp_path / "report" / name).exists() for label, name in slices["images"].items()} == dict.fromkeys(
        ("xy", "xz", "yz"), True
    )
    assert content["findings"] == [{"kind": "warning", "text": "Few tilts."}]
    assert path.read_text().startswith("<!doctype html>")


def test_every_drawing_is_well_formed_whatever_the_values():
    axis = Axis("X")
    for values in ([], [math.nan], [1.0], [math.inf, 2.0], [3.0, 3.0], [-1e9, 1e9]):
        chart = Chart(
            "T", axis, axis, [Series("s", values, values), Series("p", values, values, "points"), Series("b", values, values, "bars")]
        )
        ElementTree.fromstring(draw_chart(chart))


def test_curve_is_drawn_to_scale():
    chart = Chart("T", Axis("X", low=0, high=10), Axis("Y", low=0, high=1), [Series("s", [0, 5, 10], [0, 0.25, 1])])
    (x0, y0), (x1, y1), (x2, y2) = points(draw_chart(chart))
    assert (x1 - x0) == pytest.approx((x2 - x0) / 2, abs=0.02)
    assert (y0 - y1) == pytest.approx((y0 - y2) / 4, abs=0.02)
    assert y2 < y0


def test_gap_splits_a_curve():
    chart = Chart("T", Axis("X"), Axis("Y"), [Series("s", [0, 1, 2, 3, 4], [0, 1, math.nan, 1, 2])])
    assert draw_chart(chart).count("<polyline") == 2


def test_fsc_axis_is_labelled_in_angstrom():
    svg = draw_chart(fsc_chart({"FSC": np.linspace(1, 0, 25)}, 48, 4.0))
    labels = [element.text for element in ElementTree.fromstring(svg).iter("text")]
    assert {"20", "10", "8", "0.143", "0.5", "Resolution (Å)"} <= set(labels)
    assert "FSC: 0.5 at 16 Å" in svg


@pytest.mark.parametrize(
    ("low", "high", "ticks"), [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (-60, 60, [-50, 0, 50]), (3.05, 3.4, [3.1, 3.2, 3.3, 3.4])]
)
def test_ticks_are_round(low, high, ticks):
    assert nice_ticks(low, high) == pytest.approx(ticks)


@settings(derandomize=True, deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 9))
def test_ticks_stay_inside_and_few_and_range_covers(low, span, at_most):
    ticks = nice_ticks(low, low + span, at_most)
    assert len(ticks) <= at_most
    assert all(low - 1e-6 * span <= tick <= low + span * (1 + 1e-6) for tick in ticks)
    below, above = nice_range(low, low + span, at_most)
    assert below <= low + 1e-6 * span and above >= (low + span) - 1e-6 * span


def test_resolution_ticks_keep_their_distance():
    ticks = resolution_ticks(0, 0.25, 0.02)
    assert min(np.diff(ticks)) >= 0.02
    assert ticks[-1] <= 0.25


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1234567.0, "1\u202f234\u202f567"),
        (0.1430, "0.143"),
        (-3.5, "−3.5"),
        (1.5e-7, "1.5·10⁻⁷"),
        (math.nan, "–"),
        (128, "128"),
        (1e9, "1·10⁹"),
    ],
)
def test_numbers_read_well(value, text):
    assert format_number(value) == text


def test_slices_are_the_central_planes_bottom_up():
    slices = slices_of(Map(np.arange(8.0, dtype=np.float32).reshape(2, 2, 2), 1.0), "M", "m")
    bright = {label: np.unravel_index(int(image.argmax()), image.shape) for label, image in slices.images.items()}
    assert bright == {"xy": (0, 1), "xz": (0, 1), "yz": (0, 1)}
    png = re.search(r"base64,([^\"]+)", render(Report("T", sections=[Section("S", [slices])])))
    assert png is not None
    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(png[1]))))
    np.testing.assert_array_equal(image, slices.images["xy"])


def test_known_directions_fall_into_their_cells():
    matrix = np.stack([np.eye(3), Rotation.from_euler("ZYZ", [90, 90, 17], degrees=True).as_matrix().T])
    counts = directions_of(matrix, rows=4).counts
    assert counts.sum() == 2
    assert counts[0].sum() == 1, "identity looks along the reference's z: tilt 0"
    assert counts[1:3, 5:7].sum() == 1, "rot 90, tilt 90 looks along y"


def test_random_directions_fill_equal_cells_equally():
    counts = directions_of(Rotation.random(20000, random_state=3).as_matrix(), rows=6).counts
    expected = 20000 / counts.size
    assert float(((counts - expected) ** 2 / expected).sum()) < 110, "chi² with 71 degrees of freedom"
    ElementTree.fromstring(draw_directions(directions_of(np.zeros((0, 3, 3)))))


@settings(derandomize=True, deadline=None)
@given(st.floats(-3, 3), st.floats(-1.4, 1.4))
def test_hammer_keeps_areas(longitude, latitude):
    step = 1e-5
    x0, y0 = hammer(longitude, latitude)
    x1, y1 = hammer(longitude + step, latitude)
    x2, y2 = hammer(longitude, latitude + step)
    area = ((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)) / step**2
    assert area == pytest.approx(math.cos(latitude), rel=1e-3)

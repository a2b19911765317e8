"""A report that was written is read back as it was, and drawn as it was."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tomobayes.model import BadInput, Map
from tomobayes.report import (
    Axis,
    Chart,
    ColourScale,
    Fact,
    Finding,
    Report,
    Section,
    Series,
    Table,
    Text,
    coloured_slices,
    directions_of,
    drawn_sections,
    fsc_chart,
    image_name,
    read_report,
    render,
    slices_of,
    write_report,
)

BLOB = Map(np.random.default_rng(1).normal(size=(8, 8, 8)).astype(np.float32), 2.5)
REPORT = Report(
    "Title",
    "Subtitle",
    [Fact("Resolution", "8 Å")],
    [Finding("good", "Well."), Finding("warning", "Not <well>.")],
    [
        Section(
            "Curves",
            [
                fsc_chart({"Half-maps": [1, 0.9, np.nan, 0.1]}, 8, 2.5),
                Chart("Gap", Axis("x"), Axis("y"), [Series("s", [1, 2], [np.nan, 2], "bars")]),
            ],
        ),
        Section(
            "Pictures",
            [slices_of(BLOB, "Map", "map"), coloured_slices(BLOB, BLOB.data, ColourScale("Quantity", "Å", 0, 1), "Colours", "colours")],
        ),
        Section(
            "Rest",
            [
                directions_of(Rotation.random(50, random_state=1).as_matrix()),
                Table("Rows", ["a", "b"], [["x", 1.5], [None, 2]]),
                Text("Words."),
            ],
        ),
    ],
)


def test_read_back_as_it_was_written(tmp_path: Path):
    write_report(REPORT, tmp_path)
    again = read_report(tmp_path)
    assert again is not None
    assert render(again) == render(REPORT) == (tmp_path / "report.html").read_text()


def test_images_may_stay_where_they_are(tmp_path: Path):
    write_report(REPORT, tmp_path)
    again = read_report(tmp_path)
    assert again is not None
    sections = drawn_sections(again.sections, lambda slices, label: f"/there/{image_name(slices, label)}")
    panels = [svg for _, svg in sections[1].items[0].panels]
    assert [f'href="/there/map_{label}.png"' in svg for label, svg in zip(("xy", "xz", "yz"), panels, strict=True)] == [True] * 3
    assert not any("data:image" in svg for svg in panels)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"kind": "chart"}', '{"kind": "nothing"}', '{"title": "x"}', '{"kind": "report", "title": "x", "more": 1}']
)
def test_what_is_no_report_is_named(tmp_path: Path, text: str):
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(BadInput, match=r"report\.json"):
        read_report(tmp_path)


def test_none_yet(tmp_path: Path):
    assert read_report(tmp_path) is None


def test_names_of_images_lead_nowhere_else(tmp_path: Path):
    write_report(REPORT, tmp_path)
    content = json.loads((tmp_path / "report.json").read_text())
    slices = content["sections"][1]["items"][0]
    slices["images"] = {label: f"../../{name}" for label, name in slices["images"].items()}
    (tmp_path / "report.json").write_text(json.dumps(content))
    again = read_report(tmp_path)
    assert again is not None and render(again) == render(REPORT)

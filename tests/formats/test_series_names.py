"""Which tilt series a file or a cell of a table belongs to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tomobayes.formats.series_names import series_name, series_of


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("TS_01.mrc.mdoc", "TS_01"),
        ("a/TS_01_Imod", "TS_01"),
        ("TS_01_st.xf", "TS_01"),
        ("017_ctffind4.txt", "017"),
        ("Position_1.st", "Position_1"),
        ("my.series.aln", "my.series"),
        (".mdoc", ".mdoc"),
    ],
)
def test_a_file_names_its_tilt_series(file: str, name: str) -> None:
    assert series_name(Path(file)) == name


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("TS_01", "TS_01"),
        ("/data/TS_01_bin4.rec", "TS_01"),
        ("TS_010.mrc", "TS_010"),
        ("TS_0100.mrc", None),
        ("C:\\data\\TS_01\\vol.mrc", "TS_01"),
        ("TS_01.tomostar", "TS_01"),
        ("000001@TS_01/frames.mrcs", "TS_01"),
        ("TS_01_a.mrc", "TS_01_a"),
        ("1", None),
        ("", None),
    ],
)
def test_the_longest_name_that_something_begins_with_counts(cell: str, name: str | None) -> None:
    assert series_of(cell, {"TS_01", "TS_010", "TS_01_a"}) == name

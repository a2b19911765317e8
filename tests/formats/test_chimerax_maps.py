"""Scripts that open maps in ChimeraX."""

from __future__ import annotations

from pathlib import Path

from tomobayes.formats.chimerax_maps import Colouring, OpenedMap, map_script


def test_maps_are_opened_at_their_levels(tmp_path: Path):
    lines = list(map_script([OpenedMap(tmp_path / "a.mrc", 0.0123456), OpenedMap(tmp_path / "half 1.mrc", 2.5, shown=False)]))
    assert lines[0] == f'open "{tmp_path / "a.mrc"}" id 1' and lines[1].startswith("volume #1 step 1 level 0.0123456 ")
    assert lines[2] == f'open "{tmp_path / "half 1.mrc"}" id 2' and lines[4] == "hide #2 models"
    assert lines[-1] == "view" and not any("sample" in line for line in lines)


def test_quotes_in_names_do_not_end_them(tmp_path: Path):
    opened = next(map_script([OpenedMap(tmp_path / 'a " b\\c.mrc', 1)]))
    assert opened == f'open "{tmp_path}/a \\" b\\\\c.mrc" id 1'


def test_the_first_map_is_coloured_by_resolution(tmp_path: Path):
    by = Colouring(tmp_path / "locres.mrc", 3.25, 8.0, ("#000001", "#000002", "#000003", "#000004"))
    lines = list(map_script([OpenedMap(tmp_path / "a.mrc", 1)], by))
    assert lines[2] == f'open "{tmp_path / "locres.mrc"}" id 2'
    assert lines[4] == "color sample #1 map #2 palette #000001:#000002:#000003:#000004 range 3.25,8"
    assert lines[5] == "key #000001:3.2 #000002:4.8 #000003: #000004:8.0"

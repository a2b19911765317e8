"""docs/conventions.md: every sentence's test is there, and every figure is what the script draws."""

from __future__ import annotations

import ast
import re
import runpy
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "conventions.md"


def test_named_tests_exist() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text(encoding="utf-8")))
    trees = (ast.parse(path.read_text(encoding="utf-8")) for room in ("tests", "validation") for path in (ROOT / room).rglob("test_*.py"))
    there = {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert len(named) > 40
    assert named - there == set()


def test_figures_are_those_that_the_script_draws(tmp_path: Path) -> None:
    script = ROOT / "docs" / "images" / "conventions.py"
    shutil.copyfile(script, tmp_path / script.name)
    runpy.run_path(str(tmp_path / script.name), run_name="__main__")
    shown = set(re.findall(r"\(images/(convention_\w+\.svg)\)", PAGE.read_text(encoding="utf-8")))
    assert shown == {path.name for path in tmp_path.glob("*.svg")}
    for name in shown:
        assert (tmp_path / name).read_text(encoding="utf-8") == (script.parent / name).read_text(encoding="utf-8")

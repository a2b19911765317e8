"""A project of a thousand tilt series and two million particles is imported and checked without waiting."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from large_project import write_large_project

SECONDS, GIGABYTES = 60.0, 4.0


def _spent(*words: object) -> tuple[float, float]:
    """CPU seconds and GB of a command in a process of its own."""
    code = f"import resource, sys; from tomobayes.cli import main; assert main({[str(word) for word in words]!r}) == 0; " + (
        "used = resource.getrusage(resource.RUSAGE_SELF); print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1e6)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, gigabytes = done.stdout.split()[-2:]
    return float(seconds), float(gigabytes)


def test_large_project(claims, tmp_path: Path) -> None:
    """1,000 tilt series of 41 images and 2,000,000 particles: CPU seconds of one core and memory of import and check, tables alone."""
    source = write_large_project(tmp_path / "project", 1000, 2000)
    imported = _spent("import", "--i", source, "--o", tmp_path / "imported")
    checked = _spent("check", "--i", source, "--depth", "tables", "--o", tmp_path / "checked")
    claims.measured("CPU s of import", imported[0], at_most=SECONDS)
    claims.measured("CPU s of check", checked[0], at_most=SECONDS)
    claims.measured("GB of import", imported[1], at_most=GIGABYTES)
    claims.measured("GB of check", checked[1], at_most=GIGABYTES)
    claims.measured("CPU s of import, which checks, too, and of a check of its own", imported[0] + checked[0], at_most=SECONDS)

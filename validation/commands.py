"""Running the program as a user does, and reading what the independent checks say."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tomobayes.cli import main
from tomobayes.formats.mrc import read_map, write_map
from tomobayes.model import Map

Check = Callable[..., str]


def tomobayes(*arguments: object) -> None:
    """Run one command line in this process; it must succeed."""
    line = [str(argument) for argument in arguments]
    print("$ tomobayes", *line, flush=True)
    assert main(line) == 0, f"tomobayes {' '.join(line)} failed"


def read_json(text: str) -> dict[str, float]:
    """The last line of a check that was asked for --json."""
    return dict(json.loads(text.strip().splitlines()[-1]))


def mean_fsc(check: Check, a: Path, b: Path, radius_px: int) -> float:
    """Mean FSC up to Nyquist inside a soft sphere, by the shared check."""
    return read_json(check("fsc.py", a, b, "--radius", radius_px, "--json"))["mean_fsc"]


def fsc_curve(shared: Path, a: Path, b: Path, radius_px: int) -> np.ndarray:
    """FSC per shell inside a soft sphere, by the shared check's own functions."""
    sys.path.insert(0, str(shared / "checks"))
    try:
        import fsc
    finally:
        sys.path.pop(0)
    return np.asarray(fsc.fsc(fsc.load(a, radius_px)[0], fsc.load(b, radius_px)[0]))


def save_like(path: Path, data: np.ndarray, like: Path) -> Path:
    """Write a map with the pixel size of another."""
    write_map(path, Map(np.ascontiguousarray(data, dtype=np.float32), read_map(like).pixel_size_angstrom))
    return path

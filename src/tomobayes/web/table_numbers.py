"""Columns of numbers in particle tables, read once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.decimals import as_floats
from tomobayes.model import Columns

__all__ = ["floats", "numbers_of"]

Float = NDArray[np.float64]


def numbers_of(path: Path) -> Mapping[str, Float]:
    """Label -> (P,) values, of every column of a particle file that holds numbers; nothing where it has no table of particles.

    Raises
    ------
    BadInput
        if the table cannot be read
    """
    return _numbers(path, path.stat().st_mtime_ns)


def floats(columns: Columns) -> Mapping[str, Float]:
    """The columns that hold numbers."""
    found = {label: _as_numbers(cells) for label, cells in columns.items()}
    return {label: values for label, values in found.items() if values is not None}


@lru_cache(maxsize=2)
def _numbers(path: Path, modified: int) -> Mapping[str, Float]:
    from tomobayes.formats.star import read_star

    tables = read_star(path)
    return floats(tables["particles"].columns) if "particles" in tables else {}


def _as_numbers(cells: NDArray[np.str_]) -> Float | None:
    try:
        return as_floats(cells)
    except ValueError:
        return None

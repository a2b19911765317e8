"""Small text files of other programs: lines and tables of numbers, with the line named where something is wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.model import BadInput, Problem

__all__ = ["NumberTable", "finite", "read_lines", "read_numbers"]

MAX_BYTES = 512 * 2**20
MAX_LISTED = 5


@dataclass(frozen=True)
class NumberTable:
    """Rows of numbers (n, k) and the line each was on; ``comments`` are the lines that begin with a comment sign."""

    values: NDArray[np.float64]
    lines: tuple[int, ...]
    comments: tuple[str, ...] = field(default=())


def read_lines(path: Path) -> list[str]:
    """Lines of a text file, in UTF-8 or else Latin-1 (as microscopes write), whatever ends them."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInput(Problem(path, "", f"is larger than {MAX_BYTES >> 20} MiB", remedy="name the text file that was meant"))
        raw = path.read_bytes()
    except OSError as error:
        what = "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise BadInput(Problem(path, "", what, remedy="check the name, the current folder and the permissions")) from error
    if b"\0" in raw:
        raise BadInput(Problem(path, "", "is not a text file", remedy="name the text file that was meant"))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return text.splitlines()


def read_numbers(path: Path, columns: Sequence[int], what: str, *, comment: str = "#", commas: bool = False) -> NumberTable:
    """A table of finite numbers without a header.

    Parameters
    ----------
    columns : how many numbers a line may have; all lines have as many as the first
    what : what a line should hold, for messages
    comment : how lines begin that are no data
    commas : whether columns may be apart by commas, too

    Raises
    ------
    BadInput
        naming the first faulty lines, or that there are none
    """
    rows: list[list[float]] = []
    numbers, comments, problems = [], [], []
    for number, line in enumerate(read_lines(path), start=1):
        bare = line.strip()
        if bare.startswith(comment):
            comments.append(bare)
        elif bare:
            cells = (bare.replace(",", " ") if commas else bare).split()
            values = [finite(cell) for cell in cells]
            expected = len(rows[0]) if rows else len(cells)
            if None in values or len(cells) not in columns or len(cells) != expected:
                problems.append(Problem(path, f"line {number}", f"{bare[:60]!r} is not {what}", remedy=_remedy(bare, what)))
            else:
                rows.append([value for value in values if value is not None])
                numbers.append(number)
    if len(problems) > MAX_LISTED:
        problems = [*problems[:MAX_LISTED], Problem(path, "", f"{len(problems) - MAX_LISTED} more lines are not {what}")]
    if not rows and not problems:
        problems = [Problem(path, "", "holds no numbers", remedy=f"give a file with {what} in every line")]
    if problems:
        raise BadInput(problems)
    return NumberTable(np.array(rows), tuple(numbers), tuple(comments))


def finite(cell: str) -> float | None:
    """The number a cell holds, with a decimal point; None where it holds none."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _remedy(line: str, what: str) -> str:
    return "write numbers with a decimal point, not a comma" if "," in line else f"write {what} in every line"

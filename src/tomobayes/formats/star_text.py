"""Columns of text as the rows of a STAR loop, thousands at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["quoted", "rows_as_text"]

Text = NDArray[np.str_]
Letters = NDArray[np.uint8]

ROWS = 1 << 14
"""Written at a time, so that they stay in the cache."""
MAX_WIDTH = 40
"""Columns are aligned as far as that helps to read them."""
NOT_PLAIN = re.compile(r"""^$|^[_#$'";]|^(data_|loop_|save_|stop_|global_)|[^\S\n]""", re.IGNORECASE | re.MULTILINE)
"""Cells that need quotes: empty ones, ones with blanks, and ones that begin like something else than a value."""
SUSPICIOUS = np.zeros(128, dtype=np.bool_)
SUSPICIOUS[[0, *b"""_#$'";dDlLsSgG"""]] = True
"""First letters that cells which need quotes may have, zero of empty ones among them."""


def quoted(value: str) -> str:
    """A value as it stands in a STAR file."""
    if not NOT_PLAIN.search(value):
        return value
    return f"'{value}'" if '"' in value else f'"{value}"'


def rows_as_text(columns: Sequence[Text]) -> Iterator[bytes]:
    """Lines with one value of every column, in UTF-8, some thousand of them in each piece."""
    if len({len(column) for column in columns}) > 1:
        raise ValueError(f"columns are shorter than others: {sorted({len(column) for column in columns})} rows")
    texts = [_with_quotes(np.asarray(column, dtype=np.str_)) for column in columns]
    widths = [min(int(np.strings.str_len(text).max(initial=0)), MAX_WIDTH) for text in texts]
    for start in range(0, len(columns[0]), ROWS):
        cells = [_justified(text[start : start + ROWS], width) for text, width in zip(texts, widths, strict=True)]
        space = np.full((len(cells[0]), 1), ord(" "), dtype=np.uint8)
        lines = np.concatenate([part for cell in cells for part in (cell, space)] + [np.full_like(space, ord("\n"))], axis=1)
        yield lines[lines != 0].tobytes()


def _with_quotes(cells: Text) -> Text:
    """The cells, in quotes where they must be."""
    if not any(_is_suspicious(_letters(cells[start : start + ROWS])) for start in range(0, len(cells), ROWS)):
        return cells
    values = cells.tolist()
    return np.array([quoted(value) for value in values], dtype=np.str_) if NOT_PLAIN.search("\n".join(values)) else cells


def _letters(cells: Text) -> NDArray[np.uint32]:
    """(n, width) code points, zero after the last."""
    return np.ascontiguousarray(cells).view(np.uint32).reshape(len(cells), -1)


def _is_suspicious(letters: NDArray[np.uint32]) -> bool:
    if letters.max(initial=0) >= len(SUSPICIOUS):
        return True
    blank = (letters <= ord(" ")) & (letters > 0)
    return bool(SUSPICIOUS[letters[:, 0]].any() or blank.any())


def _justified(cells: Text, width: int) -> Letters:
    """(n, bytes) to the right of the width, in UTF-8; zero where longer cells than others have letters."""
    letters = _letters(cells)
    if letters.max(initial=0) < len(SUSPICIOUS):  # one letter is one byte
        encoded = letters.astype(np.uint8).view(f"S{letters.shape[1]}")[:, 0]
    else:
        encoded = np.strings.encode(cells, "utf-8")
    return np.strings.rjust(encoded, width).view(np.uint8).reshape(len(cells), -1)

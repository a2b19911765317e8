"""Rows of plain values, thousands at a time: what nearly all of a large STAR file consists of.

A plain row has neither quotes nor comments nor anything but ASCII. Whatever is not plain, or not in order, is left to the reader
of single lines, which knows all of the language and can say what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["PlainRows", "plain_rows"]

Text = NDArray[np.str_]
Bytes = NDArray[np.bytes_]

CHUNK = 1 << 22
"""Bytes worked on at a time: the tables that are made of them stay in the cache."""
WIDEST = 4096
"""Bytes of a value from which on a column is no table of bytes any more."""
BLANK_LINE = re.compile(r"\n ?\n")
"""As this program and as RELION ends a table; one search, which ends where the table does."""
BLANK = np.zeros(256, dtype=np.bool_)
BLANK[[9, 10, 13, 32]] = True
STRANGE = np.zeros(256, dtype=np.bool_)
STRANGE[[*(byte for byte in range(32) if not BLANK[byte]), *b"\"'#", *range(127, 256)]] = True


@dataclass(frozen=True)
class PlainRows:
    """Columns of text, (n,) each, and where the text after them begins."""

    columns: list[Text]
    end: int

    def __len__(self) -> int:
        return len(self.columns[0])


def plain_rows(text: str, start: int, n_columns: int) -> PlainRows | None:
    """The rows from a place on until the first blank line; None where they are not all plain and complete.

    Parameters
    ----------
    start : where a line begins
    """
    if n_columns < 2:  # a single word may be anything
        return None
    blank = BLANK_LINE.search(text, start)
    end = blank.start() + 1 if blank else len(text)
    pieces: list[list[Bytes]] = []
    for chunk in _chunks(text, start, end):
        values = _values(chunk, n_columns)
        if values is None:
            return None
        pieces.append(values)
    if not pieces:
        return None
    return PlainRows([_as_text(np.concatenate(column)) for column in zip(*pieces, strict=True)], end)


def _chunks(text: str, start: int, end: int) -> Iterator[bytes]:
    """Whole lines, each piece with a line feed at its end."""
    while start < end:
        cut = text.rfind("\n", start, start + CHUNK) + 1 if start + CHUNK < end else end
        if not cut:
            cut = end
        piece = text[start:cut].encode()
        yield piece if piece.endswith(b"\n") else piece + b"\n"
        start = cut


def _values(chunk: bytes, n_columns: int) -> list[Bytes] | None:
    """Each column of some lines; None where a line has another number of values, or values that are not plain."""
    letters = np.frombuffer(chunk, dtype=np.uint8)
    if STRANGE[letters].any():
        return None
    blank = BLANK[letters]
    edges = np.flatnonzero(blank[1:] != blank[:-1]) + 1
    bounds = edges if blank[0] else np.concatenate([[0], edges])
    lines = np.flatnonzero(letters == ord("\n"))
    if len(bounds) != 2 * n_columns * len(lines):
        return None
    first, after = bounds.reshape(len(lines), n_columns, 2).transpose(2, 1, 0)
    in_order = (after[-1] <= lines).all() and (first[0, 1:] > lines[:-1]).all()
    widest = (after - first).max(1)
    if not in_order or widest.max() > WIDEST:
        return None
    columns = [_column(letters, first[i], after[i], int(widest[i])) for i in range(n_columns)]
    return None if _begins_a_table(columns[0]) else columns


def _as_text(words: Bytes) -> Text:
    """The same letters; each byte of ASCII is the number of its letter, so they need no decoding one by one."""
    return words.view(np.uint8).astype(np.uint32).view(f"U{words.itemsize}")


def _begins_a_table(words: Bytes) -> bool:
    """Whether a line begins with a word that does not begin a row."""
    small = np.strings.lower(words.astype("S6"))
    return bool((np.strings.startswith(small, b"data_") | (small == b"loop_")).any())


def _column(letters: NDArray[np.uint8], first: NDArray[np.int64], after: NDArray[np.int64], width: int) -> Bytes:
    """Values between given places as one array."""
    padded = np.concatenate([letters, np.zeros(width, dtype=np.uint8)])
    windows: Bytes = np.ndarray((len(letters) + 1,), dtype=f"S{width}", buffer=padded, strides=(1,))
    taken = windows[first].view(np.uint8).reshape(len(first), width)
    taken *= np.arange(width) < (after - first)[:, None]
    return taken.view(f"S{width}")[:, 0]

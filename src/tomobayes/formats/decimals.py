"""Columns of decimal numbers as text, read all at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["as_floats"]

Float = NDArray[np.float64]
Text = NDArray[np.str_]

FEW = 512
"""Numbers that are read sooner one by one: most columns of a set are those of tilt series, with as many rows as tilts."""
ROWS = 1 << 14
"""Worked on at a time, so that they stay in the cache."""
MOST_DIGITS = 15
"""What a float64 holds exactly, and so does ten to that power: one division rounds once, to what ``float`` makes of the text."""
POWERS_OF_TEN = np.array([float(10**digits) for digits in range(MOST_DIGITS + 1)])
WIDEST = 64
"""Letters of a number; longer ones are counted in vain."""
ZERO, POINT, MINUS, PLUS = (ord(letter) for letter in "0.-+")


def as_floats(cells: Text) -> Float:
    """(n,) numbers of text.

    Raises
    ------
    ValueError
        where a cell is no number
    """
    width = cells.dtype.itemsize // 4
    if not 0 < width <= WIDEST or not cells.flags.c_contiguous or cells.ndim != 1 or len(cells) < FEW:
        return cells.astype(np.float64)
    letters = cells.view(np.uint32).reshape(len(cells), width)
    values = np.empty(len(cells))
    for start in range(0, len(cells), ROWS):
        rows = slice(start, start + ROWS)
        values[rows], plain = _decimals(np.ascontiguousarray(letters[rows].T))
        if not plain.all():
            others = np.flatnonzero(~plain) + start
            values[others] = cells[others].astype(np.float64)
    return values


def _decimals(letters: NDArray[np.uint32]) -> tuple[Float, NDArray[np.bool_]]:
    """(n,) numbers of letters (width, n), and which of them are plain: a sign, digits and one point at most."""
    n = letters.shape[1]
    whole, digits, decimals = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int8), np.zeros(n, dtype=np.int8)
    negative = letters[0] == MINUS
    after_point, plain = np.zeros(n, dtype=np.bool_), np.ones(n, dtype=np.bool_)
    for place, letter in enumerate(letters):
        digit = letter - np.uint32(ZERO)  # wraps around below zero
        is_digit, is_point = digit < 10, letter == POINT
        whole = np.where(is_digit & (digits < MOST_DIGITS), 10 * whole + digit, whole)
        digits += is_digit
        decimals += is_digit & after_point
        plain &= is_digit | (is_point & ~after_point) | (letter == 0)
        if place == 0:
            plain |= negative | (letter == PLUS)
        after_point |= is_point
    plain &= (digits > 0) & (digits <= MOST_DIGITS)
    values = whole / POWERS_OF_TEN[decimals.clip(0, MOST_DIGITS)]
    return np.where(negative, -values, values), plain

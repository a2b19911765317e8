"""Collecting what is wrong, so that a user hears of everything at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tomobayes.model import BadInput, Problem

__all__ = ["collecting", "shortened"]

MAX_LISTED = 5


@contextmanager
def collecting(problems: list[Problem]) -> Iterator[None]:
    """Turn a BadInput of the block into entries of ``problems``."""
    try:
        yield
    except BadInput as error:
        problems.extend(error.problems)


def shortened(items: Sequence[str]) -> str:
    """``a, b, c`` with the number of those left out where there are many."""
    listed = ", ".join(items[:MAX_LISTED])
    return listed if len(items) <= MAX_LISTED else f"{listed} and {len(items) - MAX_LISTED} more"

"""A strict reader of STAR text, as RELION writes it: one row on each line.

A CIF grammar would refuse values that begin with an underscore, which RELION allows, and would shift cells from row to row
where one row has a value too few and another one too many.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.star_rows import PlainRows, plain_rows
from tomobayes.model import BadInput, Problem

__all__ = ["ScannedTable", "scan_lines"]

Text = NDArray[np.str_]
ScannedTable = tuple[str, dict[str, Text], bool]
"""Name, label -> values, whether it is a list."""

TOKEN = re.compile(r"""(?P<double>"(?:[^"]|"(?=\S))*")|(?P<single>'(?:[^']|'(?=\S))*')|(?P<plain>\S+)""")


@dataclass
class _Block:
    name: str
    line: int
    labels: list[str] = field(default_factory=list)
    plain: PlainRows | None = None
    rows: list[list[str]] = field(default_factory=list)
    is_loop: bool = False

    @property
    def n_rows(self) -> int:
        return (len(self.plain) if self.plain else 0) + len(self.rows)

    @property
    def columns(self) -> dict[str, Text]:
        """Those of the plain rows, with the values of single ones below."""
        single = zip(*self.rows, strict=True) if self.rows else ((),) * len(self.labels)
        values = [np.array(column, dtype=np.str_) for column in single]
        if self.plain:
            values = [np.concatenate(both) for both in zip(self.plain.columns, values, strict=True)] if self.rows else self.plain.columns
        return dict(zip(self.labels, values, strict=True))


def scan_lines(text: str, path: Path) -> list[ScannedTable]:
    """Read STAR text one line at a time, rows that are plain all at once.

    Parameters
    ----------
    text : contents of the file
    path : its name, for messages

    Raises
    ------
    BadInput
        with every faulty line
    """
    blocks: list[_Block] = []
    problems: list[Problem] = []
    position, number = 0, 0
    while position < len(text):
        number += 1
        end = text.find("\n", position)
        line = text[position : end if end >= 0 else len(text)]
        tokens = _tokens(line)
        if tokens and (rows := _plain_rows(blocks, tokens, text, position)) is not None:
            position, number = rows.end, number + len(rows) - 1
            continue
        position += len(line) + 1
        fault = _take(blocks, tokens, line.lstrip()[:1] in ("'", '"'), number) if tokens else None
        if fault:
            problems.append(Problem(path, f"line {number}", fault[0], remedy=fault[1]))
    if problems:
        raise BadInput(problems)
    return [(block.name, block.columns, not block.is_loop) for block in blocks]


def _plain_rows(blocks: list[_Block], tokens: list[str], text: str, position: int) -> PlainRows | None:
    """The rows of a loop that begin here, if these are the first and they are plain."""
    if not blocks or not blocks[-1].is_loop or blocks[-1].n_rows or len(tokens) != len(blocks[-1].labels):
        return None
    blocks[-1].plain = plain_rows(text, position, len(tokens))
    return blocks[-1].plain


def _tokens(line: str) -> list[str]:
    """Values of a line without their quotes and without a comment."""
    if '"' not in line and "'" not in line and "#" not in line:
        return line.split()
    tokens: list[str] = []
    for match in TOKEN.finditer(line):
        if match["plain"] is None:
            tokens.append(match[0][1:-1])
        elif match[0].startswith("#"):
            break
        else:
            tokens.append(match[0])
    return tokens


def _take(blocks: list[_Block], tokens: list[str], quoted: bool, number: int) -> tuple[str, str] | None:
    """Put one line's tokens where they belong; what is wrong and its remedy if they belong nowhere."""
    first = tokens[0]
    if not quoted and first.lower().startswith("data_"):
        return _start_block(blocks, " ".join(tokens)[5:], number)  # names of tomograms, and so of tables, may hold spaces
    if not blocks:
        return "stands before the first data_ block", "start the file with a data_ line"
    block = blocks[-1]
    if not quoted and first.lower() == "loop_":
        return _start_loop(block)
    is_row = block.is_loop and (block.n_rows or quoted or not first.startswith("_") or len(tokens) == len(block.labels) > 1)
    if is_row:
        return _add_row(block, tokens)
    return _add_label(block, tokens)


def _start_block(blocks: list[_Block], name: str, number: int) -> tuple[str, str] | None:
    earlier = next((block for block in blocks if block.name == name), None)
    blocks.append(_Block(name, number))
    return None if earlier is None else (f"repeats the table data_{name} of line {earlier.line}", "rename or remove one of the two")


def _start_loop(block: _Block) -> tuple[str, str] | None:
    if block.is_loop or block.labels:
        return f"starts a second table inside data_{block.name}", "put a data_ line with a name of its own before it"
    block.is_loop = True
    return None


def _add_row(block: _Block, tokens: list[str]) -> tuple[str, str] | None:
    block.rows.append(tokens)
    if len(tokens) == len(block.labels):
        return None
    what = f"row {block.n_rows} of data_{block.name} has {len(tokens)} values for {len(block.labels)} columns"
    return what, "give each row one value per column, with values that hold spaces in quotes"


def _add_label(block: _Block, tokens: list[str]) -> tuple[str, str] | None:
    label = tokens[0].removeprefix("_")
    if not tokens[0].startswith("_"):
        return f"the value {tokens[0]!r} has no label", "put a label that starts with _ before it, or a loop_ before the labels"
    if label in block.labels:
        return f"repeats the column {label} of data_{block.name}", "remove one of the two columns"
    block.labels.append(label)
    if block.is_loop:
        return None if len(tokens) == 1 else (f"the label {label} is followed by {tokens[1]!r}", "put only labels before the rows")
    block.rows = [[*(block.rows[0] if block.rows else []), *tokens[1:2]]]
    n_values = len(tokens) - 1
    return None if n_values == 1 else (f"{label} has {n_values} values instead of one", "put values that hold spaces in quotes")

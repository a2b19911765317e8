"""A strict reader of STAR text, line by line, as RELION writes it: one row on each line.

A CIF grammar would refuse values that begin with an underscore, which RELION allows, and would shift cells from row to row
where one row has a value too few and another one too many.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from tomobayes.model import BadInput, Problem

__all__ = ["ScannedTable", "scan_lines"]

ScannedTable = tuple[str, list[str], list[list[str]], bool]
"""Name, labels, rows of values, whether it is a list."""

TOKEN = re.compile(r"""(?P<double>"(?:[^"]|"(?=\S))*")|(?P<single>'(?:[^']|'(?=\S))*')|(?P<plain>\S+)""")


@dataclass
class _Block:
    name: str
    line: int
    labels: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    is_loop: bool = False


def scan_lines(text: str, path: Path) -> list[ScannedTable]:
    """Read STAR text one line at a time.

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
    for number, line in enumerate(text.split("\n"), start=1):
        tokens = _tokens(line)
        if not tokens:
            continue
        fault = _take(blocks, tokens, line.lstrip()[:1] in ("'", '"'), number)
        if fault:
            problems.append(Problem(path, f"line {number}", fault[0], remedy=fault[1]))
    if problems:
        raise BadInput(problems)
    return [(block.name, block.labels, block.rows, not block.is_loop) for block in blocks]


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
    is_row = block.is_loop and (block.rows or quoted or not first.startswith("_") or len(tokens) == len(block.labels) > 1)
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
    what = f"row {len(block.rows)} of data_{block.name} has {len(tokens)} values for {len(block.labels)} columns"
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

"""STAR files: named tables of text, as RELION writes them."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.atomic import atomic_path
from tomobayes.formats.star_lines import scan_lines
from tomobayes.model import BadInput, Problem

__all__ = ["Table", "read_star", "write_star"]

Text = NDArray[np.str_]

MAX_WIDTH = 40
NOT_PLAIN = re.compile(r"""^$|^[_#$'";]|^(data_|loop_|save_|stop_|global_)|[^\S\n]""", re.IGNORECASE | re.MULTILINE)
"""Cells that need quotes: empty ones, ones with blanks, and ones that begin like something else than a value."""


NOT_NUMBERS = re.compile(r"[^-+.0-9e ]")


@dataclass(frozen=True)
class Table:
    """One ``data_`` block: label (without underscore) -> text of each row; a list table has one row and no ``loop_``."""

    name: str
    columns: Mapping[str, Text] = field(default_factory=dict)
    is_list: bool = False

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))


def read_star(path: Path | str) -> dict[str, Table]:
    """Read all tables of a STAR file in their order.

    Parameters
    ----------
    path : the file

    Returns
    -------
    block name (empty for a nameless ``data_``) -> table

    Raises
    ------
    BadInput
        naming the line: ragged rows, duplicate columns or tables, values without a label; or that there is no table at all
    """
    path = Path(path)
    with _nothing_collected():
        tables = (Table(name, _columns(labels, rows), is_list) for name, labels, rows, is_list in scan_lines(_read_text(path), path))
        found = {table.name: table for table in tables}
    if not found:
        raise BadInput(Problem(path, "", "holds no table", "tables of STAR files begin with a data_ line", "write the file again"))
    return found


def write_star(path: Path | str, tables: Iterable[Table]) -> None:
    """Write tables as RELION does (version line, numbered labels), atomically: the file is complete or not there."""
    with atomic_path(Path(path)) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        for table in tables:
            stream.write(f"\n# version 50001\n\ndata_{table.name}\n\n")
            stream.writelines(_list_lines(table) if table.is_list else _loop_lines(table))
            stream.write("\n")


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Spare the garbage collector millions of cells, which know nothing of each other: looking through them takes as long as reading."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        what = "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise BadInput(Problem(path, "", what, remedy="check the name, the current folder and the permissions")) from error
    except UnicodeDecodeError as error:
        raise BadInput(Problem(path, "", "is not a text file", remedy="give a STAR file in UTF-8")) from error


def _columns(labels: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[str, Text]:
    cells = zip(*rows, strict=True) if rows else ((),) * len(labels)
    return {label: np.array(column, dtype=np.str_) for label, column in zip(labels, cells, strict=True)}


def _list_lines(table: Table) -> Iterable[str]:
    width = max((len(label) for label in table.columns), default=0) + 4
    return (f"_{label:<{width}} {_quote(str(values[0]))}\n" for label, values in table.columns.items())


def _loop_lines(table: Table) -> Iterable[str]:
    if not table.columns:
        return
    yield "loop_ \n"
    yield from (f"_{label} #{i} \n" for i, label in enumerate(table.columns, start=1))
    padded = [_padded(values.tolist()) for values in table.columns.values()]
    yield from (" ".join(row) + " \n" for row in zip(*padded, strict=True))


def _padded(cells: list[str]) -> list[str]:
    """Cells of one column, quoted where they must be, in one width as far as that helps to read them."""
    texts = cells if _are_numbers(cells) or not NOT_PLAIN.search("\n".join(cells)) else [_quote(cell) for cell in cells]
    width = min(max(map(len, texts), default=0), MAX_WIDTH)
    return [text.rjust(width) for text in texts]


def _are_numbers(cells: list[str]) -> bool:
    """Whether all cells have but digits, points, signs and exponents: most of a large file, and soon seen."""
    return all(cells) and not NOT_NUMBERS.search(" ".join(cells))


def _quote(value: str) -> str:
    if not NOT_PLAIN.search(value):
        return value
    return f"'{value}'" if '"' in value else f'"{value}"'

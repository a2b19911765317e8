"""STAR files: named tables of text, as RELION writes them."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.atomic import atomic_path
from tomobayes.formats.star_lines import scan_lines
from tomobayes.formats.star_text import quoted, rows_as_text
from tomobayes.model import BadInput, Problem

__all__ = ["Table", "read_star", "write_star"]

Text = NDArray[np.str_]


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
        found = {name: Table(name, columns, is_list) for name, columns, is_list in scan_lines(_read_text(path), path)}
    if not found:
        raise BadInput(Problem(path, "", "holds no table", "tables of STAR files begin with a data_ line", "write the file again"))
    return found


def write_star(path: Path | str, tables: Iterable[Table]) -> None:
    """Write tables as RELION does (version line, numbered labels), atomically: the file is complete or not there."""
    with atomic_path(Path(path)) as temporary, temporary.open("wb") as stream:
        for table in tables:
            stream.write(f"\n# version 50001\n\ndata_{table.name}\n\n".encode())
            stream.writelines(_list_lines(table) if table.is_list else _loop_lines(table))
            stream.write(b"\n")


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


def _list_lines(table: Table) -> Iterator[bytes]:
    width = max((len(label) for label in table.columns), default=0) + 4
    yield from (f"_{label:<{width}} {quoted(str(values[0]))}\n".encode() for label, values in table.columns.items())


def _loop_lines(table: Table) -> Iterator[bytes]:
    if not table.columns:
        return
    yield b"loop_ \n"
    yield from (f"_{label} #{i} \n".encode() for i, label in enumerate(table.columns, start=1))
    yield from rows_as_text(list(table.columns.values()))

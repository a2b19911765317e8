"""STAR files: named tables of text, as RELION writes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.atomic import atomic_path
from tomobayes.formats.star_lines import scan_lines
from tomobayes.model import BadInput, Problem

__all__ = ["Table", "read_star", "write_star"]

Text = NDArray[np.str_]

RESERVED = ("data_", "loop_", "save_", "stop_", "global_")


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
        naming the line: ragged rows, duplicate columns or tables, values without a label
    """
    path = Path(path)
    text = _read_text(path)
    tables = _parse_with_gemmi(text)
    if tables is None:
        tables = [Table(name, _as_columns(labels, rows), is_list) for name, labels, rows, is_list in scan_lines(text, path)]
    return {table.name: table for table in tables}


def write_star(path: Path | str, tables: Iterable[Table]) -> None:
    """Write tables as RELION does (version line, numbered labels), atomically: the file is complete or not there."""
    with atomic_path(Path(path)) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        for table in tables:
            stream.write(f"\n# version 50001\n\ndata_{table.name}\n\n")
            stream.writelines(_list_lines(table) if table.is_list else _loop_lines(table))
            stream.write("\n")


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        what = "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise BadInput(Problem(path, "", what, remedy="check the name, the current folder and the permissions")) from error
    except UnicodeDecodeError as error:
        raise BadInput(Problem(path, "", "is not a text file", remedy="give a STAR file in UTF-8")) from error


def _parse_with_gemmi(text: str) -> list[Table] | None:
    """Tables by gemmi's parser; None where it refuses, or where rows and lines differ, so that a line scan must say why."""
    from gemmi import cif

    try:
        blocks = list(cif.read_string(text))
        tables = [_table_of_block(block) for block in blocks]
    except (ValueError, RuntimeError):
        return None
    if any(table is None for table in tables):
        return None
    n_rows = sum(len(table) for table in tables if table is not None and not table.is_list)
    return [table for table in tables if table is not None] if n_rows == _count_row_lines(text) else None


def _table_of_block(block: Any) -> Table | None:
    items = [item for item in block if item.pair is not None or item.loop is not None]
    name = block.name.strip()
    if all(item.pair is not None for item in items):
        return Table(name, {item.pair[0][1:]: np.array([_unquote(item.pair[1])]) for item in items}, is_list=True)
    if len(items) != 1:
        return None
    labels, values = [tag[1:] for tag in items[0].loop.tags], items[0].loop.values
    columns = {label: _text_array(values[i :: len(labels)]) for i, label in enumerate(labels)}
    return Table(name, columns)


def _as_columns(labels: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[str, Text]:
    return {label: np.array([row[i] for row in rows], dtype=np.str_) for i, label in enumerate(labels)}


def _text_array(values: Sequence[str]) -> Text:
    array = np.array(values, dtype=np.str_)
    quoted = np.flatnonzero(np.char.startswith(array, '"') | np.char.startswith(array, "'")) if len(array) else ()
    return np.array([_unquote(value) for value in values], dtype=np.str_) if len(quoted) else array


def _unquote(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] in "'\"" and value[-1] == value[0] else value


def _count_row_lines(text: str) -> int:
    """Lines that are neither empty, comments, block names nor labels: RELION puts one row on each."""
    starts = (line.lstrip() for line in text.split("\n"))
    return sum(1 for line in starts if line and line[0] not in "#_" and line[:5].lower() not in ("data_", "loop_"))


def _list_lines(table: Table) -> Iterable[str]:
    width = max((len(label) for label in table.columns), default=0) + 4
    return (f"_{label:<{width}} {_quote(str(values[0]))}\n" for label, values in table.columns.items())


def _loop_lines(table: Table) -> Iterable[str]:
    if not table.columns:
        return
    yield "loop_ \n"
    yield from (f"_{label} #{i} \n" for i, label in enumerate(table.columns, start=1))
    padded = []
    for values in table.columns.values():
        texts = [_quote(value) for value in values.tolist()]
        width = min(max(map(len, texts), default=0), 40)
        padded.append([text.rjust(width) for text in texts])
    for row in zip(*padded, strict=True):
        yield " ".join(row) + " \n"


def _quote(value: str) -> str:
    plain = value and not any(c.isspace() for c in value) and value[0] not in "_#$'\";" and not value.lower().startswith(RESERVED)
    if plain:
        return value
    return f"'{value}'" if '"' in value else f'"{value}"'

"""Typed values back into columns of text: a cell that still means the same keeps its text, to the last digit a user wrote."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tomobayes.formats.decimals import as_floats
from tomobayes.formats.star_values import format_float, format_vector, parse_vector

__all__ = ["Quantity", "integer", "number", "numbers", "text_of", "update", "update_vectors"]

Float = NDArray[np.float64]
Text = NDArray[np.str_]


def _same(values: Float) -> Float:
    return values


@dataclass(frozen=True)
class Quantity:
    """One quantity that takes one or more columns.

    Parameters
    ----------
    labels : its columns
    defaults : what absent columns stand for
    parse : numbers of the cells (n, k) -> typed values (n, ...)
    unparse : typed values -> numbers of the cells
    tolerance : typed values closer than this mean the same
    text : number -> cell
    always : whether the columns are written even where all values are the default
    """

    labels: tuple[str, ...]
    defaults: tuple[float, ...]
    parse: Callable[[Float], Float] = _same
    unparse: Callable[[Float], Float] = _same
    tolerance: float = 1e-9
    text: Callable[[float], str] = format_float
    always: bool = False


def number(
    label: str, default: float = 0.0, *, factor: float = 1.0, none: float | None = None, tolerance: float = 1e-9, always: bool = False
) -> Quantity:
    """One column of numbers; typed value = cell times ``factor``, NaN where the cell is ``none``."""

    def parse(cells: Float) -> Float:
        return np.where(cells[:, 0] == none, np.nan, cells[:, 0] * factor)

    def unparse(values: Float) -> Float:
        return np.where(np.isnan(values), none, values / factor)[:, None] if none is not None else values[:, None] / factor

    return Quantity((label,), (default,), parse, unparse, tolerance, always=always)


def numbers(labels: tuple[str, ...], *, always: bool = False) -> Quantity:
    """Several columns of numbers that are zero where they are absent, typed (n, k)."""
    return Quantity(labels, (0.0,) * len(labels), always=always)


def integer(label: str, *, always: bool = False) -> Quantity:
    """One column of whole numbers, zero where it is absent."""
    return Quantity((label,), (0.0,), lambda cells: cells[:, 0], lambda values: values[:, None], 0.5, _integer_text, always)


def update(columns: Mapping[str, Text], quantity: Quantity, values: NDArray[np.number]) -> dict[str, Text]:
    """Columns in which ``quantity`` means ``values``.

    Parameters
    ----------
    columns : label -> (n,) text
    quantity : what to update
    values : (n, ...) typed values

    Returns
    -------
    the same columns with those cells changed whose meaning differs, and with columns added where they are needed
    """
    typed = np.asarray(values, dtype=np.float64)
    pairs = zip(quantity.labels, quantity.defaults, strict=True)
    cells = np.stack([_numbers(columns, label, default, len(typed)) for label, default in pairs], axis=-1)
    changed = _differ(quantity.parse(cells), typed, quantity.tolerance)
    present = any(label in columns for label in quantity.labels)
    if not changed.any() and (present or not quantity.always):
        return dict(columns)
    written = np.where(changed[:, None], quantity.unparse(typed), cells)
    result = dict(columns)
    for i, label in enumerate(quantity.labels):
        old = columns.get(label)
        texts = [quantity.text(value) for value in written[:, i].tolist()]
        kept = texts if old is None else [new if fresh else before for new, fresh, before in zip(texts, changed, old.tolist(), strict=True)]
        result[label] = np.array(kept, dtype=np.str_)
    return result


def update_vectors(columns: Mapping[str, Text], label: str, vectors: Sequence[Sequence[float]] | Float) -> dict[str, Text]:
    """Columns with one column of vectors: rewritten where a vector differs, added where there is one and no column."""
    if label not in columns and not any(len(vector) for vector in vectors):
        return dict(columns)
    old = columns.get(label, np.full(len(vectors), "[]"))
    cells = [cell if _means(cell, vector) else format_vector(vector) for cell, vector in zip(old.tolist(), vectors, strict=True)]
    return {**columns, label: np.array(cells, dtype=np.str_)}


def text_of(values: ArrayLike) -> Text:
    """A column of anything as text: strings as they are, whole numbers without decimals, others with six."""
    array = np.asarray(values)
    if array.dtype.kind in "iub":
        return array.astype(np.int64).astype(np.str_)
    return array.astype(np.str_) if array.dtype.kind == "U" else np.array([format_float(v) for v in array.tolist()], dtype=np.str_)


def _numbers(columns: Mapping[str, Text], label: str, default: float, n_rows: int) -> Float:
    cells = columns.get(label)
    if cells is None:
        return np.full(n_rows, default)
    if len(cells) != n_rows:
        raise ValueError(f"column {label} has {len(cells)} rows for {n_rows} values: select rows of the columns with the values")
    return as_floats(cells)


def _differ(first: Float, second: Float, tolerance: float) -> NDArray[np.bool_]:
    close = np.isclose(first, second, rtol=1e-9, atol=tolerance, equal_nan=True)
    return np.asarray(~close.all(axis=tuple(range(1, close.ndim))))


def _means(cell: str, vector: Sequence[float] | Float) -> bool:
    parsed = parse_vector(cell)
    return parsed is not None and len(parsed) == len(vector) and bool(np.allclose(parsed, vector, rtol=1e-9, atol=0))


def _integer_text(value: float) -> str:
    return str(round(value))

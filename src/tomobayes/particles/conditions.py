"""Conditions on columns of a particle table, as a user writes them: ``rlnClassNumber=2``, ``rlnTomoName~TS_0*``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from tomobayes.model import Columns

__all__ = ["Condition", "parse_condition"]

_PATTERN = re.compile(r"^\s*_?(\w+)\s*(<=|>=|!=|!~|<|>|==|=|~)\s*(.*?)\s*$")
_NUMERIC: dict[str, Callable[[NDArray[np.float64], float], NDArray[np.bool_]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq, "!=": operator.ne,
}  # fmt: skip


@dataclass(frozen=True)
class Condition:
    """What the cells of one column must be.

    Parameters
    ----------
    label : the column
    comparison : < <= > >= compare numbers; = and != numbers where both sides are some, else text; ~ and !~ patterns with * and ?
    value : what to compare with
    """

    label: str
    comparison: str
    value: str

    def __str__(self) -> str:
        return f"{self.label} {self.comparison} {self.value}"

    def holds(self, columns: Columns) -> NDArray[np.bool_]:
        """(P,) where the condition holds.

        Raises
        ------
        ValueError
            in words: there is no such column, or numbers are to be compared and its cells (or the value) are none
        """
        if self.label not in columns:
            raise ValueError(f"there is no column {self.label}; there are {', '.join(columns)}")
        cells = columns[self.label]
        if self.comparison in ("~", "!~"):
            return np.array([fnmatchcase(cell, self.value) for cell in cells.tolist()]) ^ (self.comparison == "!~")
        numbers, value = _numbers(cells), _number(self.value)
        if numbers is not None and value is not None:
            return np.asarray(_NUMERIC[self.comparison](numbers, value))
        if self.comparison in ("=", "!="):
            return np.asarray((cells == self.value) ^ (self.comparison == "!="))
        culprit = f"{self.value!r} is" if value is None else f"the cells of {self.label} are"
        raise ValueError(f"{culprit} not numbers, so that {self.comparison} means nothing")


def parse_condition(text: str) -> Condition:
    """A condition from ``LABEL OPERATOR VALUE``; ValueError says in words what is wrong with it."""
    match = _PATTERN.match(text)
    if match is None or not match[3]:
        raise ValueError(f"{text!r} is not a condition such as 'rlnMaxValueProbDistribution>=0.1' or 'rlnTomoName~TS_0*'")
    comparison = "=" if match[2] == "==" else match[2]
    return Condition(match[1], comparison, match[3])


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _numbers(cells: NDArray[np.str_]) -> NDArray[np.float64] | None:
    try:
        return cells.astype(np.float64)
    except ValueError:
        return None

"""The small files of IMOD: transforms (.xf), angles (.tlt, .rawtlt, .xtilt), Z factors (.zfac), entries of command files (.com)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.text_lines import finite, read_lines, read_numbers
from tomobayes.model import BadInput, Problem

__all__ = ["CommandFile", "Transforms", "read_angles", "read_command_file", "read_transforms", "same_length", "views_of_list"]

Float = NDArray[np.float64]

MAX_VIEWS = 100_000


@dataclass(frozen=True)
class Transforms:
    """aligned = matrix·raw + shift, in pixels from the images' middles; ``quantum`` is the last decimal the matrices were written with."""

    matrix: Float
    shift_px: Float
    quantum: float


def read_transforms(path: Path) -> Transforms:
    """An .xf file: a11 a12 a21 a22 dx dy in every line, one line per image of the stack."""
    values = read_numbers(path, (6,), "a transform of six numbers").values
    matrix = values[:, :4].reshape(-1, 2, 2)
    flat = np.flatnonzero(np.abs(np.linalg.det(matrix)) < 1e-3)
    if len(flat):
        remedy = "leave the image out of the alignment, or align it"
        raise BadInput(Problem(path, f"line {flat[0] + 1}", "is a transform that cannot be undone", remedy=remedy))
    first = next(line.split()[0] for line in read_lines(path) if line.strip())
    return Transforms(matrix, values[:, 4:], 10.0 ** -len(first.partition(".")[2]))


def read_angles(path: Path) -> Float:
    """(F,) the first number of every line, in degrees."""
    angles: Float = read_numbers(path, range(1, 20), "a tilt angle").values[:, 0]
    faulty = np.flatnonzero(np.abs(angles) > 180)
    if len(faulty):
        raise BadInput(Problem(path, f"line {faulty[0] + 1}", f"{angles[faulty[0]]:g} is no tilt angle", remedy="give angles in degrees"))
    return angles


@dataclass(frozen=True)
class CommandFile:
    """Entries of a command file by their name in capitals; several of one name are joined by commas."""

    file: Path
    entries: Mapping[str, str]

    def numbers(self, name: str, count: int) -> list[float] | None:
        """The numbers of an entry, zero where it has fewer; None where there is no such entry."""
        text = self.entries.get(name.upper())
        if text is None:
            return None
        values = [finite(word) for word in re.split(r"[,\s]+", text.strip()) if word]
        if None in values:
            raise BadInput(Problem(self.file, name, f"{text!r} are no numbers", remedy="correct the entry"))
        found = [value for value in values if value is not None]
        return (found + [0.0] * count)[:count]

    def excluded(self) -> frozenset[int]:
        """Views that EXCLUDELIST and EXCLUDELIST2 leave out, from 0."""
        texts = [self.entries[name] for name in ("EXCLUDELIST", "EXCLUDELIST2", "EXCLUDE") if name in self.entries]
        return frozenset(view - 1 for text in texts for view in views_of_list(text, self.file))


def read_command_file(path: Path) -> CommandFile:
    """tilt.com, newst.com or align.com: ``Name value`` lines; comments and shell lines are passed over."""
    entries: dict[str, str] = {}
    for line in read_lines(path):
        name, _, value = line.strip().replace("\t", " ").partition(" ")
        if name and name[0] not in "#$":
            known = entries.get(name.upper())
            entries[name.upper()] = f"{known},{value.strip()}" if known else value.strip()
    return CommandFile(path, entries)


def views_of_list(text: str, file: Path) -> list[int]:
    """IMOD's lists of views: ``1-9,28-41`` -> 1, 2, ..., 9, 28, ..., 41."""
    views: list[int] = []
    for part in re.split(r"[,\s]+", text.strip()):
        first, dash, last = part.partition("-")
        if not part:
            continue
        ends = (first, last if dash else first)
        if not all(end.isdecimal() and len(end) < 7 for end in ends) or int(ends[1]) > MAX_VIEWS:
            raise BadInput(Problem(file, "EXCLUDELIST", f"{text!r} is no list of views", remedy="write views like 1-9,28-41"))
        views += range(int(ends[0]), int(ends[1]) + 1)
    return views


def same_length(path: Path, values: Sequence[float] | Float, expected: int, other: Path) -> None:
    """Refuse a file that has not as many lines as the transforms."""
    if len(values) != expected:
        what = f"has {len(values)} lines, but {other} has {expected}"
        remedy = "give the files of one alignment: each has one line for every image of the stack"
        raise BadInput(Problem(path, "", what, "which line belongs to which image is not known", remedy))

"""What is wrong with an input, said once and all together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["BadInput", "Problem"]


@dataclass(frozen=True)
class Problem:
    """One fault of an input: where it is, what it is, why it matters and how to mend it.

    Parameters
    ----------
    file : path of the offending file, or None for a command-line option
    where : row, column, table or option inside that file ("row 12", "column rlnTomoName"); may be empty
    what : what is wrong, one clause
    why : why it matters; may be empty where it is obvious
    remedy : what the user can do about it
    severity : errors keep a job from its work; warnings are what is possible but most probably not meant
    """

    file: Path | str | None
    where: str
    what: str
    why: str = ""
    remedy: str = ""
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        place = ", ".join(str(part) for part in (self.file, self.where) if part)
        sentence = f"{place}: {self.what}" if place else self.what
        for part in (self.why, self.remedy):
            if part:
                sentence += f". {part[0].upper()}{part[1:]}"
        return sentence.rstrip(".") + "."


class BadInput(ValueError):
    """Raised once with every problem found; the command line prints them and exits with code 2."""

    def __init__(self, problems: Problem | Sequence[Problem]):
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

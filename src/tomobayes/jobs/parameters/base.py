"""What every verb's parameters share. Each model is the one source of the command line, the Python API and job.toml."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar

from cyclopts import Group, Parameter
from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["JobParameters", "Parameters"]

_Last = Parameter(group=Group("Output", sort_key=9))
"""Shown after a verb's own options, which the help lists in the order of the fields."""


class Parameters(BaseModel):
    """Typed, frozen parameters of one verb; field names are option names, field descriptions are their help."""

    # Of some thirty models a command uses one: a model is built when it is used.
    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True, defer_build=True)

    verb: ClassVar[str]

    takes_words: ClassVar[bool] = False
    """Whether values may be given without the names of their options, in the order of the fields."""

    @classmethod
    def option(cls, name: str) -> str:
        """The option that sets a field, as typed: ``extract_box`` is ``--extract-box``."""
        return "--" + name.strip("_").replace("_", "-")


class JobParameters(Parameters):
    """Parameters of a verb that fills a folder."""

    folder: ClassVar[str]
    """Type of the job, the folder of its kind in a project."""

    free_to_change: ClassVar[frozenset[str]] = frozenset({"o", "overwrite", "continue_", "j"})
    """Options that change nothing about the result, so that a continued job may be given other ones."""

    not_recorded: ClassVar[frozenset[str]] = frozenset({"o", "overwrite", "continue_"})
    """Options of this run only, which a continued job does not remember."""

    may_change: ClassVar[frozenset[str]] = frozenset()
    """Options that change the rest of a job, and may be given anew when it goes on."""

    o: Annotated[Path | None, _Last] = Field(
        None, description="Output folder. Without it: the next TYPE/jobNNN of the project in the current folder."
    )
    overwrite: Annotated[bool, _Last] = Field(False, description="Replace what an earlier job left in the output folder.")
    continue_: Annotated[bool, _Last] = Field(
        False, alias="continue", description="Go on with the job in the folder --o where it was stopped; its options are remembered."
    )

    @model_validator(mode="after")
    def _one_way_to_treat_a_folder(self) -> JobParameters:
        if self.continue_ and self.overwrite:
            raise ValueError("--continue and --overwrite exclude each other: give one of them")
        if self.continue_ and self.o is None:
            raise ValueError("--continue needs to know which job: give its folder with --o")
        return self

    @property
    def back_to(self) -> int | None:
        """Checkpoint from which to go on; None for the last."""
        return None

    @property
    def names_a_file(self) -> bool:
        """Whether ``--o`` is a single file to write rather than a folder."""
        return False

    def recorded(self) -> Mapping[str, str | int | float | bool | Sequence[str | int | float | bool]]:
        """What job.toml keeps: every option that was set or has a default, but not those of one run only."""
        return self.model_dump(mode="json", exclude_none=True, exclude=set(self.not_recorded))

    def command(self) -> str:
        """The command line that asks for the same."""
        words = ["tomobayes", self.verb]
        for name in sorted(self.model_fields_set, key=list(type(self).model_fields).index):
            value = self.model_dump(mode="json")[name]
            if value is True:
                words.append(self.option(name))
            elif value is not None and value is not False:
                words += [self.option(name), *map(str, value if isinstance(value, list) else [value])]
        return shlex.join(words)

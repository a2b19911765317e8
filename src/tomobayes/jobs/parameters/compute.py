"""How a verb is told what to compute with."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, PositiveInt, model_validator

from tomobayes.jobs.parameters.base import JobParameters

__all__ = ["ComputeParameters"]

_UNITS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}


def _bytes(size: str) -> float:
    match = re.fullmatch(r"(\d+\.?\d*) ?([kmgt]?)b?", size.strip().lower())
    if match is None:
        raise ValueError(f"--cache is a size of memory such as 4GB or 500MB, not {size!r}")
    return float(match[1]) * _UNITS[match[2]]


def _is_size(size: str) -> str:
    _bytes(size)
    return size


class ComputeParameters(JobParameters):
    """Threads, processes and memory; nothing here changes the result."""

    free_to_change: ClassVar[frozenset[str]] = JobParameters.free_to_change | {"workers", "scheduler", "cache", "plan"}

    not_recorded: ClassVar[frozenset[str]] = JobParameters.not_recorded | {"workers", "scheduler", "plan"}

    j: PositiveInt | None = Field(None, description="Threads, of each worker where there are some; without it, all cores.")
    workers: PositiveInt | None = Field(None, description="Work in this many processes of this machine.")
    scheduler: str | None = Field(
        None, description="Work on the workers of this Dask scheduler: its address, or the file it wrote (see cluster-submit)."
    )
    cache: Annotated[str, AfterValidator(_is_size)] | None = Field(
        None, description="Memory, such as 4GB, for images that need not be cut again in each iteration; without it, what is to spare."
    )
    plan: bool = Field(False, description="Only say what memory, disk and time this would take; write nothing.")

    @model_validator(mode="after")
    def _one_kind_of_workers(self) -> ComputeParameters:
        if self.workers is not None and self.scheduler is not None:
            raise ValueError("--workers are processes of this machine and --scheduler has workers of its own: give one of them")
        return self

    @property
    def cache_bytes(self) -> float | None:
        """The size that --cache asks for."""
        return None if self.cache is None else _bytes(self.cache)

"""Parameters of the verbs that make more particles of some: mates by symmetry, several sets in one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from cyclopts import Parameter
from pydantic import Field

from tomobayes.jobs.parameters.base import JobParameters
from tomobayes.jobs.parameters.dataset import DatasetParameters

__all__ = ["ExpandSymmetry", "Join"]


class ExpandSymmetry(DatasetParameters, JobParameters):
    """Every particle in all orientations in which a symmetric reference looks the same."""

    verb: ClassVar[str] = "expand-symmetry"
    folder: ClassVar[str] = "External"

    sym: str = Field(description="Symmetry to expand, as the particles were refined with: C6, D2, O, I2, ...")


class Join(JobParameters):
    """Several sets of particles in one."""

    verb: ClassVar[str] = "join"
    folder: ClassVar[str] = "JoinStar"

    i: Annotated[tuple[Path, ...], Parameter(consume_multiple=True)] = Field(
        min_length=2, description="Optimisation sets, or folders of earlier jobs, in the order in which to join them."
    )
    rename: bool = Field(False, description="Give particles new names whose name another set has already, instead of refusing them.")

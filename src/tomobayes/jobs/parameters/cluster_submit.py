"""Parameters of ``cluster-submit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from cyclopts import Parameter
from pydantic import Field, PositiveFloat, PositiveInt

from tomobayes.jobs.parameters.base import JobParameters

__all__ = ["ClusterSubmit"]


class ClusterSubmit(JobParameters):
    """A scheduler and workers on a cluster, for --scheduler of other verbs."""

    verb: ClassVar[str] = "cluster-submit"
    folder: ClassVar[str] = "External"

    template: Path = Field(description="The site's submission script, with RELION's XXX...XXX placeholders.")
    workers: PositiveInt = Field(description="Number of workers, a batch job each.")
    j: PositiveInt = Field(1, description="Threads of each worker.")
    queue: str = Field("", description="Name of the queue (XXXqueueXXX).")
    qsub: str = Field("sbatch", description="Command that submits a script.")
    extra: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = Field(
        (), description="Values of XXXextra1XXX, XXXextra2XXX and so on, in this order."
    )
    dedicated: PositiveInt = Field(1, description="Cores that a node gives at least (XXXdedicatedXXX).")
    patience: PositiveFloat = Field(60.0, description="Minutes without work after which scheduler and workers end by themselves.")

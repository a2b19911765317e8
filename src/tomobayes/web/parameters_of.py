"""Which parameters belong to a verb, and to a job that stands in a project."""

from __future__ import annotations

from starlette.exceptions import HTTPException

from tomobayes.jobs.parameters import Parameters
from tomobayes.jobs.verbs import VERBS
from tomobayes.project import Job

__all__ = ["PARAMETERS_OF", "parameters_of"]

PARAMETERS_OF = {parameters.verb: parameters for parameters in VERBS}
"""Verb -> its parameters."""


def parameters_of(job: Job) -> type[Parameters]:
    """The parameters of a job of ours; a request that wants those of another program's job is refused."""
    if job.record is None or job.record.verb not in PARAMETERS_OF:
        raise HTTPException(400, "This job was not started by this program.")
    return PARAMETERS_OF[job.record.verb]

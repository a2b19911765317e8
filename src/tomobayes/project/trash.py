"""Jobs thrown away, as RELION does it: folders move to ``Trash/``, from where they can be fetched back, and leave the list."""

from __future__ import annotations

import shutil
from pathlib import Path

from tomobayes.model import BadInput, Problem
from tomobayes.project.listing import TRASH, Job
from tomobayes.project.lock import is_locked
from tomobayes.project.pipeline import forget_job, is_listed

__all__ = ["throw_away"]


def throw_away(project: Path, job: Job) -> Path:
    """Move a job's folder to the project's trash and take the job off the list; give its new place.

    Raises
    ------
    BadInput
        if the job is running.
    """
    if is_locked(job.folder):
        raise BadInput(Problem(job.folder, "", "this job is running", remedy="stop it first"))
    target = _free(project / TRASH / job.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(job.folder, target)
    if is_listed(project, f"{job.name}/"):
        forget_job(project, f"{job.name}/")
    return target


def _free(path: Path) -> Path:
    """The path, or the next one that nothing thrown away earlier has."""
    number, found = 1, path
    while found.exists():
        number += 1
        found = path.with_name(f"{path.name}_{number}")
    return found

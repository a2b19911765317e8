"""How a job ended, in the empty files that RELION's programs leave and its GUI looks for."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

__all__ = ["Ending", "abort_requested", "clear_markers", "ending", "mark", "request_abort"]

_ABORT_REQUEST = "RELION_JOB_ABORT_NOW"


class Ending(Enum):
    """How a job ended; the value is the name of RELION's marker file."""

    SUCCESS = "RELION_JOB_EXIT_SUCCESS"
    FAILURE = "RELION_JOB_EXIT_FAILURE"
    ABORTED = "RELION_JOB_EXIT_ABORTED"


def mark(folder: Path, how: Ending) -> None:
    """Leave the marker of ``how`` the job in ``folder`` ended; those of earlier runs are cleared when a run begins."""
    (folder / how.value).touch()


def ending(folder: Path) -> Ending | None:
    """How the job in ``folder`` ended, or None if it has not."""
    return next((how for how in Ending if (folder / how.value).exists()), None)


def clear_markers(folder: Path) -> None:
    """Remove every marker, and a request to stop that was meant for an earlier run."""
    for name in (_ABORT_REQUEST, *(how.value for how in Ending)):
        (folder / name).unlink(missing_ok=True)


def abort_requested(folder: Path) -> bool:
    """Whether RELION's GUI (or a user) asked this job to stop at its next convenience."""
    return (folder / _ABORT_REQUEST).exists()


def request_abort(folder: Path) -> None:
    """Ask the job in ``folder`` to stop at its next convenience, as RELION's GUI does."""
    (folder / _ABORT_REQUEST).touch()

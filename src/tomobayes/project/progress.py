"""progress.json: how far a running job is with what it does at the moment, for those who watch it from outside."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tomobayes.formats.atomic import atomic_path

__all__ = ["PROGRESS_NAME", "Progress", "clear_progress", "read_progress", "write_progress"]

PROGRESS_NAME = "progress.json"


@dataclass(frozen=True)
class Progress:
    """A piece of work of ``total`` equal steps (None: nobody knows), begun at ``start`` and told at ``now`` (seconds since 1970)."""

    what: str
    done: float
    total: float | None
    start: float
    now: float

    @property
    def share(self) -> float | None:
        """How much of it is done, 0 to 1."""
        return None if not self.total else min(self.done / self.total, 1.0)

    @property
    def seconds_left(self) -> float | None:
        """Until this piece of work ends, at its pace so far; None while nothing is known of that."""
        if not self.total or self.done <= 0:
            return None
        pace = (self.now - self.start) / self.done
        return max(0.0, pace * (self.total - self.done) - (time.time() - self.now))


def write_progress(folder: Path, progress: Progress) -> None:
    """Tell how far the job in ``folder`` is."""
    with atomic_path(folder / PROGRESS_NAME) as temporary:
        temporary.write_text(json.dumps(asdict(progress)), encoding="utf-8")


def read_progress(folder: Path) -> Progress | None:
    """What the job in ``folder`` last told; None where it told nothing, or nothing that can be understood."""
    try:
        return Progress(**json.loads((folder / PROGRESS_NAME).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def clear_progress(folder: Path) -> None:
    """There is nothing more to tell."""
    (folder / PROGRESS_NAME).unlink(missing_ok=True)

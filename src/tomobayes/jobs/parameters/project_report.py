"""Parameters of ``report``."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from tomobayes.jobs.parameters.base import Parameters

__all__ = ["ProjectReport"]


class ProjectReport(Parameters):
    """A project on one page."""

    verb: ClassVar[str] = "report"
    takes_words: ClassVar[bool] = True

    project: Path = Field(Path(), description="Folder of the project; without it, the current one.")
    o: Path | None = Field(None, description="File to write; without it, report.html in the project's folder.")

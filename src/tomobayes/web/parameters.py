"""Parameters of ``gui``, and the command itself; light, for the command line loads it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from tomobayes.jobs.parameters import Parameters

__all__ = ["Gui", "gui"]


class Gui(Parameters):
    """A project in the browser."""

    verb: ClassVar[str] = "gui"
    takes_words: ClassVar[bool] = True

    project: Path = Field(Path(), description="Folder of the project; without it, the current one.")
    port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port of this machine to answer at; 0: any that is free; without it, the first free one from 8765.",
    )
    browser: bool = Field(False, description="Open a browser of this machine.")


def gui(parameters: Gui) -> None:
    """Show a project in the browser: its jobs as they run, their reports, and forms to start new ones."""
    from tomobayes.web.server import serve

    serve(parameters)

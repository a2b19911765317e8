"""``info``: what was understood of a project, on the terminal."""

from __future__ import annotations

from tomobayes.formats.relion import read_dataset
from tomobayes.jobs.describe import describe
from tomobayes.jobs.parameters import Info
from tomobayes.jobs.shown import show_description

__all__ = ["run"]


def run(parameters: Info) -> None:
    """Print what ``check`` shows of the tables, and write nothing."""
    show_description(describe(read_dataset(*parameters.members, require_images=False)))

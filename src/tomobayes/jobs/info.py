"""``info``: what was understood of a project, on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table as Grid

from tomobayes.formats.relion import read_dataset
from tomobayes.jobs.describe import Description, describe
from tomobayes.jobs.parameters import Info

__all__ = ["run"]

_WIDTH_IN_FILES = 160
_MARKS = {"good": "[green]+[/]", "note": "[blue]·[/]", "warning": "[yellow]![/]"}


def run(parameters: Info) -> None:
    """Print figures, one line per tilt series, and findings."""
    description = describe(read_dataset(*parameters.members, require_images=False))
    console = Console(highlight=False)
    _print(description, console if console.is_terminal else Console(highlight=False, width=_WIDTH_IN_FILES))


def _print(description: Description, console: Console) -> None:
    facts = Grid.grid(padding=(0, 3))
    for fact in description.facts:
        facts.add_row(f"[dim]{fact.label}[/]", fact.value)
    console.print(facts, "")
    table = Grid(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in description.columns:
        table.add_column(column)
    for row in description.rows:
        table.add_row(*map(str, row))
    console.print(table)
    for finding in description.findings:
        console.print(f"{_MARKS[finding.kind]} {finding.text}")

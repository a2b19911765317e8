"""A description of data on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from tomobayes.jobs.describe import Description

__all__ = ["show_description", "show_table"]

_WIDTH_IN_FILES = 160
_MARKS = {"good": "[green]+[/]", "note": "[blue]·[/]", "warning": "[yellow]![/]"}


def show_description(description: Description) -> None:
    """Print figures, one line per tilt series, and findings."""
    console = _console()
    facts = Grid.grid(padding=(0, 3))
    for fact in description.facts:
        facts.add_row(f"[dim]{escape(fact.label)}[/]", escape(fact.value))
    console.print(facts, "")
    show_table(description.columns, description.rows)
    for finding in description.findings:
        console.print(f"{_MARKS[finding.kind]} {escape(finding.text)}")


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a plain table."""
    table = Grid(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    _console().print(table)


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH_IN_FILES)

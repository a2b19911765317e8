"""What was understood of every tilt series, as lines of text and as a table."""

from __future__ import annotations

from collections.abc import Sequence

from tomobayes.formats.composed_series import Understood
from tomobayes.formats.problems import shortened
from tomobayes.report import Section, Table

__all__ = ["lines_of", "sections_of"]

COLUMNS = ("Tilt series", "Views", "Left out", "Order from", "Dose from", "Axis: mdoc, alignment, user (°)", "Pixel (Å)", "Hand")
MAX_LINES = 40


def sections_of(understood: Sequence[Understood]) -> list[Section]:
    """One section with a table, or none."""
    if not understood:
        return []
    return [Section("What was understood", [Table("Sources", COLUMNS, [_cells(one) for one in understood])])]


def lines_of(understood: Sequence[Understood]) -> list[str]:
    """The same table as text, columns one below the other; the first tilt series where there are many."""
    if not understood:
        return []
    rows = [COLUMNS, *(_cells(one) for one in understood[:MAX_LINES])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    hidden = len(understood) - MAX_LINES
    return lines + ([f"and {hidden} more tilt series"] if hidden > 0 else [])


def _cells(one: Understood) -> tuple[str, ...]:
    axes = ", ".join("–" if axis is None else f"{axis:.1f}" for axis in one.axes)
    return (
        one.name,
        f"{one.n_used} of {one.n_taken}",
        shortened(one.left_out) or "none",
        one.order_from,
        one.dose_from,
        axes,
        f"{one.pixel_size_angstrom:.4g} ({one.pixel_from})",
        "+1" if one.hand > 0 else "−1",
    )

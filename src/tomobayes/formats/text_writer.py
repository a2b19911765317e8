"""Lines of text into a file that is complete or not there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tomobayes.formats.atomic import atomic_path

__all__ = ["write_lines"]


def write_lines(path: Path | str, lines: Iterable[str]) -> None:
    """Write lines, each with its end, in UTF-8, atomically."""
    with atomic_path(Path(path)) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(f"{line}\n" for line in lines)

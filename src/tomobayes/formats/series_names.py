"""Which tilt series a file belongs to, by its name."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path, PureWindowsPath

__all__ = ["series_name", "series_of"]

ENDINGS = (
    ".mdoc",
    ".mrc",
    ".mrcs",
    ".st",
    ".ali",
    ".rec",
    ".hdf",
    ".aln",
    ".xf",
    ".tlt",
    ".rawtlt",
    ".defocus",
    ".star",
    ".txt",
    ".csv",
    ".order",
)
ADDED = ("_Imod", "_imod", "_ctffind4", "_ctffind5", "_ctffind", "_CTF", "_ctf", "_gctf", "_st", "_ali", "_aligned", "_aln")


def series_name(path: Path) -> str:
    """The name a file gives its tilt series: its own without known endings (``TS_01.mrc.mdoc``, ``TS_01_Imod`` -> ``TS_01``)."""
    name = path.name
    stripped = True
    while stripped:
        ending = next((one for one in (*ENDINGS, *ADDED) if name.lower().endswith(one.lower()) and len(name) > len(one)), "")
        name, stripped = name.removesuffix(name[len(name) - len(ending) :] if ending else ""), bool(ending)
    return name


def series_of(name: str, known: Collection[str]) -> str | None:
    """The tilt series that a file or a cell of a table names: itself, or the longest one it begins with, else by the folders it is in.

    ``TS_01_bin4.mrc`` belongs to TS_01, ``TS_010.mrc`` does not.
    """
    for part in reversed(PureWindowsPath(name.rpartition("@")[2]).parts):
        stripped = series_name(Path(part))
        if stripped in known:
            return stripped
        beginnings = (part[:end] for end in range(len(part), 0, -1) if end == len(part) or not part[end].isalnum())
        found = next((one for one in beginnings if one in known), None)
        if found is not None:
            return found
    return None

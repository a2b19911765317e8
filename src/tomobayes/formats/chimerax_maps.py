"""A script for ChimeraX (.cxc) that opens the maps of a job at their contour levels, coloured by local resolution where one is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Colouring", "OpenedMap", "map_script", "quoted"]

COLOURS = ("#5f93cb", "#dd8f58", "#5fc0a4", "#ab9fe0")


@dataclass(frozen=True)
class OpenedMap:
    """A map file, the density at which its surface is drawn, and whether it is seen at first."""

    path: Path
    level: float
    shown: bool = True


@dataclass(frozen=True)
class Colouring:
    """A map of local resolutions on the same voxels, and the colours (#rrggbb) from ``low`` to ``high`` Å, evenly."""

    path: Path
    low: float
    high: float
    colours: Sequence[str]


def map_script(maps: Sequence[OpenedMap], colouring: Colouring | None = None) -> Iterator[str]:
    """The lines of the script; ``colouring`` is for the first map."""
    for number, one in enumerate(maps, start=1):
        yield f"open {quoted(one.path)} id {number}"
        yield f"volume #{number} step 1 level {one.level:.6g} color {COLOURS[(number - 1) % len(COLOURS)]}"
        if not one.shown:
            yield f"hide #{number} models"
    if colouring is not None and maps:
        yield from _coloured(colouring, len(maps) + 1)
    yield "view"


def quoted(path: Path) -> str:
    """A path as one word of a command."""
    escaped = str(path).replace("\\", r"\\").replace('"', r"\"")
    return f'"{escaped}"'


def _coloured(by: Colouring, number: int) -> Iterator[str]:
    last = len(by.colours) - 1
    labels = [f"{by.low + (by.high - by.low) * at / last:.1f}" if at in (0, last // 2, last) else "" for at in range(last + 1)]
    yield f"open {quoted(by.path)} id {number}"
    yield f"hide #{number} models"
    yield f"color sample #1 map #{number} palette {':'.join(by.colours)} range {by.low:.3g},{by.high:.3g}"
    yield "key " + " ".join(f"{colour}:{label}" for colour, label in zip(by.colours, labels, strict=True))

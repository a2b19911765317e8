"""Where the files named inside a STAR file are."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["Folders", "name_from"]

MARK_OF_EXPERIMENT = "optimisation_set.star"
JOB = re.compile(r"job\d{3,}")


class Folders:
    """The folders that names inside one STAR file may be relative to.

    First the root (the current folder unless told otherwise), then the STAR file's own folder, then the folders above it:
    RELION writes names relative to the project's folder, other programs relative to the file. Where the folder of a name is nowhere
    any more, it may have been moved with the STAR file in it: then the rest of the name is looked for beside that file, and in the
    folders of experiments above it.
    """

    def __init__(self, star: Path, root: Path | None = None):
        star = star.resolve()
        self.root = (root or Path.cwd()).resolve()
        self.bases = tuple(dict.fromkeys((self.root, *star.parents)))
        self._star = star
        self._known: dict[Path, bool] = {}
        self._successors: dict[Path, tuple[Path, ...]] = {}

    def find(self, name: str) -> Path | None:
        """The file or folder of that name, or None where there is none."""
        first = Path(name).parts[:1]
        for base in self.bases:
            if first and self._has(base / first[0]) and (base / name).exists():
                return base / name
        return self._moved(Path(name))

    def expected(self, name: str) -> Path:
        """Where the file is, or where it was looked for first."""
        return self.find(name) or self.root / name

    def portable(self, names: NDArray[np.str_]) -> NDArray[np.str_]:
        """The same names, changed only where they cannot be found from the root, so that they hold in a file written elsewhere.

        A section prefix (``000001@``) is kept.
        """
        parts = [name.rpartition("@") for name in names.tolist()]
        known = {bare: self._portable(bare) for bare in dict.fromkeys(bare for _, _, bare in parts)}
        return np.array([f"{prefix}{at}{known[bare]}" for prefix, at, bare in parts], dtype=np.str_)

    def _portable(self, name: str) -> str:
        found = self.find(name) if name else None
        return name if found is None or found == self.root / name else name_from(found, self.root)

    def _moved(self, name: Path) -> Path | None:
        """Where a file is that was moved together with the STAR file, if it is there."""
        if name.parent not in self._successors:
            self._successors[name.parent] = self._successors_of(name.parent)
        return next((folder / name.name for folder in self._successors[name.parent] if (folder / name.name).exists()), None)

    def _successors_of(self, folder: Path) -> tuple[Path, ...]:
        """The folders that may once have been ``folder``, those with most of its name first; none while it exists."""
        if any((base / folder).exists() for base in self.bases):
            return ()
        above = [base for base in self._star.parents[1:] if (base / MARK_OF_EXPERIMENT).exists()]
        homes = (self._star.parent, *above)
        reach = range(1, len(folder.parts) + 1)
        places = (home.joinpath(*folder.parts[gone:]) for gone in reach for home in homes if _may_be(home, folder.parts[:gone]))
        return tuple(dict.fromkeys(place for place in places if place.is_dir()))

    def _has(self, path: Path) -> bool:
        """Remembered, since a large set asks for the same few folders a million times."""
        if path not in self._known:
            self._known[path] = path.exists()
        return self._known[path]


def _may_be(home: Path, lost: tuple[str, ...]) -> bool:
    """Whether ``home`` may once have been the folder of that name; a job that is gone is no other job with files of the same names."""
    return all(part == home.name for part in lost if JOB.fullmatch(part))


def name_from(path: Path, root: Path | None = None) -> str:
    """How a file written under ``root`` (the current folder) names another: relative where it lies below, else absolute."""
    path, root = path.resolve(), (root or Path.cwd()).resolve()
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)

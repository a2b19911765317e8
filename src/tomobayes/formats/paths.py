"""Where the files named inside a STAR file are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["Folders", "name_from"]


class Folders:
    """The folders that names inside one STAR file may be relative to.

    First the root (the current folder unless told otherwise), then the STAR file's own folder, then the folders above it:
    RELION writes names relative to the project's folder, other programs relative to the file.
    """

    def __init__(self, star: Path, root: Path | None = None):
        star = star.resolve()
        self.root = (root or Path.cwd()).resolve()
        self.bases = tuple(dict.fromkeys((self.root, *star.parents)))
        self._known: dict[Path, bool] = {}

    def find(self, name: str) -> Path | None:
        """The file or folder of that name, or None where there is none."""
        first = Path(name).parts[:1]
        for base in self.bases:
            if first and self._has(base / first[0]) and (base / name).exists():
                return base / name
        return None

    def expected(self, name: str) -> Path:
        """Where the file is, or where it was looked for first."""
        return self.find(name) or self.root / name

    def portable(self, names: NDArray[np.str_]) -> NDArray[np.str_]:
        """The same names, changed only where they cannot be found from the root, so that they hold in a file written elsewhere.

        A section prefix (``000001@``) is kept.
        """
        known = {name: self._portable(name) for name in np.unique(names).tolist()}
        return np.array([known[name] for name in names.tolist()], dtype=np.str_)

    def _portable(self, name: str) -> str:
        prefix, at, bare = name.rpartition("@")
        found = self.find(bare) if bare else None
        if found is None or found == self.root / bare:
            return name
        return f"{prefix}{at}{name_from(found, self.root)}"

    def _has(self, path: Path) -> bool:
        """Remembered, since a large set asks for the same few folders a million times."""
        if path not in self._known:
            self._known[path] = path.exists()
        return self._known[path]


def name_from(path: Path, root: Path | None = None) -> str:
    """How a file written under ``root`` (the current folder) names another: relative where it lies below, else absolute."""
    path, root = path.resolve(), (root or Path.cwd()).resolve()
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)

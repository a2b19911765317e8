"""How other processes get what the tasks of a job share: from the job's input files and from its checkpoints, by path and content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import chdir
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tomobayes.compute.workers import Handle
from tomobayes.formats.relion import read_dataset
from tomobayes.fourier.volume import Sums
from tomobayes.imaging.gathering import Gatherer, Portion, Source
from tomobayes.imaging.observation import Statistics
from tomobayes.inference.abinitio.state import AbInitioRecord, AbInitioSettings, AbInitioState, Kept
from tomobayes.inference.classification.state import (
    ClassMaps,
    ClassRecord,
    ClassSettings,
    ClassStart,
    ClassState,
    Climb,
    PoseSearch,
    Trials,
)
from tomobayes.inference.expectation import PoseEstimates
from tomobayes.inference.refinement import Record, Settings, State
from tomobayes.maps.axes import Axes
from tomobayes.maps.fsc import FscCurves
from tomobayes.model import Dataset, Particles
from tomobayes.project import load_state, save_state

__all__ = ["STATE_CLASSES", "Images", "Shelf", "digest"]

STATE_CLASSES = (
    State,
    Record,
    FscCurves,
    PoseEstimates,
    Settings,
    ClassState,
    ClassStart,
    ClassMaps,
    ClassRecord,
    ClassSettings,
    PoseSearch,
    Climb,
    Trials,
    AbInitioState,
    AbInitioRecord,
    AbInitioSettings,
    Kept,
    Axes,
    Sums,
)
SHARED = "shared"


class ChangedError(RuntimeError):
    """Raised where a file is not what it was when the job began to use it."""


def digest(paths: Iterable[Path | None]) -> str:
    """What files hold, in a word."""
    found = hashlib.blake2b(digest_size=16)
    for path in paths:
        found.update(b"" if path is None else path.read_bytes())
    return found.hexdigest()


@dataclass(frozen=True)
class Images:
    """The images of an experiment, as any process can find them.

    Parameters
    ----------
    members : optimisation set, particles, tomograms, trajectories, as ``read_dataset`` wants them
    directory : from which paths are told
    files, content : what is read, and its digest
    radius, cache_bytes : as of ``Gatherer``
    """

    members: tuple[Path | None, Path | None, Path | None, Path | str | None]
    ignore_stored: bool
    directory: Path
    files: tuple[Path | None, ...]
    content: str
    source: Source
    radius: int
    cache_bytes: float


@lru_cache(maxsize=1)
def _read(images: Images) -> tuple[Dataset, Gatherer]:
    """Data set and gatherer of this process."""
    if digest(images.files) != images.content:
        raise ChangedError(f"{', '.join(str(path) for path in images.files if path)} changed while the job runs")
    dataset = read_dataset(*images.members, ignore_stored=images.ignore_stored)
    return dataset, Gatherer(dataset, images.source, images.radius, images.cache_bytes)


@dataclass(frozen=True)
class _ParticlesOf:
    images: Images

    def __call__(self) -> Particles:
        with chdir(self.images.directory):
            return _read(self.images)[0].particles


@dataclass(frozen=True)
class _Gather:
    """A gatherer of the process it is called in."""

    images: Images

    def __call__(self, part: Portion) -> Statistics:
        with chdir(self.images.directory):
            return _read(self.images)[1](part)


@dataclass(frozen=True)
class _GatherOf:
    images: Images

    def __call__(self) -> _Gather:
        return _Gather(self.images)


@dataclass(frozen=True)
class _Plain:
    """A number or a word, which is its own handle."""

    value: int | float | str | None

    def __call__(self) -> int | float | str | None:
        return self.value


@dataclass(frozen=True)
class _Kept:
    """A value in a file of the job."""

    path: Path
    content: str

    def __call__(self) -> Any:
        if digest([self.path]) != self.content:
            raise ChangedError(f"{self.path} changed while the job runs")
        return load_state(self.path, STATE_CLASSES)


class Shelf:
    """Gives the handles of what tasks share: states are in their checkpoints, other things are put into files beside them.

    Parameters
    ----------
    folder : where those files go; it must be seen under this name by all workers
    particles, gather : what ``images`` stands for
    """

    def __init__(self, folder: Path, images: Images, particles: Particles, gather: object) -> None:
        self._folder = folder.resolve()
        self._known: list[tuple[object, Handle]] = [(particles, _ParticlesOf(images)), (gather, _GatherOf(images))]
        self._state: tuple[object, Handle] | None = None
        self._count = 0

    def keeps(self, state: object, path: Path) -> None:
        """A state was saved."""
        self._state = state, _Kept(path.resolve(), digest([path]))

    def __call__(self, value: Any) -> Handle:
        """The handle of a value."""
        for known, handle in [*self._known, *([self._state] if self._state else [])]:
            if known is value:
                return handle
        if value is None or isinstance(value, (int, float, str)):
            return _Plain(value)
        self._count += 1
        path = save_state(self._folder / f"{SHARED}_{self._count}.npz", value)
        handle = _Kept(path, digest([path]))
        if isinstance(value, (Settings, ClassSettings, AbInitioSettings)):  # everything else is new each time
            self._known.append((value, handle))
        return handle

    def clear(self) -> None:
        """Remove the files; nobody works any more."""
        for path in self._folder.glob(f"{SHARED}_*.npz"):
            path.unlink()

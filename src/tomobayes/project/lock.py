"""One process per folder: an advisory lock that the kernel gives back when its holder dies, whatever killed it."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tomobayes.model import BadInput, Problem

__all__ = ["LOCK_NAME", "Holder", "exclusive", "folder_lock", "holder", "is_locked"]

LOCK_NAME = ".tomobayes_lock"
PATIENCE_S = 0.3
"""Those who only look whether a folder is held hold it themselves for a moment."""


@dataclass(frozen=True)
class Holder:
    """The process that holds a folder."""

    host: str
    pid: int


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold ``folder`` for this process; refuse at once, naming host and process, if another one holds it.

    The empty lock file is left behind on purpose: removing it would let two processes lock different files of one name.
    """
    descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _taken(descriptor):
            raise BadInput(_locked(folder, _owner(os.pread(descriptor, 4096, 0))))
        owner = Holder(socket.gethostname(), os.getpid())
        _rewrite(descriptor, json.dumps(asdict(owner)).encode())
        try:
            yield
        finally:
            _rewrite(descriptor, b"")
    finally:
        os.close(descriptor)


def is_locked(folder: Path) -> bool:
    """Whether some process holds ``folder`` at this moment."""
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        if os.fstat(descriptor).st_size == 0:  # its last holder gave it back
            return False
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def holder(folder: Path) -> Holder | None:
    """The process that holds ``folder`` at this moment, or None where none does."""
    return _owner((folder / LOCK_NAME).read_bytes()) if is_locked(folder) else None


def _taken(descriptor: int) -> bool:
    """Whether the lock could be had, if not at once then soon."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)


@contextmanager
def exclusive(directory: Path, patience_s: float = 20.0) -> Iterator[None]:
    """Wait for and hold a lock *directory*: RELION's own way of guarding ``default_pipeline.star`` (``.relion_lock``).

    Raises
    ------
    BadInput
        if the directory is still there after ``patience_s`` seconds: its maker may have died.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            directory.mkdir()
            break
        except FileExistsError:
            if time.monotonic() > deadline:
                raise BadInput(
                    Problem(
                        directory,
                        "",
                        f"another program has been changing this project for more than {patience_s:.0f} s",
                        remedy="if no RELION or tomobayes is busy in this folder, remove that directory and start again",
                    )
                ) from None
            time.sleep(0.05)
    try:
        yield
    finally:
        directory.rmdir()


def _owner(content: bytes) -> Holder | None:
    try:
        return Holder(**json.loads(content))
    except (ValueError, TypeError):
        return None


def _locked(folder: Path, owner: Holder | None) -> Problem:
    who = "another process" if owner is None else f"process {owner.pid} on {owner.host}"
    return Problem(folder, "", f"{who} is working in this folder", remedy="wait for it to end, stop it, or choose another folder with --o")


def _rewrite(descriptor: int, content: bytes) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, content, 0)

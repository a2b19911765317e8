"""One process per folder: an advisory lock that the kernel gives back when its holder dies, whatever killed it."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tomobayes.model import BadInput, Problem

__all__ = ["LOCK_NAME", "exclusive", "folder_lock", "is_locked"]

LOCK_NAME = ".tomobayes_lock"


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold ``folder`` for this process; refuse at once, naming host and process, if another one holds it.

    The empty lock file is left behind on purpose: removing it would let two processes lock different files of one name.
    """
    descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInput(_locked(folder, os.read(descriptor, 4096))) from None
        owner = {"host": socket.gethostname(), "pid": os.getpid()}
        _rewrite(descriptor, json.dumps(owner).encode())
        yield
        _rewrite(descriptor, b"")
    finally:
        os.close(descriptor)


def is_locked(folder: Path) -> bool:
    """Whether some process holds ``folder`` at this moment."""
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


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


def _locked(folder: Path, owner: bytes) -> Problem:
    try:
        record = json.loads(owner)
        holder = f"process {record['pid']} on {record['host']}"
    except (ValueError, KeyError, TypeError):
        holder = "another process"
    return Problem(
        folder, "", f"{holder} is working in this folder", remedy="wait for it to end, stop it, or choose another folder with --o"
    )


def _rewrite(descriptor: int, content: bytes) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, content, 0)

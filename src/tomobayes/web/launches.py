"""Jobs started from the browser: processes of their own, which live on when the server ends and know nothing of it.

Until a job has a folder, what is known of it stands in ``.tomobayes/starts/KEY`` of the project: the words of its command, and what it
says. That file is locked through the very descriptor that the process writes to, so that the lock tells, to any server, whether it lives.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tomobayes.jobs.said import FOLDER_SAID

__all__ = ["Launch", "find_launch", "forget", "launch", "launches"]

STARTS = Path(".tomobayes") / "starts"
_COMMAND, _SAID = "command.json", "said.txt"


@dataclass(frozen=True)
class Launch:
    """A job that was started.

    Parameters
    ----------
    key : identifies it
    words : its command
    values : of the form that asked for it
    directory : where it was started
    running : whether its process lives
    said : the lines of its log that are not told elsewhere
    job : name of the job that it became, None before
    """

    key: str
    words: tuple[str, ...]
    values: Mapping[str, str]
    directory: Path
    running: bool
    said: tuple[str, ...]
    job: str | None


def launch(project: Path, words: Sequence[str], values: Mapping[str, str], directory: Path | None = None) -> Launch:
    """Start ``tomobayes ...`` as a process that outlives this one.

    Parameters
    ----------
    project : folder of the project
    words : the command line, whose first word is ``tomobayes``
    values : the form that asked for it
    directory : where to start it; the project's folder by default
    """
    directory = directory or project
    key = f"{time.time_ns()}"
    folder = project / STARTS / key
    folder.mkdir(parents=True)
    (folder / _COMMAND).write_text(
        json.dumps({"words": list(words), "values": dict(values), "directory": str(directory)}), encoding="utf-8"
    )
    with (folder / _SAID).open("wb") as said:
        fcntl.flock(said, fcntl.LOCK_EX)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tomobayes", *words[1:]],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    threading.Thread(target=process.wait, daemon=True).start()  # lest it stays behind as a zombie when it ends
    return _launch(project, folder)


def launches(project: Path) -> tuple[Launch, ...]:
    """Starts that have not become jobs: those on their way, and those that came to nothing; the newest first. Others are forgotten."""
    found = []
    for folder in sorted((project / STARTS).glob("*"), reverse=True):
        start = _launch(project, folder)
        if start.job is None:
            found.append(start)
        elif not start.running:
            shutil.rmtree(folder, ignore_errors=True)
    return tuple(found)


def find_launch(project: Path, key: str) -> Launch | None:
    """The start of this key, or None."""
    folder = project / STARTS / key
    return _launch(project, folder) if key.isdecimal() and (folder / _COMMAND).is_file() else None


def forget(project: Path, key: str) -> bool:
    """Forget a start, unless it is on its way; say whether there was one."""
    start = find_launch(project, key)
    if start is None or start.running:
        return False
    shutil.rmtree(project / STARTS / key)
    return True


def _launch(project: Path, folder: Path) -> Launch:
    command = json.loads((folder / _COMMAND).read_text(encoding="utf-8"))
    text = (folder / _SAID).read_text(encoding="utf-8", errors="replace")
    match = re.search(rf"{FOLDER_SAID} (.+)$", text, re.MULTILINE)
    directory = Path(command["directory"])
    job = None if match is None else os.path.relpath(directory / match[1], project)
    running, said = _is_held(folder / _SAID), tuple(text.splitlines()[-50:])
    return Launch(folder.name, tuple(command["words"]), command["values"], directory, running, said, job)


def _is_held(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False

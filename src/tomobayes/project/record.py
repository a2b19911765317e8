"""job.toml: what was asked of a job, by which version, so that it can be read, repeated and continued."""

from __future__ import annotations

import datetime
import json
import platform
import socket
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tomobayes.formats.atomic import atomic_path
from tomobayes.model import BadInput, Problem

__all__ = ["RECORD_NAME", "Record", "Value", "new_record", "read_record", "write_record"]

RECORD_NAME = "job.toml"
Scalar = str | int | float | bool
Value = Scalar | Sequence[Scalar]


@dataclass(frozen=True)
class Record:
    """What job.toml holds: the verb, its parameters and where, when and with what it was started."""

    verb: str
    parameters: Mapping[str, Value]
    command: str
    version: str
    python: str
    host: str
    directory: str
    started: str


def new_record(verb: str, parameters: Mapping[str, Value], command: str) -> Record:
    """The record of a job that starts now, here."""
    return Record(
        verb=verb,
        parameters=dict(parameters),
        command=command,
        version=version("tomobayes"),
        python=platform.python_version(),
        host=socket.gethostname(),
        directory=str(Path.cwd()),
        started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def write_record(folder: Path, record: Record) -> Path:
    """Write ``record`` into ``folder``; the inverse of `read_record`."""
    heading = {key: getattr(record, key) for key in ("verb", "command", "version", "python", "host", "directory", "started")}
    lines = [*_assignments(heading), "", "[parameters]", *_assignments(record.parameters)]
    with atomic_path(folder / RECORD_NAME) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / RECORD_NAME


def read_record(folder: Path) -> Record:
    """The record of the job in ``folder``.

    Raises
    ------
    BadInput
        if there is none or it cannot be understood.
    """
    path = folder / RECORD_NAME
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return Record(**content)
    except FileNotFoundError:
        problem = Problem(folder, "", "this folder has no job.toml, so no job of tomobayes was started here", remedy="check the path")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError) as error:
        problem = Problem(path, "", f"this record cannot be read ({error})", remedy="start the job again in another folder")
    raise BadInput(problem)


def _assignments(values: Mapping[str, Value]) -> list[str]:
    """``key = value`` lines; JSON's strings, numbers, booleans and arrays are TOML's as well."""
    return [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]

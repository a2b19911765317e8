"""From what a form says to parameters of a job and to the command that starts it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tomobayes.jobs.parameters import JobParameters, Parameters
from tomobayes.jobs.parameters.complaints import Complaint, complaints
from tomobayes.project import Job
from tomobayes.web.fields import Field, as_text, every_field, groups_of

__all__ = ["Filled", "asked_again", "filled", "to_continue", "values_of"]


@dataclass(frozen=True)
class Filled:
    """A form as it was filled in.

    Parameters
    ----------
    values : what stands in its fields, as text
    complaints : what is wrong with it
    words : the command line it stands for, as far as it goes
    """

    values: Mapping[str, str]
    complaints: tuple[Complaint, ...]
    words: tuple[str, ...]

    @property
    def command(self) -> str:
        """The command line, to be typed into a shell."""
        return shlex.join(self.words)

    def complaint(self, name: str) -> str:
        """What is wrong with one field."""
        return " ".join(complaint.sentence for complaint in self.complaints if complaint.field == name)


def filled(parameters: type[Parameters], values: Mapping[str, str], fixed: Mapping[str, Any] | None = None) -> Filled:
    """Check a form. Fields that are empty, or say what they say by default, are not set.

    Parameters
    ----------
    values : text of each field
    fixed : parameters that the form does not show, such as the folder of a job that goes on
    """
    fields = [field for field in every_field(groups_of(parameters)) if values.get(field.name, "").strip()]
    kept = {field.name: values[field.name].strip() for field in fields}
    given: dict[str, Any] = dict(fixed or {})
    faults: list[Complaint] = []
    words = ["tomobayes", parameters.verb]
    for field in fields:
        if kept[field.name] == field.default:
            continue
        try:
            given[field.name] = _parsed(field, kept[field.name])
            words += _words(field, kept[field.name])
        except ValueError as error:  # quotes that do not close
            faults.append(Complaint(field.name, f"{field.option}: {error}."))
    try:
        parameters.model_validate(given)
    except ValidationError as error:
        faults += complaints(error)
    return Filled(kept, tuple(faults), tuple(words))


def values_of(parameters: type[Parameters], given: Mapping[str, Any]) -> dict[str, str]:
    """Recorded parameters as the text of a form; what the form does not show is left out."""
    names = {field.name: field for field in every_field(groups_of(parameters))}
    return {name: _text(names[name], value) for name, value in given.items() if name in names and _text(names[name], value)}


def asked_again(job: Job, parameters: type[Parameters], project: Path) -> dict[str, str]:
    """A form that asks for what an earlier job did, its paths as seen from the project's folder."""
    assert job.record is not None
    given = dict(job.record.parameters)
    for field in every_field(groups_of(parameters)):
        value = given.get(field.name)
        if field.kind == "path" and isinstance(value, str):
            path = Path(job.record.directory) / value
            given[field.name] = _from(project, path) if path.exists() else value
    return values_of(parameters, given)


def to_continue(job: Job, parameters: type[JobParameters], values: Mapping[str, str]) -> tuple[Filled, Path]:
    """A form that goes on with a job, checked; and where to start it: where the job was started at first, so that its paths hold."""
    assert job.record is not None
    directory = Path(job.record.directory)
    recorded = {name: value for name, value in job.record.parameters.items() if name in parameters.model_fields}
    folder = Path(_from(directory, job.folder))
    changeable = parameters.may_change | parameters.free_to_change | {"from_iteration"}
    before = values_of(parameters, recorded)
    changed = {name: text for name, text in values.items() if name in changeable and text.strip() != before.get(name, "")}
    whole = filled(parameters, {**before, **changed}, {"o": folder, "continue": True})
    words = ["tomobayes", parameters.verb, "--o", str(folder), "--continue"]
    for field in every_field(groups_of(parameters)):
        if changed.get(field.name, "").strip() and not whole.complaint(field.name):
            words += _words(field, changed[field.name].strip())
    return Filled({**before, **changed}, whole.complaints, tuple(words)), directory


def _from(directory: Path, path: Path) -> str:
    """A path as seen from a directory, or in full where it lies elsewhere."""
    inside = os.path.relpath(path, directory)
    return str(path) if inside.startswith("..") else inside


def _parsed(field: Field, text: str) -> Any:
    """What the model is given: it reads numbers itself, but not lists and switches."""
    if field.kind == "switch":
        return True
    return shlex.split(text) if field.many else text


def _words(field: Field, text: str) -> list[str]:
    """The words that set a field on the command line."""
    if field.kind == "switch":
        return [field.option]
    return [field.option, *(shlex.split(text) if field.many else [text])]


def _text(field: Field, value: Any) -> str:
    if field.kind == "switch":
        return "on" if value else ""
    return shlex.join(map(as_text, value)) if field.many else as_text(value)

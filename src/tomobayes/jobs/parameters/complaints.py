"""What is wrong with parameters, one sentence per option, for the terminal and for forms."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from tomobayes.jobs.parameters.base import Parameters

__all__ = ["Complaint", "complaints"]


@dataclass(frozen=True)
class Complaint:
    """A sentence, and the field it is about; "" where it is about several."""

    field: str
    sentence: str


def complaints(error: ValidationError) -> list[Complaint]:
    """Everything that a model of parameters refused."""
    return [_complaint(fault["loc"], fault["type"], fault["msg"], fault["input"]) for fault in error.errors()]


def _complaint(location: tuple[int | str, ...], kind: str, message: str, given: object) -> Complaint:
    field = str(location[0]) if location else ""
    if kind == "value_error":
        return Complaint(field, f"{message.removeprefix('Value error, ')}.")
    if kind == "missing":
        return Complaint(field, f"{Parameters.option(field)} is needed.")
    what = message.replace("Input should be", "should be").split(", unable")[0]
    return Complaint(field, f"{Parameters.option(field)} {what}, not {str(given)!r}.")

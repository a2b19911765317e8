"""Fields of forms, from the same typed parameters as the command line: kinds, choices, ranges, defaults, units and help."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MultipleOf
from pydantic.fields import FieldInfo

from tomobayes.jobs.parameters import Parameters

__all__ = ["Field", "Group", "Kind", "as_text", "every_field", "groups_of"]

Kind = Literal["switch", "choice", "number", "integer", "path", "text", "words"]

UNITS = ("Å per e/Å²", "e/Å²", "Å²", "Å", "degrees", "e/Å", "kV", "mm", "percent", "voxels", "binned pixels", "minutes")
OF_THE_RUN = frozenset({"o", "overwrite", "continue_", "plan"})
"""Options that the buttons of a form stand for."""


@dataclass(frozen=True)
class Field:
    """One field of a form.

    Parameters
    ----------
    name, option : of the parameter, and of the command line
    kind : which control it gets
    help, unit : from its description
    default : what it is without being set, as text
    needed : whether it must be set
    choices : of a choice
    low, high, step : of a number, as text for the browser; "" where open
    many : whether it takes several values, apart by blanks
    """

    name: str
    option: str
    kind: Kind
    help: str
    unit: str
    default: str
    needed: bool
    choices: tuple[str, ...] = ()
    low: str = ""
    high: str = ""
    step: str = ""
    many: bool = False

    @property
    def label(self) -> str:
        """The option as one reads it."""
        words = _LABELS.get(self.name, self.option.removeprefix("--").replace("-", " "))
        return words[0].upper() + words[1:]


@dataclass(frozen=True)
class Group:
    """Fields under a heading; those of ``later`` groups are folded away at first."""

    title: str
    fields: tuple[Field, ...]
    later: bool


def groups_of(parameters: type[Parameters]) -> list[Group]:
    """The fields of a verb: its own first, then those that it shares with others, by the class that brings them."""
    owners: dict[type, list[Field]] = {}
    for name, info in parameters.model_fields.items():
        if name not in OF_THE_RUN:
            owners.setdefault(_owner(parameters, name), []).append(_field(parameters, name, info))
    ranked = sorted(owners, key=lambda owner: _RANK.get(owner.__name__, 0 if owner is parameters else 1))
    groups = []
    for owner in ranked:
        title = _TITLES.get(owner.__name__, "Settings")
        fields = sorted(owners[owner], key=lambda field: not field.needed)
        groups.append(Group(title, tuple(fields), later=owner.__name__ in _LATER))
    return groups


_LABELS = {
    "i": "input",
    "p": "particles",
    "t": "tomograms",
    "mot": "trajectories",
    "ref": "reference",
    "ref1": "reference of half 1",
    "ref2": "reference of half 2",
    "half1": "first half-map",
    "half2": "second half-map",
    "sym": "symmetry",
    "k": "classes",
    "j": "threads",
    "r": "farthest displacement",
    "ini_high": "initial low-pass",
    "max_iter": "iterations at most",
    "angpix": "pixel size",
    "bin": "binning",
    "from_iteration": "from iteration",
}
"""What one reads for options whose names say little."""

_TITLES = {
    "DatasetParameters": "Input",
    "HalfMapParameters": "Half-maps",
    "ImageParameters": "Images",
    "ComputeParameters": "Computing",
    "JobParameters": "Output",
}
_RANK = {"DatasetParameters": -1, "HalfMapParameters": -1, "ImageParameters": 2, "ComputeParameters": 3, "JobParameters": 4}
_LATER = {"ImageParameters", "ComputeParameters", "JobParameters"}


def _owner(parameters: type[Parameters], name: str) -> type:
    """The class that declares a field."""
    return next(owner for owner in reversed(parameters.__mro__) if name in getattr(owner, "__annotations__", {}))


def _field(parameters: type[Parameters], name: str, info: FieldInfo) -> Field:
    plain, constraints = _plain(info.annotation, list(info.metadata))
    many = get_origin(plain) is tuple
    if many:
        plain, constraints = _plain(get_args(plain)[0], constraints)
    kind, choices = _kind(plain, many)
    text = info.description or ""
    return Field(
        name=name,
        option=parameters.option(name),
        kind=kind,
        help=text,
        unit=_unit(text),
        default=as_text(info.get_default()) if not info.is_required() else "",
        needed=info.is_required(),
        choices=choices,
        many=many,
        **_range(constraints, kind),
    )


def _plain(annotation: Any, constraints: list[Any]) -> tuple[Any, list[Any]]:
    """The type beneath ``Annotated`` and ``| None``, and every constraint met on the way."""
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation, *more = get_args(annotation)
            constraints = [*constraints, *more]
        elif origin in (Union, types.UnionType):
            annotation = next(option for option in get_args(annotation) if option is not type(None))
        else:
            return annotation, constraints


def _kind(plain: Any, many: bool) -> tuple[Kind, tuple[str, ...]]:
    if get_origin(plain) is Literal:
        return ("words" if many else "choice"), tuple(map(str, get_args(plain)))
    if many:
        return "words", ()
    kinds: Mapping[Any, Kind] = {bool: "switch", int: "integer", float: "number", Path: "path"}
    return kinds.get(plain, "text"), ()


def _range(constraints: list[Any], kind: Kind) -> dict[str, str]:
    """What the browser can check of a number; limits that are not allowed themselves are left to the model, unless it is whole."""
    if kind not in ("number", "integer"):
        return {}
    found = {"step": "1" if kind == "integer" else "any"}
    for constraint in constraints:
        match constraint:
            case Ge(ge=limit):
                found["low"] = as_text(limit)
            case Gt(gt=limit):
                found["low"] = as_text(limit + 1 if isinstance(limit, int) and kind == "integer" else limit)
            case Le(le=limit):
                found["high"] = as_text(limit)
            case Lt(lt=limit):
                found["high"] = as_text(limit)
            case MultipleOf(multiple_of=step):
                found["step"] = as_text(step)
                found["low"] = as_text(step)
    return found


def _unit(text: str) -> str:
    """The unit that a description names in brackets, or as that in which something is counted."""
    named = re.search(r"\(([^()]*)\)", text)
    inside = "" if named is None else named[1].split(",")[0].strip()
    if inside in UNITS:
        return {"degrees": "°", "percent": "%"}.get(inside, inside)
    return next((unit for unit in ("binned pixels", "voxels") if f"in {unit}" in text), "")


def as_text(value: object) -> str:
    """A default as one types it."""
    if value is None or value is False:
        return ""
    if isinstance(value, (tuple, list)):
        return " ".join(map(as_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def every_field(groups: list[Group]) -> Iterator[Field]:
    """The fields of all groups."""
    for group in groups:
        yield from group.fields

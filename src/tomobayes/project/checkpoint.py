"""Immutable states on disk: what a long computation yields is kept, so that a killed job goes on where it was.

A state is a (nested) frozen dataclass of arrays, tensors, numbers, strings, paths, tuples, mappings and None.
It is stored as one ``.npz``: the arrays, and a JSON tree that says where each belongs. No pickle: a checkpoint cannot run code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.atomic import atomic_path
from tomobayes.model import BadInput, Problem

__all__ = ["checkpoints", "latest_checkpoint", "load_state", "rewind", "save_checkpoint", "save_state"]

FOLDER = "checkpoints"
_TREE = "tree"

Arrays = dict[str, NDArray[np.generic]]


class _OtherFieldsError(Exception):
    """Of a dataclass, than it has now."""


def save_checkpoint(job: Path, number: int, state: object, keep: int = 2) -> Path:
    """Keep ``state`` as checkpoint ``number`` of the job in folder ``job``, and drop all but the last ``keep``."""
    folder = job / FOLDER
    folder.mkdir(exist_ok=True)
    path = save_state(folder / f"state_{number:04d}.npz", state)
    for _, old in _numbered(folder)[:-keep]:
        old.unlink()
    return path


def checkpoints(job: Path) -> list[int]:
    """Numbers of the checkpoints that the job in folder ``job`` can go on from."""
    return [number for number, _ in _numbered(job / FOLDER)]


def rewind(job: Path, number: int) -> None:
    """Forget every checkpoint after ``number``, the newest first: whatever is left at any moment can be gone on from."""
    for other, path in reversed(_numbered(job / FOLDER)):
        if other > number:
            path.unlink()


def latest_checkpoint(job: Path, classes: Iterable[type]) -> tuple[int, Any] | None:
    """Number and state of the newest checkpoint of the job in folder ``job``, or None where there is none yet.

    ``classes`` are the dataclasses that the state may be built of.
    """
    found = _numbered(job / FOLDER)
    if not found:
        return None
    number, path = found[-1]
    return number, load_state(path, classes)


def save_state(path: Path, state: object) -> Path:
    """Write one state; the inverse of `load_state`. An array that occurs several times is written once."""
    arrays: Arrays = {}
    tree = json.dumps(_encode(state, arrays, {}))
    arrays[_TREE] = np.frombuffer(tree.encode(), np.uint8)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    return path


def load_state(path: Path, classes: Iterable[type]) -> Any:
    """Read one state written by `save_state`, built of the given dataclasses.

    Raises
    ------
    BadInput
        where it is built of others, or of other fields: those of another version
    """
    with np.load(path, allow_pickle=False) as content:
        arrays = {name: content[name] for name in content.files}
    tree = json.loads(arrays.pop(_TREE).tobytes())
    try:
        return _decode(tree, arrays, {kind.__name__: kind for kind in classes})
    except _OtherFieldsError as error:
        what, remedy = f"was written by another version of tomobayes ({error})", "start the job anew, without --continue"
        raise BadInput(Problem(path, "", what, remedy=remedy)) from None


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    matches = ((re.fullmatch(r"state_(\d+)\.npz", path.name), path) for path in folder.glob("state_*.npz"))
    return sorted((int(match[1]), path) for match, path in matches if match)


def _encode(value: object, arrays: Arrays, written: dict[int, Any]) -> Any:
    """``written`` knows the places of arrays and tensors by their identity."""
    if id(value) in written:
        return written[id(value)]
    if isinstance(value, (np.ndarray, np.generic)):
        key = f"array_{len(arrays)}"
        arrays[key] = np.asarray(value)
        return {"kind": "scalar" if isinstance(value, np.generic) else "array", "of": key}
    if type(value).__module__ == "torch":
        written[id(value)] = {"kind": "tensor", "of": _encode(np.asarray(value), arrays, {})}
        return written[id(value)]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Path):
        return {"kind": "path", "of": str(value)}
    if is_dataclass(value) and not isinstance(value, type):
        members = {field.name: _encode(getattr(value, field.name), arrays, written) for field in fields(value)}
        return {"kind": "dataclass", "name": type(value).__name__, "of": members}
    if isinstance(value, tuple):
        return {"kind": "tuple", "of": [_encode(item, arrays, written) for item in value]}
    if isinstance(value, Mapping):
        return {"kind": "mapping", "of": [[_encode(key, arrays, written), _encode(item, arrays, written)] for key, item in value.items()]}
    raise TypeError(
        f"a state may not hold a {type(value).__name__}: give it as an array, number, string, path, tuple, mapping or dataclass"
    )


def _decode(tree: Any, arrays: Arrays, classes: Mapping[str, type]) -> Any:
    if not isinstance(tree, dict):
        return tree
    content = tree["of"]
    match tree["kind"]:
        case "array":
            return arrays[content]
        case "tensor":
            return _tensor(_decode(content, arrays, classes))
        case "scalar":
            return arrays[content][()]
        case "path":
            return Path(content)
        case "tuple":
            return tuple(_decode(item, arrays, classes) for item in content)
        case "mapping":
            return {_decode(key, arrays, classes): _decode(item, arrays, classes) for key, item in content}
        case _:
            name = tree["name"]
            known = {field.name for field in fields(classes[name])} if name in classes else set()
            if content.keys() != known:
                raise _OtherFieldsError(f"{name}: {', '.join(sorted(content.keys() ^ known))}")
            return classes[name](**{key: _decode(item, arrays, classes) for key, item in content.items()})


def _tensor(array: NDArray[np.generic]) -> object:
    import torch

    return torch.from_numpy(array)

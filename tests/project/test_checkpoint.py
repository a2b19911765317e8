"""States come back from disk as they were, and nothing half-written is ever read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, make_dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tomobayes.model import BadInput
from tomobayes.project import latest_checkpoint, load_state, save_checkpoint, save_state


@dataclass(frozen=True)
class Inner:
    map: np.ndarray
    name: str


@dataclass(frozen=True)
class State:
    iteration: int
    halves: tuple[Inner, ...]
    sigma: np.ndarray | None
    scale: np.float64
    reference: Path
    noise: Mapping[tuple[int, str], torch.Tensor]


def state(iteration: int = 3) -> State:
    halves = (Inner(np.arange(8.0, dtype=np.float32).reshape(2, 2, 2), "ä"), Inner(np.ones((1, 2), np.complex64), "b"))
    return State(
        iteration,
        halves,
        None,
        np.float64(0.1),
        Path("a b/c.mrc"),
        {(0, "x"): torch.arange(3), (1, "y"): torch.ones(2, 2, dtype=torch.complex64)},
    )


def same(a: object, b: object) -> None:
    assert type(a) is type(b)
    if isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    elif isinstance(a, torch.Tensor):
        assert isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    elif isinstance(a, dict):
        assert isinstance(b, dict)
        same(tuple(a), tuple(b))
        same(tuple(a.values()), tuple(b.values()))
    elif isinstance(a, (Inner, State)):
        for name in a.__dataclass_fields__:
            same(getattr(a, name), getattr(b, name))
    elif isinstance(a, tuple):
        for x, y in zip(a, b, strict=True):
            same(x, y)
    else:
        assert a == b


def test_nested_state_comes_back(tmp_path):
    same(load_state(save_state(tmp_path / "s.npz", state()), (Inner, State)), state())


@settings(derandomize=True, deadline=None, max_examples=20)
@given(
    arrays(st.sampled_from([np.float32, np.complex128, np.int8, np.bool_]), st.lists(st.integers(0, 3), min_size=0, max_size=3).map(tuple))
)
def test_any_array_comes_back(tmp_path_factory, array):
    path = tmp_path_factory.mktemp("c") / "s.npz"
    back = load_state(save_state(path, Inner(array, "x")), (Inner,)).map
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


def test_state_of_another_version_is_refused(tmp_path):
    """Fields that were added or dropped since, or a dataclass that is no more."""
    path = save_state(tmp_path / "s.npz", Inner(np.ones(2), "x"))
    added, dropped = make_dataclass("Inner", ["map", "name", "mask"]), make_dataclass("Inner", ["map"])
    for classes, told in (((added,), "Inner: mask"), ((dropped,), "Inner: name"), ((State,), "Inner: map, name")):
        with pytest.raises(BadInput, match=told):
            load_state(path, classes)


def test_newest_wins_and_old_ones_go(tmp_path):
    assert latest_checkpoint(tmp_path, (Inner, State)) is None
    for number in (1, 2, 9, 10):
        save_checkpoint(tmp_path, number, state(number))
    number, newest = latest_checkpoint(tmp_path, (Inner, State))
    assert (number, newest.iteration) == (10, 10)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["state_0009.npz", "state_0010.npz"]


def test_failure_while_writing_keeps_the_last_state(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, 1, state(1))

    def full_disk(file, **content):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(tmp_path, 2, state(2))
    assert latest_checkpoint(tmp_path, (Inner, State))[0] == 1
    assert len(list((tmp_path / "checkpoints").iterdir())) == 1


def test_foreign_object_is_refused_with_its_type(tmp_path):
    with pytest.raises(TypeError, match="a set"):
        save_state(tmp_path / "s.npz", Inner({1, 2}, "x"))  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())

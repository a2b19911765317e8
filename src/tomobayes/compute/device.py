"""Where the mathematics runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from importlib.util import find_spec
from typing import Any, TypeVar, cast

import torch

__all__ = ["CPU", "best_device", "moved"]

CPU = torch.device("cpu")

T = TypeVar("T")


def best_device() -> torch.device:
    """The CUDA device where PyTorch sees one and Triton is there to write kernels for it, else the CPU.

    The environment variable CUDA_VISIBLE_DEVICES chooses among several devices; empty, it hides them all.
    """
    return torch.device("cuda" if torch.cuda.is_available() and find_spec("triton") else "cpu")


def moved(value: T, device: torch.device) -> T:
    """The same value, a tensor or anything made of dataclasses, tuples and mappings, with all its tensors on a device."""
    whole: Any = value
    if isinstance(whole, torch.Tensor):
        whole = whole.to(device)
    elif is_dataclass(whole) and not isinstance(whole, type):
        parts = {each.name: getattr(whole, each.name) for each in fields(whole) if each.init}
        whole = replace(whole, **{name: moved(part, device) for name, part in parts.items()})
    elif isinstance(whole, tuple):
        whole = tuple(moved(part, device) for part in whole)
    elif isinstance(whole, Mapping):
        whole = {key: moved(part, device) for key, part in whole.items()}
    return cast(T, whole)

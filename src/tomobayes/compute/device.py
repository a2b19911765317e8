"""Where the mathematics runs."""

from __future__ import annotations

from importlib.util import find_spec

import torch

__all__ = ["best_device"]


def best_device() -> torch.device:
    """The CUDA device where PyTorch sees one and Triton is there to write kernels for it, else the CPU.

    The environment variable CUDA_VISIBLE_DEVICES chooses among several devices; empty, it hides them all.
    """
    return torch.device("cuda" if torch.cuda.is_available() and find_spec("triton") else "cpu")

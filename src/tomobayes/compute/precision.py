"""How exactly matrices are multiplied."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["coarse_products"]


@contextmanager
def coarse_products() -> Iterator[None]:
    """Inside, float32 matrices may be multiplied as bfloat16 and summed as float32, where the hardware does that faster.

    Good enough to choose which poses are worth a closer look (the error is below a nat for likelihoods of some hundred nats),
    never for a posterior. AMX and tensor cores take part; other processors multiply float32 as ever.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)

"""How many threads the mathematics uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import numba
import torch
from dask.system import CPU_COUNT

__all__ = ["one_thread", "side_by_side", "use_threads"]

Result = TypeVar("Result")


def use_threads(wanted: int | None) -> int:
    """Set the number of threads of PyTorch and Numba, and give it.

    Parameters
    ----------
    wanted : None for all cores this process may use, by its affinity and its container's quota; never more than Numba was started with
    """
    launched = int(vars(numba.config)["NUMBA_NUM_THREADS"])  # the module fills itself, which type checkers cannot see
    threads = min(wanted or CPU_COUNT, launched)
    numba.set_num_threads(threads)  # first: as it starts, Numba sets the number of OpenMP's threads, which may be PyTorch's, too
    torch.set_num_threads(threads)
    return threads


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch in one thread: for many small operations, in which threads wait for each other longer than they compute.

    Decorates functions, too. Threads that start to compute meanwhile would keep to one as well.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def side_by_side(calls: Sequence[Callable[[], Result]], together: int) -> list[Result]:
    """The result of every call, ``together`` at a time; each computes with as many threads as ever, so to the same bytes."""
    if together == 1:
        return [call() for call in calls]
    with ThreadPoolExecutor(together) as pool:
        return list(pool.map(lambda call: call(), calls))

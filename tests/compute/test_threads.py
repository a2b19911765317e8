"""How many threads compute what."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import numba
import pytest
import torch

from tomobayes.compute import threads
from tomobayes.compute.threads import one_thread, use_threads

LIMITS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = numba.get_num_threads(), torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    numba.set_num_threads(before[0])
    torch.set_num_threads(before[1])


def test_small_operations_have_one_thread_and_the_rest_as_before():
    @one_thread()
    def inside() -> int:
        with one_thread():
            assert torch.get_num_threads() == 1
        return torch.get_num_threads()

    assert inside() == 1
    assert torch.get_num_threads() == 2


def test_threads_come_back_after_a_fault():
    with pytest.raises(ValueError, match="fault"), one_thread():
        raise ValueError("fault")
    assert torch.get_num_threads() == 2


def test_no_more_threads_than_a_container_may_use(monkeypatch):
    monkeypatch.setattr(threads, "CPU_COUNT", 1)
    assert use_threads(None) == torch.get_num_threads() == 1


def test_both_libraries_have_the_threads_that_are_asked_for():
    """In a process of its own, on all cores: Numba changes PyTorch's when it starts."""
    free = {name: value for name, value in os.environ.items() if name not in LIMITS}
    asked = "import torch", "torch.get_num_threads()", "from tomobayes.compute.threads import use_threads", "use_threads(1)"
    words = "; ".join([*asked, "print(torch.get_num_threads())"])
    told = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True, env=free)
    assert told.stdout.strip() == "1"

"""How many threads compute what."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tomobayes.compute.threads import one_thread


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


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
